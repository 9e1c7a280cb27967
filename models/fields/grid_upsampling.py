"""Grids at halving resolutions to one stack of full resolution, by short learned filters.

    coarsest --x2--+          +--x2--+        ... --> features, finest first
                   v          |      v
    next ---7 taps + itself--cat    cat--
                                     ^
    next ---7 taps + itself----------+

In float32 on a CPU all of it is the core's (`grid_pyramid`).

Source: "Upsampling improvement for overfitted neural coding" (2024), as in Cool-chic 5.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.grid_pyramid import grid_pyramid

# Where fits start: nearly a bicubic doubling.
BICUBIC = (0.0351562, 0.1054687, -0.2617187, -0.8789063)
DOUBLING_TAPS = 8
LATERAL_TAPS = 7


class GridFilters(NamedTuple):
    """Filters of each step, coarsest first: (4,) each, the first half of symmetric taps.

    doubling: a b c d, of the 8 taps a b c d d c b a of a doubling by rows and columns. lateral: of
    7 taps a b c d c b a on the grid that joins.
    """

    doubling: tuple[Tensor, ...]
    lateral: tuple[Tensor, ...]


def _shifted(x: Tensor, dim: int, reach: int) -> list[Tensor]:
    """x as it is seen from -reach to +reach steps along `dim`."""
    length = x.shape[dim] - 2 * reach
    return [x.narrow(dim, start, length) for start in range(2 * reach + 1)]


def _doubled(x: Tensor, half: Tensor, dim: int) -> Tensor:
    """x (C, h, w) with its rows (dim -1) or columns (dim -2) twice as long, ends repeated.

    Each output sees every second of the 8 taps of the transposed filter. Sums of shifted grids: for
    a single channel several times as fast as a convolution.
    """
    a, b, c, d = half.unbind()
    pad = (2, 2, 0, 0) if dim == -1 else (0, 0, 2, 2)
    far, left, middle, right, beyond = _shifted(F.pad(x, pad, mode="replicate"), dim, 2)
    even = a * far + c * left + d * middle + b * right
    odd = b * left + d * middle + c * right + a * beyond
    return torch.stack([even, odd], dim).flatten(*((-2, -1) if dim == -1 else (-3, -2)))


def _lateral(grid: Tensor, half: Tensor) -> Tensor:
    """A grid (h, w), filtered along rows and columns, zeros beyond it, plus itself."""
    taps = half.unbind()
    x = grid
    for dim, pad in ((-1, (3, 3, 0, 0)), (-2, (0, 0, 3, 3))):
        shifted = _shifted(F.pad(x, pad), dim, 3)
        x = taps[3] * shifted[3]
        for number in range(3):
            x = x + taps[number] * (shifted[number] + shifted[6 - number])
    return x + grid


def upsample(grids: Sequence[Tensor], filters: GridFilters) -> Tensor:
    """(1, C, H, W), a channel for each grid.

    grids: (h, w) each, finest first, (H, W) for the first and halved, rounded up, from each to the
    next.
    """
    if len(grids) == 1 or not core_takes_floats(*grids, *filters.doubling, *filters.lateral):
        return plain_upsample(grids, filters)
    doubling, lateral = (torch.stack(taps[::-1]) for taps in filters)
    return grid_pyramid(
        grids,
        torch.cat([doubling, doubling.flip(1)], 1),
        torch.cat([lateral, lateral[:, :-1].flip(1)], 1),
    ).unsqueeze(0)


def plain_upsample(grids: Sequence[Tensor], filters: GridFilters) -> Tensor:
    """`upsample` in PyTorch."""
    features = grids[-1].unsqueeze(0)
    for grid, doubling, lateral in zip(
        grids[-2::-1], filters.doubling, filters.lateral, strict=True
    ):
        height, width = grid.shape
        features = _doubled(_doubled(features, doubling, -1), doubling, -2)
        features = torch.cat([_lateral(grid, lateral)[None], features[:, :height, :width]])
    return features.unsqueeze(0)
