"""Hyper-analysis and hyper-synthesis networks, by the paper that they come from.

All of them have stride 4, but those of `STRIDES`. Layers stand in the order of the public
implementations, so that their weights can be mapped by name.
"""

import torch
from torch import Tensor, nn

from kodec.models.blocks import BoundedRectifier, PaddedConv2d, SubpixelConv2d
from kodec.native import InvalidInputError


def _conv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> PaddedConv2d:
    return PaddedConv2d(inputs, outputs, kernel, stride)


def _deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def _chain(activation: type[nn.Module], *layers: nn.Module) -> nn.Sequential:
    """The layers with activations between them."""
    joined: list[nn.Module] = [layers[0]]
    for layer in layers[1:]:
        joined += [activation(), layer]
    return nn.Sequential(*joined)


def _analysis5(activation: type[nn.Module], channels: int, hyper: int) -> nn.Sequential:
    return _chain(
        activation, _conv(channels, hyper, 3, 1), _conv(hyper, hyper), _conv(hyper, hyper)
    )


def _bmshj2018(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "Variational image compression with a scale hyperprior" (2018)."""
    last = _conv(hyper, outputs, 3, 1)
    synthesis = _chain(nn.ReLU, _deconv(hyper, hyper), _deconv(hyper, hyper), last)
    return _analysis5(nn.ReLU, channels, hyper), synthesis


def _mbt2018(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "Joint autoregressive and hierarchical priors for learned image compression" (2018)."""
    middle = channels * 3 // 2
    analysis = _analysis5(nn.LeakyReLU, channels, hyper)
    synthesis = _chain(
        nn.LeakyReLU,
        _deconv(hyper, channels),
        _deconv(channels, middle),
        _conv(middle, outputs, 3, 1),
    )
    return analysis, synthesis


def _sub_pixel(
    activation: type[nn.Module], channels: int, hyper: int, outputs: int
) -> tuple[nn.Module, nn.Module]:
    middle = channels * 3 // 2
    analysis = _chain(
        activation,
        _conv(channels, hyper, 3, 1),
        _conv(hyper, hyper, 3, 1),
        _conv(hyper, hyper, 3),
        _conv(hyper, hyper, 3, 1),
        _conv(hyper, hyper, 3),
    )
    synthesis = _chain(
        activation,
        _conv(hyper, channels, 3, 1),
        SubpixelConv2d(channels, channels),
        _conv(channels, middle, 3, 1),
        SubpixelConv2d(middle, middle),
        _conv(middle, outputs, 3, 1),
    )
    return analysis, synthesis


def _cheng2020(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "Learned image compression with discretized Gaussian mixture likelihoods" (2020)."""
    return _sub_pixel(nn.LeakyReLU, channels, hyper, outputs)


def _mlic2023(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "MLIC++: Linear complexity multi-reference entropy modeling" (2023)."""
    return _sub_pixel(nn.GELU, channels, hyper, outputs)


def _elic2022(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "ELIC: Efficient learned image compression" (2022)."""
    middle = hyper * 3 // 2
    last = nn.ConvTranspose2d(middle, outputs, 3, padding=1)
    synthesis = _chain(nn.ReLU, _deconv(hyper, hyper), _deconv(hyper, middle), last)
    return _analysis5(nn.ReLU, channels, hyper), synthesis


class _Twin(nn.Module):
    """Two networks on the same input, for means and for scales."""

    def __init__(self, means: nn.Module, scales: nn.Module) -> None:
        super().__init__()
        self.means = means
        self.scales = scales

    def forward(self, z: Tensor) -> Tensor:
        """(N, hyper, h, w) -> (N, outputs, s h, s w)."""
        return torch.cat([self.means(z), self.scales(z)], dim=1)


def _stf2022(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "The devil is in the details: window-based attention for image compression" (2022).

    Widths go from the latents' to the hyper-latents' in equal steps.
    """
    widths = [channels - (channels - hyper) * i // 4 for i in range(5)]
    analysis = _chain(
        nn.GELU,
        _conv(channels, widths[0], 3, 1),
        _conv(widths[0], widths[1], 3, 1),
        _conv(widths[1], widths[2], 3),
        _conv(widths[2], widths[3], 3, 1),
        _conv(widths[3], widths[4], 3),
    )

    def synthesis() -> nn.Module:
        return _chain(
            nn.GELU,
            _conv(hyper, widths[4], 3, 1),
            SubpixelConv2d(widths[4], widths[3]),
            _conv(widths[3], widths[2], 3, 1),
            SubpixelConv2d(widths[2], widths[1]),
            _conv(widths[1], outputs // 2, 3, 1),
        )

    return analysis, _Twin(synthesis(), synthesis())


def _ssf2020(channels: int, hyper: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """From "Scale-space flow for end-to-end optimized video compression" (2020)."""
    analysis = _chain(nn.ReLU, _conv(channels, hyper), _conv(hyper, hyper), _conv(hyper, hyper))

    def layers() -> list[nn.Module]:
        return [_deconv(hyper, hyper), _deconv(hyper, hyper), _deconv(hyper, outputs // 2)]

    # Scales are rectified as well as what leads to them.
    scales = _chain(BoundedRectifier, *layers()).append(BoundedRectifier())
    return analysis, _Twin(_chain(nn.ReLU, *layers()), scales)


NETWORKS = {
    "bmshj2018": _bmshj2018,
    "mbt2018": _mbt2018,
    "cheng2020": _cheng2020,
    "elic2022": _elic2022,
    "stf2022": _stf2022,
    "mlic2023": _mlic2023,
    "ssf2020": _ssf2020,
}
HYPER_STRIDE = 4
STRIDES = {"ssf2020": 8}


def hyper_networks(
    name: str, channels: int, hyper: int, outputs: int
) -> tuple[nn.Module, nn.Module]:
    """Networks (N, channels, s h, s w) -> (N, hyper, h, w) -> (N, outputs, s h, s w).

    name: one of `NETWORKS`; anything else raises `InvalidInputError`. s: 4, or that of `STRIDES`.
    """
    if name not in NETWORKS:
        raise InvalidInputError(f"hyper networks are one of {sorted(NETWORKS)}, not {name!r}")
    return NETWORKS[name](channels, hyper, outputs)
