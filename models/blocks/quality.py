"""Conditioning on the quality step: an embedding, and feature modulation by it."""

import torch
from torch import Tensor, nn

from .convolution import PaddedConv2d, PointwiseConv2d, convolve
from .core_floats import core_takes
from .core_training import core_trains_gelu, trained_modulated_gelu
from .elementwise import gelu
from .finish import Finish
from .zero import zeroed

QUALITY_STEPS = 64


def normalised(quality: Tensor) -> Tensor:
    """Quality (N,) in [0, 63] to [-1, 1]."""
    return quality * (2 / (QUALITY_STEPS - 1)) - 1


class QualityEmbedding(nn.Module):
    """Quality (N,) in [0, 63] -> (N, width), smooth in quality."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        # Follows the module's device and precision.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.like: Tensor

    def forward(self, quality: Tensor) -> Tensor:
        """(N,) -> (N, width)."""
        t = normalised(quality.to(self.like))
        powers = torch.stack([t, t**2, t**3], dim=1)
        out: Tensor = self.layers(powers)
        return out


class Modulation(nn.Module):
    """x * (1 + scale(e)) + shift(e), channel-wise; the identity at the start.

    `e`: (N, embedding). `x`: (N, C, H, W).
    """

    def __init__(self, embedding: int, channels: int) -> None:
        super().__init__()
        self.affine = zeroed(nn.Linear(embedding, 2 * channels))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(N, C, H, W), (N, embedding) -> (N, C, H, W)."""
        scale, shift = self.affine(e)[..., None, None].chunk(2, dim=1)
        out: Tensor = x * (1 + scale) + shift
        return out

    def gelu(self, x: Tensor, e: Tensor) -> Tensor:
        """GELU of what `forward` makes: (N, C, H, W), (N, embedding) -> (N, C, H, W)."""
        if not core_trains_gelu(x):
            return gelu(self(x, e))
        affine = self.affine(e).unflatten(1, (2, -1))
        return trained_modulated_gelu(x, torch.stack([1 + affine[:, 0], affine[:, 1]], dim=1))

    def after(self, layer: PointwiseConv2d, x: Tensor, e: Tensor) -> Tensor:
        """What `forward` makes of layer(x), in one pass where it can be."""
        if len(e) > 1 or not core_takes(x):
            out: Tensor = self(layer(x), e)
            return out
        out = layer(x, Finish(affine=self._affine(e)))
        return out

    def gelu_after(self, layer: PaddedConv2d, x: Tensor, e: Tensor) -> Tensor:
        """GELU of what `forward` makes of layer(x), for one sample, in one pass where it can be."""
        if core_takes(x):
            out: Tensor = layer(x, Finish(affine=self._affine(e), curved=True))
            return out
        scale, shift = self.affine(e)[0].chunk(2)
        weight = layer.weight * (1 + scale)[:, None, None, None]
        bias = torch.addcmul(shift, layer.bias, 1 + scale)
        return gelu(convolve(x, weight, bias))

    def _affine(self, e: Tensor) -> Tensor:
        """Scales and shifts (2, C) of one sample."""
        scale, shift = self.affine(e)[0].chunk(2)
        return torch.stack([1 + scale, shift])
