"""Code lengths of grids of latents at halving resolutions: contexts, ARM, IFCE, Laplace bits.

    a grid --causal neighbours--------------------------------+
    coarser grids --nearest, level k + 1--IFCE k--doubled--+  |
                                                           v  v
                                        contexts x, width D = neighbours + features
    x --> relu(W x + b + x) --> relu(W h + b + h) --> linear --(+)--> mean, log scale + 4
    +--> linear branch ----------------------------------------/

All grids share one network; features are zero where a grid has no IFCE. Matrices hold one position
a column, so that a context is a row: a grid, shifted.

In float32 on a CPU all of it is the core's, without any matrix of contexts (`context_rate`); what
stands here in PyTorch is for other tensors, and what the core is held to.

Source: "Cool-Chic" 4 and 5 (Orange, 2023 to 2025), the autoregressive module and the inter-feature
context extractor.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.entropy.latents.integer_arm import CONTEXTS, LOG_SCALE_OFFSET
from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.grid_stack import grid_stack
from kodec.models.blocks.position_network import PositionLayer, position_network

from .context_rate import LaplaceCoding, context_rate

# Of `CONTEXTS`, either way.
REACH = 4

LOG_SCALE_BOUND = 5.0

# What the rarest symbol is charged in training.
MOST_BITS = 16
LATENT_CODING = LaplaceCoding(-LOG_SCALE_OFFSET, -LOG_SCALE_BOUND, LOG_SCALE_BOUND, MOST_BITS)
"""How grids of latents are coded: the network's log scale is `LOG_SCALE_OFFSET` too high."""


class Affine(NamedTuple):
    """A layer: weight (outputs, inputs), bias (outputs)."""

    weight: Tensor
    bias: Tensor


class GridArm(NamedTuple):
    """Weights of the network that predicts grids.

    hidden: of D to D, residual, with ReLU behind; output, branch: D to 2. ifce: of grids 0, 1, ...
    (finest first), each from as many values as there are coarser grids, coded before, to the same
    number of features F. D - F is the number of causal neighbours.
    """

    hidden: tuple[Affine, ...]
    output: Affine
    branch: Affine
    ifce: tuple[Affine, ...]

    @property
    def neighbours(self) -> int:
        """How many positions of the grid itself are looked at."""
        features = self.ifce[0].bias.shape[0] if self.ifce else 0
        return self.output.weight.shape[1] - features


class _Neighbours(torch.autograd.Function):
    """Grids (h, w) to the columns of their neighbours, (count, all positions)."""

    @staticmethod
    def forward(ctx: Any, count: int, *grids: Tensor) -> Tensor:
        ctx.shapes = [grid.shape for grid in grids]
        out = grids[0].new_empty((count, sum(grid.numel() for grid in grids)))
        start = 0
        for grid in grids:
            height, width = grid.shape
            padded = torch.nn.functional.pad(grid, (REACH, REACH, REACH, 0))
            part = out[:, start : start + grid.numel()].unflatten(1, (height, width))
            for row, (down, right) in zip(part, CONTEXTS[:count], strict=True):
                top, left = REACH + down, REACH + right
                row.copy_(padded[top : top + height, left : left + width])
            start += grid.numel()
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None]
        start = 0
        for height, width in ctx.shapes:
            padded = gradient.new_zeros((height + REACH, width + 2 * REACH))
            part = gradient[:, start : start + height * width].unflatten(1, (height, width))
            for row, (down, right) in zip(part, CONTEXTS, strict=False):
                top, left = REACH + down, REACH + right
                padded[top : top + height, left : left + width] += row
            found.append(padded[REACH:, REACH : REACH + width])
            start += height * width
        return tuple(found)


def doubled(x: Tensor, times: int, height: int, width: int) -> Tensor:
    """(..., h, w) to (..., height, width) by nearest neighbour, its sides doubled `times` times."""
    for _ in range(times):
        x = x.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return x[..., :height, :width]


def inter_grid_features(
    grids: Sequence[Tensor], levels: Sequence[int], ifce: Sequence[Affine]
) -> list[Tensor]:
    """Of each grid with an IFCE, its features (F, h, w).

    grids: (h, w), finest first. levels: how often each grid's sides were halved.
    """
    features = []
    for number, layer in enumerate(ifce):
        level = levels[number] + 1
        coarser = grids[number + 1 :]
        height, width = (math.ceil(side / 2) for side in grids[number].shape)
        stack = torch.stack(
            [
                doubled(grid, other - level, height, width)
                for grid, other in zip(coarser, levels[number + 1 :], strict=True)
            ]
        )
        found = torch.addmm(layer.bias.unsqueeze(1), layer.weight, stack.flatten(1))
        features.append(doubled(found.unflatten(1, (height, width)), 1, *grids[number].shape))
    return features


def grid_contexts(
    grids: Sequence[Tensor], levels: Sequence[int], neighbours: int, ifce: Sequence[Affine]
) -> Tensor:
    """(D, P): what the network sees of each of the P positions of all grids in turn."""
    x: Tensor = _Neighbours.apply(neighbours, *grids)
    features = [f.flatten(1) for f in inter_grid_features(grids, levels, ifce)]
    if not features:
        return x
    rest = x.shape[1] - sum(f.shape[1] for f in features)
    padding = x.new_zeros(len(features[0]), rest)
    return torch.cat([x, torch.cat([*features, padding], dim=1)])


def arm_outputs(x: Tensor, arm: GridArm) -> Tensor:
    """(2, P) of contexts (D, P): mean, and log scale plus `LOG_SCALE_OFFSET`."""
    h = x
    for layer in arm.hidden:
        residual = layer.weight + torch.eye(len(layer.bias), dtype=x.dtype, device=x.device)
        h = torch.addmm(layer.bias.unsqueeze(1), residual, h).relu()
    out = torch.addmm((arm.output.bias + arm.branch.bias).unsqueeze(1), arm.output.weight, h)
    return torch.addmm(out, arm.branch.weight, x)


class _LaplaceBits(torch.autograd.Function):
    """Bits and their gradients in closed form: a few operations instead of some thirty."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        clamped = log_scale.clamp(-LOG_SCALE_BOUND, LOG_SCALE_BOUND)
        inverse = torch.exp(-clamped)
        distance = values - mean
        size = distance.abs()
        # The densities at the two ends of the interval, up to 1 / (2 scale).
        near = torch.exp((size - 0.5).abs_().mul_(inverse).neg_())
        far = torch.exp((size + 0.5).mul_(inverse).neg_())
        inside = size < 0.5
        probability = 0.5 * torch.where(inside, 2 - near - far, near - far)
        least = 2.0**-MOST_BITS
        bits = probability.clamp(min=least).log2_().neg_()
        # d bits = -d P / (P ln 2); none where the probability or the scale is at a bound.
        factor = inverse / (probability * (2 * math.log(2)))
        factor = torch.where(probability < least, 0.0, factor)
        of_size = (near - far) * factor
        of_scale = ((size + 0.5) * far - (size - 0.5) * near) * factor
        of_scale = torch.where(clamped == log_scale, of_scale, 0.0)
        ctx.save_for_backward(torch.copysign(of_size, distance), of_scale)
        return bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_distance, of_scale = ctx.saved_tensors
        of_values = gradient * of_distance
        return of_values, -of_values, gradient * of_scale


def laplace_bits(values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Bits of each value's unit interval under a Laplace distribution, all of one shape.

    Log scales are clamped to +-`LOG_SCALE_BOUND`; no value costs more than `MOST_BITS`.
    """
    bits: Tensor = _LaplaceBits.apply(values, mean, log_scale)
    return bits


def arm_rate(grids: Sequence[Tensor], levels: Sequence[int], arm: GridArm) -> Tensor:
    """Bits of each grid, (number of grids,): relaxed values in training, else integers.

    grids: (h, w) each, finest first, the order in which they are coded backwards; levels: how often
    each one's sides were halved.
    """
    if not core_takes_floats(*grids, arm.output.weight):
        return plain_arm_rate(grids, levels, arm)
    features: list[Tensor | None] = []
    for number, layer in enumerate(arm.ifce):
        size = [math.ceil(side / 2) for side in grids[number].shape]
        times = [level - levels[number] - 1 for level in levels[number + 1 :]]
        stack = grid_stack(grids[number + 1 :], times, *size)
        (found,) = position_network(stack.flatten(1), [PositionLayer(*layer)])
        features.append(found.unflatten(1, size))
    features += [None] * (len(grids) - len(features))
    layers = [PositionLayer(*layer, residual=True, activation="relu") for layer in arm.hidden]
    return context_rate(
        grids,
        features,
        CONTEXTS[: arm.neighbours],
        [*layers, PositionLayer(*arm.output)],
        PositionLayer(*arm.branch),
        LATENT_CODING,
    )


def plain_arm_rate(grids: Sequence[Tensor], levels: Sequence[int], arm: GridArm) -> Tensor:
    """`arm_rate` in PyTorch."""
    x = grid_contexts(grids, levels, arm.neighbours, arm.ifce)
    mean, log_scale = arm_outputs(x, arm)
    values = torch.cat([grid.flatten() for grid in grids])
    bits = laplace_bits(values, mean, log_scale - LOG_SCALE_OFFSET)
    return torch.stack([part.sum() for part in bits.split([grid.numel() for grid in grids])])
