"""Stacks of grids by the core: PyTorch's repetition."""

import pytest
import torch
from torch import Tensor

from double_precision import assert_as_in_double
from kodec.models.blocks.grid_stack import grid_stack
from kodec.native import InvalidInputError


@pytest.mark.parametrize("size", [(1, 1), (5, 12), (33, 18)])
def test_stack(size: tuple[int, int]) -> None:
    height, width = size
    times = [0, 1, 1, 3]

    def by_core(*grids: Tensor) -> Tensor:
        return grid_stack(grids, times, height, width)

    def plain(*grids: Tensor) -> Tensor:
        wide = [
            grid.repeat_interleave(2**doublings, 0).repeat_interleave(2**doublings, 1)
            for grid, doublings in zip(grids, times, strict=True)
        ]
        return torch.stack([grid[:height, :width] for grid in wide])

    torch.manual_seed(0)
    shapes = [(-(-height // 2**own), -(-width // 2**own)) for own in times]
    assert_as_in_double(by_core, plain, [torch.randn(shape) for shape in shapes])


def test_a_grid_of_another_size() -> None:
    with pytest.raises(InvalidInputError, match="divided by 2\\^times, rounded up"):
        grid_stack([torch.zeros(4, 4)], [1], 9, 8)
