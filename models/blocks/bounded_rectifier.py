"""A rectifier with an upper bound, which training can leave at either end."""

import torch
from torch import Tensor, nn

# Of the surrogate gradient exp(-|WIDTH (2 x / bound - 1)|^STEEPNESS), almost a box: WIDTH is
# gamma(1 + 1 / STEEPNESS), by which the box has the rectifier's own width.
STEEPNESS = 100
WIDTH = 0.9943258522851727


class _Bounded(torch.autograd.Function):
    """min(max(x, 0), bound), with the surrogate gradient outside of its range."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound  # type: ignore[attr-defined]
        return x.clamp(0, bound)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        (grad,) = grads
        bound: float = ctx.bound  # type: ignore[attr-defined]
        passes = torch.exp(-(WIDTH * (2 * x / bound - 1)).abs().pow(STEEPNESS))
        return torch.where((x < 0) | (x > bound), grad * passes, grad), None


class BoundedRectifier(nn.Module):
    """min(max(x, 0), 255), elementwise, of tensors of any shape.

    Just outside of the range some of the gradient passes. Nothing is rounded. Source: "Integer
    networks for data compression with latent-variable models" (2019), without its integers.
    """

    bound = 255.0

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        out: Tensor = _Bounded.apply(x, self.bound)
        return out
