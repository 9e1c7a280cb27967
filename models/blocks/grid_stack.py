"""Coarser grids side by side at a finer resolution: by the core, with gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import stack_gradient, stack_grids


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, times: list[int], height: int, width: int, *grids: Tensor) -> Tensor:
        ctx.times = times
        ctx.save_for_backward(*grids)
        own = [grid.detach() for grid in grids]
        return torch.from_numpy(stack_grids(own, times, height, width, torch.get_num_threads()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        grids = [grid.detach() for grid in ctx.saved_tensors]
        found = stack_gradient(grids, ctx.times, gradient.contiguous(), torch.get_num_threads())
        return None, None, None, *(torch.from_numpy(one) for one in found)


def grid_stack(grids: Sequence[Tensor], times: Sequence[int], height: int, width: int) -> Tensor:
    """(grids, height, width), float32, on a CPU: each grid's sides doubled, by nearest neighbour.

    grids: (h, w) each, h = ceil(height / 2^times), likewise w. times: how often each is doubled;
    what is beyond the size is cut off.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    own = (grid.contiguous() for grid in grids)
    found: Tensor = _Stack.apply(list(times), height, width, *own)
    return found
