"""Pyramids by the core: transposed and plain convolutions of PyTorch's in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from double_precision import assert_as_in_double
from kodec.models.blocks.grid_pyramid import grid_pyramid
from kodec.native import InvalidInputError


def halved(height: int, width: int, count: int) -> list[Tensor]:
    grids = []
    for _ in range(count):
        grids.append(torch.randn(height, width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return grids


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (37, 61), (8, 130)])
@pytest.mark.parametrize(
    ("up_taps", "own_taps", "residual"), [(8, 7, True), (2, 1, False), (4, 3, True), (12, 5, False)]
)
def test_pyramid(size: tuple[int, int], up_taps: int, own_taps: int, residual: bool) -> None:
    count = 4

    def by_core(upsampling: Tensor, refinement: Tensor, *grids: Tensor) -> Tensor:
        return grid_pyramid(grids, upsampling, refinement, residual=residual)

    def plain(upsampling: Tensor, refinement: Tensor, *grids: Tensor) -> Tensor:
        stack = grids[-1][None]
        pad, margin = up_taps, own_taps // 2
        for grid, up, own in zip(
            grids[-2::-1], upsampling.flip(0), refinement.flip(0), strict=True
        ):
            # As it is defined, without phases: both taps at a time, over ample repeated edges.
            padded = functional.pad(stack[:, None], (pad,) * 4, mode="replicate")
            wide = functional.conv_transpose2d(padded, torch.outer(up, up)[None, None], stride=2)
            first = 2 * pad + up_taps // 2 - 1
            height, width = grid.shape
            wide = wide[:, 0, first : first + height, first : first + width]
            kernel = torch.outer(own, own)[None, None]
            refined = functional.conv2d(grid[None, None], kernel, padding=margin)[0]
            stack = torch.cat([refined + grid if residual else refined, wide])
        return stack

    torch.manual_seed(0)
    filters = [torch.randn(count - 1, taps) / taps**0.5 for taps in (up_taps, own_taps)]
    assert_as_in_double(by_core, plain, [*filters, *halved(*size, count)])


def test_grids_that_are_no_halves() -> None:
    grids = [torch.zeros(9, 8), torch.zeros(4, 4)]
    with pytest.raises(InvalidInputError, match="half the sides of the one before, rounded up"):
        grid_pyramid(grids, torch.zeros(1, 8), torch.zeros(1, 7))
