"""C3's way from grids to pixels: bilinear upsampling, a small network a pixel, two residual layers.

Source: "C3: High-performance and low-complexity neural compression from a single image or video"
(2024).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.position_network import PositionLayer, position_network
from kodec.models.blocks.small_convolution import small_convolution

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
    """Features (1, C, H, W) to the picture (1, colours, H, W), about 0 to 1 and not clamped.

    In float32 on a CPU all of it but the GELU of colours is the core's.
    """
    if not core_takes_floats(features, weights.layers[0].weight):
        return plain_c3_synthesis(features, weights)
    *inner, last = ((layer.weight.flatten(1), layer.bias) for layer in weights.layers)
    network = [PositionLayer(*layer, activation="gelu") for layer in inner]
    network.append(PositionLayer(*last))
    (flat,) = position_network(features.squeeze(0).flatten(1), network)
    x: Tensor = flat.unflatten(1, features.shape[-2:])
    for number, layer in enumerate(weights.residual):
        x = small_convolution(F.gelu(x) if number else x, *layer, residual=True)
    return x.unsqueeze(0)


def plain_c3_synthesis(features: Tensor, weights: C3Synthesis) -> Tensor:
    """`c3_synthesis` in PyTorch."""
    x = features
    for number, layer in enumerate(weights.layers):
        x = F.conv2d(F.gelu(x) if number else x, layer.weight, layer.bias)
    for number, layer in enumerate(weights.residual):
        if number:
            x = F.gelu(x)
        x = x + F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), layer.weight, layer.bias)
    return x
