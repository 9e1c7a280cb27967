"""Rates of grids by the core: unfolded contexts and Laplace probabilities of PyTorch in float64."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from double_precision import assert_as_in_double
from kodec.entropy.contexts.context_rate import LaplaceCoding, context_rate
from kodec.models.blocks.position_network import PositionLayer
from kodec.native import InvalidInputError

CODING = LaplaceCoding(-4.0, -5.0, 5.0, 16.0)
CAUSAL = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-3, 2), (-2, -4)]
# A network may look anywhere: what is behind a position as well.
AROUND = [(0, -1), (1, 0), (2, -3), (-1, 5)]


def plain_bits(
    grids: Sequence[Tensor],
    features: Sequence[Tensor | None],
    offsets: Sequence[tuple[int, int]],
    layers: Sequence[PositionLayer],
    branch: PositionLayer | None,
    coding: LaplaceCoding,
) -> Tensor:
    """As it is defined, grid by grid, by autograd."""
    found = []
    for grid, own in zip(grids, features, strict=True):
        height, width = grid.shape
        padded = functional.pad(grid, (8, 8, 8, 8))
        rows = [
            padded[8 + down : 8 + down + height, 8 + right : 8 + right + width].flatten()
            for down, right in offsets
        ]
        missing = layers[0].weight.shape[1] - len(rows)
        if own is None:
            rows += [torch.zeros_like(rows[0])] * missing
        else:
            wide = own.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width]
            rows += list(wide.flatten(1))
        x = h = torch.stack(rows)
        for layer in layers:
            made = layer.weight @ h + layer.bias[:, None]
            h = made + h if layer.residual else made
            if layer.activation is not None:
                h = h.relu() if layer.activation == "relu" else functional.gelu(h)
        if branch is not None:
            h = h + branch.weight @ x + branch.bias[:, None]
        scale = (h[1] + coding.shift).clamp(coding.lowest, coding.highest).exp()
        distance = (grid.flatten() - h[0]).abs() / scale
        half = 0.5 / scale
        inside = 1 - torch.exp(-half) * torch.cosh(distance.clamp(max=half.detach()))
        outside = torch.exp(-distance.clamp(min=half.detach())) * torch.sinh(half.clamp(max=300))
        probability = torch.where(distance < half, inside, outside)
        found.append(-torch.log2(probability.clamp(min=2.0**-coding.most_bits)).sum())
    return torch.stack(found)


def weights_of(inputs: int, outputs: int) -> list[Tensor]:
    return [0.3 * torch.randn(outputs, inputs) / inputs**0.5, 0.1 * torch.randn(outputs)]


@pytest.mark.parametrize(
    "sizes", [[(1, 1)], [(5, 3), (2, 7)], [(70, 61), (35, 31), (1, 40), (9, 1)], [(3, 900)]]
)
@pytest.mark.parametrize(
    ("offsets", "features", "branches"), [(CAUSAL, 3, True), (AROUND, 0, False), (CAUSAL, 2, False)]
)
def test_rate(
    sizes: list[tuple[int, int]], offsets: list[tuple[int, int]], features: int, branches: bool
) -> None:
    torch.manual_seed(0)
    count, width = len(sizes), len(offsets) + features
    # All but every second grid have features.
    has = [features > 0 and n % 2 == 0 for n in range(count)]

    def arguments(*tensors: Tensor) -> tuple[object, ...]:
        own = iter(tensors[count:])
        beside = [next(own) if has[n] else None for n in range(count)]
        weights = list(own)
        layers = [
            PositionLayer(weights[0], weights[1], residual=True, activation="relu"),
            PositionLayer(weights[2], weights[3], activation="gelu"),
            PositionLayer(weights[4], weights[5]),
        ]
        branch = PositionLayer(weights[6], weights[7]) if branches else None
        return tensors[:count], beside, offsets, layers, branch, CODING

    grids = [torch.round(2 * torch.randn(size)) + 0.2 * torch.randn(size) for size in sizes]
    own_features = [
        torch.randn(features, math.ceil(h / 2), math.ceil(w / 2))
        for (h, w), wanted in zip(sizes, has, strict=True)
        if wanted
    ]
    last = weights_of(11, 2)
    last[1][1] += 4.5
    weights = [*weights_of(width, width), *weights_of(width, 11), *last]
    if branches:
        weights += weights_of(width, 2)
    assert_as_in_double(
        lambda *tensors: context_rate(*arguments(*tensors)),  # type: ignore[arg-type]
        lambda *tensors: plain_bits(*arguments(*tensors)),  # type: ignore[arg-type]
        [*grids, *own_features, *weights],
    )


@pytest.mark.parametrize("mean", [0.0, 0.3, -7.5])
@pytest.mark.parametrize("log_scale", [-6.0, -4.9, -1.0, 0.0, 4.9, 7.0])
def test_code_lengths_of_all_scales(mean: float, log_scale: float) -> None:
    """Narrow and wide, near and far: no context counts, the biases are what is coded with."""
    values = torch.cat([torch.linspace(-9, 9, 181) + 0.013, torch.tensor([300.0, -2e4])])[None]
    bias = torch.tensor([mean, log_scale])

    def arguments(grid: Tensor, own: Tensor) -> tuple[object, ...]:
        layer = PositionLayer(torch.zeros(2, 1, dtype=own.dtype), own)
        return [grid], [None], [(0, -1)], [layer], None, CODING._replace(shift=0.0)

    assert_as_in_double(
        lambda *tensors: context_rate(*arguments(*tensors)),  # type: ignore[arg-type]
        lambda *tensors: plain_bits(*arguments(*tensors)),  # type: ignore[arg-type]
        [values, bias],
        # At narrow scales rounding of float32 values counts exp(5) times.
        2e-5,
    )


def test_shapes_that_do_not_fit() -> None:
    layer = PositionLayer(torch.zeros(2, 3), torch.zeros(2))
    grid, features = torch.ones(5, 7), torch.zeros(2, 3, 4)

    def rate(grid: Tensor, features: Tensor | None, layer: PositionLayer) -> Tensor:
        return context_rate([grid], [features], [(0, -1)], [layer], None, CODING)

    assert rate(grid, features, layer) > 0
    with pytest.raises(InvalidInputError, match="features must be"):
        rate(grid, features[:, :2], layer)
    with pytest.raises(InvalidInputError, match="must have two outputs"):
        rate(grid, features, PositionLayer(torch.zeros(3, 3), torch.zeros(3)))
    with pytest.raises(InvalidInputError, match="offsets are more than"):
        context_rate([grid], [None], [(0, -1)] * 4, [layer], None, CODING)
