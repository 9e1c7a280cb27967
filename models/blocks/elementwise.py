"""Elementwise functions that are quick where no gradient is wanted."""

import math

import torch
from torch import Tensor, nn

from .core_tokens import core_takes_tokens, curved_tokens
from .core_training import core_trains_gelu, trained_gelu

_SLOPE = -2 * math.sqrt(2 / math.pi)
_CUBE = 0.044715


def gelu(x: Tensor) -> Tensor:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))): any shape, the same shape.

    Without gradients the same as x / (1 + exp(-2 ...)), equal up to rounding: PyTorch's exp takes
    a third of the time of its tanh. Source: "Gaussian error linear units" (2016).
    """
    if core_takes_tokens(x):
        return curved_tokens(x)
    if core_trains_gelu(x):
        return trained_gelu(x)
    if torch.is_grad_enabled():
        return nn.functional.gelu(x, approximate="tanh")
    exponent = torch.addcmul(x.new_full((), _SLOPE), x, x, value=_SLOPE * _CUBE).mul_(x)
    return torch.div(x, exponent.exp_().add_(1), out=exponent)


class GELU(nn.Module):
    """`gelu` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return gelu(x)


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine: any shape, the same shape.

    Without gradients log(|x| + sqrt(x^2 + 1)) with the sign of x, off by about the precision of
    1.0 near zero, where PyTorch's own keeps every bit but takes four times as long.
    """
    if torch.is_grad_enabled():
        return torch.asinh(x)
    size = x.abs()
    root = torch.addcmul(x.new_ones(()), size, size).sqrt_()
    return torch.copysign(root.add_(size).log_(), x, out=root)
