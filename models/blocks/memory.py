"""Where values lie in memory: it changes no result, but how long convolutions take on a CPU."""

import torch
from torch import Tensor

from .winograd import nnpack_is_quicker


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W), the same values, channels last in memory; what follows mostly stays so.

    Channels first where gradients are asked for on a CPU: in the other order oneDNN (torch 2.14,
    AVX2) damages the heap in the backward pass of the residual transforms' convolutions.
    """
    if torch.is_grad_enabled() and x.device.type == "cpu":
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last)


def for_nnpack(x: Tensor, enough: bool = True) -> Tensor:
    """(N, C, H, W), the same values, channels first if the layers that follow gain from it.

    That is where NNPACK is quicker and there are `enough` channels for it. Else `channels_last`,
    which suits direct convolution, above all with a stride. Networks whose convolutions take only
    milliseconds lose by it: NNPACK has threads of its own, which OpenMP's, spinning for as long,
    keep from the cores.
    """
    return x.contiguous() if enough and nnpack_is_quicker() else channels_last(x)


def add_to(own: Tensor, other: Tensor) -> Tensor:
    """own + other, in `own`'s memory where no gradient needs what it held.

    For an `own` that was just made, and that nothing else holds.
    """
    if torch.is_grad_enabled() or torch.result_type(own, other) != own.dtype:
        return own + other
    return own.add_(other)
