"""C3's way from grids to pixels: bilinear upsampling, a small network a pixel, two residual layers.

Source: "C3: High-performance and low-complexity neural compression from a single image or video"
(2024).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .grid_synthesis import Convolution


class C3Synthesis(NamedTuple):
    """Weights: layers of 1x1, GELU between them; residual ones of 3x3 on the colours."""

    layers: tuple[Convolution, ...]
    residual: tuple[Convolution, ...]


def stacked(grids: Sequence[Tensor]) -> Tensor:
    """(1, C, H, W) of grids (h, w), each enlarged bilinearly to the size of the first."""
    size = grids[0].shape
    enlarged = [
        F.interpolate(grid[None, None], size=size, mode="bilinear", align_corners=False)
        for grid in grids
    ]
    return torch.cat(enlarged, 1)


def c3_synthesis(features: Tensor, weights: C3Synthesis) -> Tensor:
    """Features (1, C, H, W) to the picture (1, colours, H, W), about 0 to 1 and not clamped."""
    x = features
    for number, layer in enumerate(weights.layers):
        x = F.conv2d(F.gelu(x) if number else x, layer.weight, layer.bias)
    for number, layer in enumerate(weights.residual):
        if number:
            x = F.gelu(x)
        x = x + F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), layer.weight, layer.bias)
    return x
