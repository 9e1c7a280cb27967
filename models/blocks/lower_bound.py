"""A lower bound that training can leave again."""

import torch
from torch import Tensor


class _LowerBound(torch.autograd.Function):
    """max(x, bound); below the bound, only gradients that raise x pass."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound  # type: ignore[attr-defined]
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        (grad,) = grads
        passes = (x >= ctx.bound) | (grad < 0)  # type: ignore[attr-defined]
        return grad * passes, None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound), elementwise; a gradient that would raise x is kept even below the bound."""
    out: Tensor = _LowerBound.apply(x, bound)
    return out
