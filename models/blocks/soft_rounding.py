"""Soft rounding under noise: by the core, with its gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import soft_round


class _SoftRounding(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, noise: Tensor, temperature: float, gain: float, with_slope: bool
    ) -> Tensor:
        out, slope = soft_round(
            x.detach().view(-1),
            noise.detach().view(-1),
            gain,
            temperature,
            with_slope,
            torch.get_num_threads(),
        )
        if slope is not None:
            ctx.save_for_backward(torch.from_numpy(slope).view(x.shape))
        return torch.from_numpy(out).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None, None, None


def soft_rounded_twice(x: Tensor, noise: Tensor, temperature: float, gain: float = 1.0) -> Tensor:
    """r(r(x * gain) + noise), any shape, float32 on a CPU; noise is of x's shape, no gradient.

    r draws values to the nearest integer, all the way as the temperature (0.01 to 1000) falls:
    floor(x) + 1/2 + tanh(d / temperature) / (2 tanh(1 / (2 temperature))), d = x - floor(x) - 1/2.

    Raises:
        InvalidInputError: shapes do not fit, or a temperature out of range.

    Source: "C3: High-performance and low-complexity neural compression from a single image or
    video" (2024).
    """
    with_slope = torch.is_grad_enabled() and x.requires_grad
    found: Tensor = _SoftRounding.apply(
        x.contiguous(), noise.contiguous(), temperature, gain, with_slope
    )
    return found
