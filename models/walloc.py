"""WaLLoC's transforms: a wavelet packet and one linear layer forth, a network back.

    x - 1/2 --> wavelet packet --> 1x1 --> y
    y --> residual blocks, attention --> inverse wavelet packet --> x_hat - 1/2

The companding that bounds its integers is the latent model's. Source: "Learned compression for
compressed learning" (2024).
"""

import math

from torch import Tensor, nn

from .blocks import PaddedConv2d
from .wavelet_packet import WaveletPacket

PIXEL_CHANNELS = 3


def _normalisation(channels: int) -> nn.GroupNorm:
    # 32 groups, or as many as the width allows: of two channels at least, because a group of one
    # value cannot be normalised.
    groups = math.gcd(32, channels)
    return nn.GroupNorm(groups if groups < channels else max(groups // 2, 1), channels, eps=1e-6)


class _Residual(nn.Module):
    """x + two 3x3 convolutions, each behind normalisation and SiLU: (N, C, H, W), same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _normalisation(channels),
            nn.SiLU(),
            PaddedConv2d(channels, channels),
            _normalisation(channels),
            nn.SiLU(),
            PaddedConv2d(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class _Attention(nn.Module):
    """x + attention of every position over all, one head: (N, C, H, W), same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normalise = _normalisation(channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        positions = self.normalise(x).flatten(2).mT
        # With an axis of one head, which the memory-saving kernels want.
        heads = [layer(positions)[:, None] for layer in (self.query, self.key, self.value)]
        mixed = nn.functional.scaled_dot_product_attention(*heads)[:, 0]
        out: Tensor = x + self.out(mixed).mT.reshape(x.shape)
        return out


class WaLLoCAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/2^levels, W/2^levels), linear.

    The published sizes are 3 levels with 12 latents and 4 levels with 48.
    """

    def __init__(self, levels: int = 3, latents: int = 12) -> None:
        super().__init__()
        self.stride = 2**levels
        self.packet = WaveletPacket(levels)
        self.project = nn.Conv2d(PIXEL_CHANNELS * 4**levels, latents, 1)

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of the stride -> (N, latents, H/stride, W/stride)."""
        out: Tensor = self.project(self.packet(x - 0.5))
        return out


class WaLLoCSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 2^levels h, 2^levels w), around [0, 1].

    width: of its network, which works at the latents' resolution. Its attention is global: time
    grows with the square of h w.
    """

    def __init__(self, levels: int = 3, latents: int = 12, width: int = 768) -> None:
        super().__init__()
        self.stride = 2**levels
        self.layers = nn.Sequential(
            PaddedConv2d(latents, width),
            _Residual(width),
            _Attention(width),
            *(_Residual(width) for _ in range(4)),
            _normalisation(width),
            nn.SiLU(),
            PaddedConv2d(width, PIXEL_CHANNELS * 4**levels),
        )
        self.packet = WaveletPacket(levels)

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, stride h, stride w)."""
        return self.packet.inverse(self.layers(y)) + 0.5
