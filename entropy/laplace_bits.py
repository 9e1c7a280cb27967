"""Code lengths of Laplace symbols in training, with their gradients in closed form."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.models.blocks import lower_bound


class _Bits(torch.autograd.Function):
    """One node of the graph for what would be some fifty: most of a step's small operations."""

    @staticmethod
    def forward(ctx: Any, noisy: Tensor, symbols: Tensor, log_scale: Tensor) -> Tensor:
        inverse = torch.exp(-log_scale)
        # P(0) = 1 - e, and P(v) = e^(2 |v| - 1) (1 - e^2) / 2 for others, e = exp(-1 / (2 scale)).
        at_zero = -torch.expm1(-0.5 * inverse)
        e = 1 - at_zero
        zero = symbols == 0
        tail = (symbols.abs() - 0.5).clamp_(min=0).mul_(inverse)
        outside = at_zero * (2 - at_zero)
        bits = (tail - torch.log(torch.where(zero, at_zero, 0.5 * outside))) / math.log(2)
        rise = torch.where(zero, 0.5 * e / at_zero, e.square() / outside)
        of_scale = rise.mul_(inverse).sub_(tail).div_(math.log(2))
        # Under noise: a slope of 1 / scale outside the central interval, inside that of
        # -log(1 - (exp(-low) + exp(-high)) / 2).
        size = noisy.abs()
        low = torch.exp((size - 0.5).clamp_(max=0).mul_(inverse))
        high = e.square() / low
        centre = 0.5 * (low - high) / (1 - 0.5 * (low + high))
        slope = torch.where(size < 0.5, centre, 1.0).mul_(inverse).div_(math.log(2))
        ctx.save_for_backward(torch.copysign(slope, noisy), of_scale)
        return bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        of_noisy, of_scale = ctx.saved_tensors
        return gradient * of_noisy, None, gradient * of_scale


def laplace_training_bits(
    noisy: Tensor, symbols: Tensor, log_scale: Tensor, log_smallest: float
) -> Tensor:
    """Bits of integer `symbols` (N, ...) at scales of at least exp(`log_smallest`).

    The gradient of `log_scale` is that of these bits; that of `noisy`, the same values under noise
    before rounding, is that of the code length there (see `LocationScale.training_bits`).
    """
    bits: Tensor = _Bits.apply(noisy, symbols, lower_bound(log_scale, log_smallest))
    return bits
