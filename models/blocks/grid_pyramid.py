"""Grids at halving resolutions to one stack, by short separable filters: by the core.

coarsest --x2--+          +--x2--+        ... --> (grids, H, W), finest first
               v          |      v
next --filter--stack------+    stack--
                                 ^
next --filter--------------------+
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import build_pyramid, pyramid_gradient


class _Pyramid(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, residual: bool, upsampling: Tensor, refinement: Tensor, *grids: Tensor
    ) -> Tensor:
        stacks = build_pyramid(
            [grid.detach() for grid in grids],
            upsampling.detach(),
            refinement.detach(),
            residual,
            torch.get_num_threads(),
        )
        # All but the finest are needed again.
        ctx.residual, ctx.stacks = residual, [None, *stacks[1:]]
        ctx.save_for_backward(upsampling, refinement, *grids)
        return torch.from_numpy(stacks[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        upsampling, refinement, *grids = (saved.detach() for saved in ctx.saved_tensors)
        found, of_upsampling, of_refinement = pyramid_gradient(
            grids,
            upsampling,
            refinement,
            ctx.residual,
            ctx.stacks,
            gradient.contiguous(),
            torch.get_num_threads(),
        )
        of_filters = torch.from_numpy(of_upsampling), torch.from_numpy(of_refinement)
        return None, *of_filters, *(torch.from_numpy(one) for one in found)


def grid_pyramid(
    grids: Sequence[Tensor], upsampling: Tensor, refinement: Tensor, *, residual: bool = True
) -> Tensor:
    """(grids, H, W), float32, on a CPU: every grid at the finest one's resolution.

    Filters are applied along rows and along columns. Gradients do not depend on the number of
    threads.

    Args:
        grids: (h, w) each, finest first; sides are halved, rounded up, from each to the next.
        upsampling: (grids - 1, K), K even and at most 16: taps that bring all coarser grids to grid
            0, 1, ... What is at x goes to 2 x + t - K / 2 + 1 by tap t; edges are repeated.
        refinement: (grids - 1, T), T odd and at most 15: taps of grid 0, 1, ..., zeros around it.
        residual: the grid itself is added to what refinement gives.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    found: Tensor = _Pyramid.apply(
        residual,
        upsampling.contiguous(),
        refinement.contiguous(),
        *(grid.contiguous() for grid in grids),
    )
    return found
