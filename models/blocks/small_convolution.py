"""Convolutions of a few channels: by the core, with gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import small_convolution as core_convolution
from kodec.native.grids import small_convolution_gradient

from .position_network import layer_gradients


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, residual: bool, rectified: bool
    ) -> Tensor:
        out = torch.from_numpy(
            core_convolution(
                x.detach(),
                weight.detach().contiguous(),
                bias.detach().contiguous(),
                residual,
                rectified,
                torch.get_num_threads(),
            )
        )
        ctx.residual, ctx.rectified = residual, rectified
        ctx.save_for_backward(x, weight, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, out = ctx.saved_tensors
        found, of_weights = small_convolution_gradient(
            x.detach(),
            weight.detach().contiguous(),
            out.detach(),
            gradient.contiguous(),
            ctx.residual,
            ctx.rectified,
            ctx.needs_input_grad[0],
            torch.get_num_threads(),
        )
        of_x = None if found is None else torch.from_numpy(found)
        return of_x, *layer_gradients(of_weights, [weight, bias]), None, None


def small_convolution(
    x: Tensor, weight: Tensor, bias: Tensor, *, residual: bool = False, rectified: bool = False
) -> Tensor:
    """k x k convolution, edges repeated: (inputs, H, W) -> (outputs, H, W), float32, on a CPU.

    weight: (outputs, inputs, k, k), k odd and at most 15. bias: (outputs,). residual: x is added.
    rectified: ReLU behind. Gradients do not depend on the number of threads.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    found: Tensor = _Convolution.apply(x.contiguous(), weight, bias, residual, rectified)
    return found
