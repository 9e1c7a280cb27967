"""Where values lie in memory: it changes no result, but how long convolutions take on a CPU."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W), the same values, channels last in memory; what follows mostly stays so.

    Channels first where gradients are asked for on a CPU: in the other order oneDNN (torch 2.14,
    AVX2) damages the heap in the backward pass of the residual transforms' convolutions.
    """
    if torch.is_grad_enabled() and x.device.type == "cpu":
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last)


def add_to(own: Tensor, other: Tensor) -> Tensor:
    """own + other, in `own`'s memory where no gradient needs what it held.

    For an `own` that was just made, and that nothing else holds.
    """
    if torch.is_grad_enabled() or torch.result_type(own, other) != own.dtype:
        return own + other
    return own.add_(other)
