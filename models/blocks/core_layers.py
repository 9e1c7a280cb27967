"""Layers that the native core has a quick way for: on CPUs, in float32, without gradients.

Of a convolution it has all that lie channels last in memory: see `channels_last`.
"""

from functools import cache

import torch
from torch import Tensor

from kodec.native import convolution, divisive_normalisation, minimal_filtering, runs_layers

# Fewest channels that enter, and fewest positions, where minimal filtering was seen to be quicker.
LEAST_CHANNELS, LEAST_POSITIONS = 16, 256
# Most channels that enter where the core's convolution tap by tap was.
FEW_CHANNELS = 4


@cache
def _is_quicker() -> bool:
    """Whether this CPU is one that was measured: where AVX-512 is, PyTorch uses it."""
    return runs_layers() and torch.backends.cpu.get_cpu_capability() == "AVX2"


def core_takes(x: Tensor) -> bool:
    """Whether the core can have this input here, and is quicker at what it has."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and _is_quicker()
    )


def core_filters(x: Tensor, positions: int) -> bool:
    """Whether `filtered` can have this input (N, C, H, W) here, and is quicker."""
    return positions >= LEAST_POSITIONS and x.shape[1] >= LEAST_CHANNELS and core_takes(x)


def filtered(
    x: Tensor, weight: Tensor, bias: Tensor, period: int = 1, out_period: int = 1
) -> Tensor:
    """3x3 convolution of stride 1, zero-padded: (N, inputs, H, W) -> (N, outputs, H, W).

    A period of 2 makes the pixels at even and odd rows and columns channels of their own, (row,
    column, channel) in this order, of the input or of the output: see
    `kodec.native.minimal_filtering`.
    """
    found = minimal_filtering(
        x.movedim(1, -1).contiguous(),
        weight.detach().contiguous(),
        bias.detach(),
        period,
        out_period,
        torch.get_num_threads(),
    )
    return torch.from_numpy(found).movedim(-1, 1)


def core_convolves(x: Tensor) -> bool:
    """Whether `convolved` can have this input (N, C, H, W) here, and is quicker."""
    return x.shape[1] <= FEW_CHANNELS and core_takes(x)


def convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """k x k convolution, zero-padded, k odd: (N, inputs, H, W) -> (N, outputs, H', W').

    H' and W' are H / stride and W / stride, rounded up.
    """
    found = convolution(
        x.movedim(1, -1).contiguous(),
        weight.detach().contiguous(),
        bias.detach(),
        stride,
        torch.get_num_threads(),
    )
    return torch.from_numpy(found).movedim(-1, 1)


def normalise(x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, inverse: bool) -> None:
    """Generalised divisive normalisation of `x` (n, C) into `out`, both without gaps."""
    divisive_normalisation(x, gamma.detach(), beta.detach(), out, inverse, torch.get_num_threads())
