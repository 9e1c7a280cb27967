"""Layers that the native core has a quick way for: on CPUs, in float32, without gradients.

They take and give channels last in memory; what does not lie so is copied (see `channels_last`).
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kodec.native.layers import (
    convolution,
    divisive_normalisation,
    minimal_filtering,
    runs_layers,
)

from .memory import add_to

# Fewest channels that enter, and fewest positions, where minimal filtering was seen to be quicker.
LEAST_CHANNELS, LEAST_POSITIONS = 16, 256
# Most channels that enter where the core's convolution tap by tap was. With more it is as quick as
# PyTorch's, and gains by what it does at no further pass over memory, and by its memory.
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


class Finish(NamedTuple):
    """What is done with a convolution's results, at no further pass over memory where it can be.

    They are multiplied by `slope` where negative, `plus` is added, and what comes of it is
    multiplied by `last_slope` where negative. Slopes: 0 (rectified) to 1 (as it is).
    """

    slope: float = 1.0
    plus: Tensor | None = None
    last_slope: float = 1.0

    def after(self, x: Tensor) -> Tensor:
        """The same by PyTorch, to what was just made and nothing else holds."""
        x = _rectified(x, self.slope)
        return _rectified(x if self.plus is None else add_to(x, self.plus), self.last_slope)


PLAIN = Finish()


def _rectified(x: Tensor, slope: float) -> Tensor:
    if slope == 1:
        return x
    inplace = not torch.is_grad_enabled()
    if slope == 0:
        return nn.functional.relu(x, inplace)
    return nn.functional.leaky_relu(x, slope, inplace)


def _by_core(
    layer: Callable[..., NDArray[np.float32]],
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    finish: Finish,
    *settings: int,
) -> Tensor:
    """One of the core's convolutions, with the settings that are its own."""
    found = layer(
        x.movedim(1, -1).contiguous(),
        weight.detach().contiguous(),
        bias.detach(),
        *settings,
        slope=finish.slope,
        plus=None if finish.plus is None else finish.plus.movedim(1, -1).contiguous(),
        last_slope=finish.last_slope,
        threads=torch.get_num_threads(),
    )
    return torch.from_numpy(found).movedim(-1, 1)


def core_filters(x: Tensor, positions: int) -> bool:
    """Whether `filtered` can have this input (N, C, H, W) here, and is quicker."""
    return positions >= LEAST_POSITIONS and x.shape[1] >= LEAST_CHANNELS and core_takes(x)


def filtered(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    finish: Finish = PLAIN,
    period: int = 1,
    out_period: int = 1,
) -> Tensor:
    """3x3 convolution of stride 1, zero-padded: (N, inputs, H, W) -> (N, outputs, H, W).

    A period of 2 makes the pixels at even and odd rows and columns channels of their own, (row,
    column, channel) in this order, of the input or of the output: see
    `kodec.native.layers.minimal_filtering`.
    """
    return _by_core(minimal_filtering, x, weight, bias, finish, period, out_period)


def core_convolves(x: Tensor, kernel: int, positions: int, finish: Finish) -> bool:
    """Whether `convolved` can have this input (N, C, H, W) here, and is quicker."""
    gains = x.shape[1] <= FEW_CHANNELS or kernel == 1 or finish is not PLAIN
    return gains and positions >= LEAST_POSITIONS and core_takes(x)


def convolved(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int, finish: Finish = PLAIN
) -> Tensor:
    """k x k convolution, zero-padded, k odd: (N, inputs, H, W) -> (N, outputs, H', W').

    H' and W' are H / stride and W / stride, rounded up.
    """
    return _by_core(convolution, x, weight, bias, finish, stride)


def normalise(x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, inverse: bool) -> None:
    """Generalised divisive normalisation of `x` (n, C) into `out`, both without gaps."""
    divisive_normalisation(x, gamma.detach(), beta.detach(), out, inverse, torch.get_num_threads())
