"""Features to pixels at full resolution by a few hundred weights.

    features --1x1--ReLU--1x1--> colours --3x3 + itself--ReLU-- ... --3x3 + itself--(+)--> picture
    +--1x1----------------------------------------------------------------------------/

In float32 on a CPU all of it is the core's, which keeps no hidden layer in memory.

Source: "Cool-Chic" 5 (Orange, 2025).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.position_network import PositionLayer, position_network
from kodec.models.blocks.small_convolution import small_convolution


class Convolution(NamedTuple):
    """A layer: weight (outputs, inputs, k, k), bias (outputs)."""

    weight: Tensor
    bias: Tensor


class GridSynthesis(NamedTuple):
    """Weights: hidden and output are 1x1, residual 3x3 of colours to colours, branch 1x1."""

    hidden: Convolution
    output: Convolution
    residual: tuple[Convolution, ...]
    branch: Convolution


def _pointwise(x: Tensor, layer: Convolution) -> Tensor:
    """A 1x1 layer on (channels, positions)."""
    return torch.addmm(layer.bias.unsqueeze(1), layer.weight.flatten(1), x)


def synthesise(features: Tensor, weights: GridSynthesis) -> Tensor:
    """Features (1, C, H, W) to the picture (1, colours, H, W), about 0 to 1 and not clamped."""
    if not core_takes_floats(features, weights.output.weight):
        return plain_synthesise(features, weights)
    layers = [
        PositionLayer(weights.hidden.weight.flatten(1), weights.hidden.bias, activation="relu"),
        PositionLayer(weights.output.weight.flatten(1), weights.output.bias),
    ]
    branch = PositionLayer(weights.branch.weight.flatten(1), weights.branch.bias)
    size = features.shape[-2:]
    x, beside = position_network(features.squeeze(0).flatten(1), layers, branch)
    x = x.unflatten(1, size)
    for number, layer in enumerate(weights.residual):
        last = number + 1 == len(weights.residual)
        x = small_convolution(x, *layer, residual=True, rectified=not last)
    picture: Tensor = (x + beside.unflatten(1, size)).unsqueeze(0)
    return picture


def plain_synthesise(features: Tensor, weights: GridSynthesis) -> Tensor:
    """`synthesise` in PyTorch."""
    size = features.shape[-2:]
    flat = features.squeeze(0).flatten(1)
    x = _pointwise(_pointwise(flat, weights.hidden).relu(), weights.output)
    x = x.unflatten(1, size).unsqueeze(0)
    for number, layer in enumerate(weights.residual):
        x = x + F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), layer.weight, layer.bias)
        # The last one may be negative: the branch is added to it.
        if number + 1 < len(weights.residual):
            x = x.relu()
    picture: Tensor = x + _pointwise(flat, weights.branch).unflatten(1, size)
    return picture
