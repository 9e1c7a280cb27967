"""Layers that the native core has a quick way for: on CPUs, in float32.

Most are for use without gradients; `trained_filtering` and `trained_gelu` have gradients, by the
core as well.

They take and give channels last in memory; what does not lie so is copied (see `channels_last`).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kodec.native.layers import (
    convolution,
    divisive_normalisation,
    filter_gradient,
    gelu,
    gelu_gradient,
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


def _core_knows(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and _is_quicker()
    )


def core_takes(x: Tensor) -> bool:
    """Whether the core can have this input here, without gradients, and is quicker."""
    return not torch.is_grad_enabled() and _core_knows(x)


def core_trains(x: Tensor) -> bool:
    """Whether the core can have this input here where gradients are asked for, and is quicker."""
    return torch.is_grad_enabled() and _core_knows(x)


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


def core_trains_filters(x: Tensor, positions: int) -> bool:
    """Whether `trained_filtering` can have this input (N, C, H, W) here, and is quicker."""
    return positions >= LEAST_POSITIONS and x.shape[1] >= LEAST_CHANNELS and core_trains(x)


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


def lies_channels_last(x: Tensor) -> bool:
    """Whether (N, C, H, W) lies channels last in memory, and not channels first as well."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class _TrainedFiltering(torch.autograd.Function):
    """3x3 convolution of stride 1: (N, H, W, inputs) -> (N, H, W, outputs), contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        threads = torch.get_num_threads()
        return torch.from_numpy(
            minimal_filtering(
                x.detach(), weight.detach().contiguous(), bias.detach(), threads=threads
            )
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = (saved.detach() for saved in ctx.saved_tensors)
        gradient = gradient.contiguous()
        threads = torch.get_num_threads()
        found: list[Tensor | None] = [None, None, None]
        if ctx.needs_input_grad[0]:
            # From outputs to inputs the taps lie the other way round.
            back = weight.transpose(0, 1).flip(2, 3).contiguous()
            none = weight.new_zeros(weight.shape[1])
            found[0] = torch.from_numpy(minimal_filtering(gradient, back, none, threads=threads))
        if ctx.needs_input_grad[1]:
            found[1] = torch.from_numpy(filter_gradient(x, gradient, threads))
        if ctx.needs_input_grad[2]:
            found[2] = gradient.flatten(0, 2).sum(0)
        return found[0], found[1], found[2]


def trained_filtering(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`filtered`, without a finish and with gradients, in `x`'s memory format.

    Channels last stay so; others become channels first, since what follows may be PyTorch's, whose
    gradients are not to be had of the other order everywhere (see `channels_last`).
    """
    found: Tensor = _TrainedFiltering.apply(x.movedim(1, -1).contiguous(), weight, bias)
    found = found.movedim(-1, 1)
    return found if lies_channels_last(x) else found.contiguous()


class _TrainedGelu(torch.autograd.Function):
    """Of x (N, P, C), or of x * affine[:, 0] + affine[:, 1], affine (N, 2, C); contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, affine: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, affine)
        given = None if affine is None else affine.detach()
        return torch.from_numpy(gelu(x.detach(), given, torch.get_num_threads()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        x, affine = ctx.saved_tensors
        given = None if affine is None else affine.detach()
        found, of_affine = gelu_gradient(
            x.detach(), gradient.contiguous(), given, torch.get_num_threads()
        )
        return torch.from_numpy(found), None if of_affine is None else torch.from_numpy(of_affine)


# Below this many elements a call takes as long as it saves.
LEAST_ELEMENTS = 2048


def core_trains_gelu(x: Tensor) -> bool:
    """Whether `trained_gelu` can have this input here, and is quicker."""
    return x.numel() >= LEAST_ELEMENTS and core_trains(x)


def trained_gelu(x: Tensor) -> Tensor:
    """GELU by tanh, with gradients: any shape, the same shape and memory format."""
    last = x.dim() == 4 and lies_channels_last(x)
    lying = (x.movedim(1, -1) if last else x).contiguous()
    found: Tensor = _TrainedGelu.apply(lying.view(1, 1, -1), None)
    found = found.view(lying.shape)
    return found.movedim(-1, 1) if last else found


def trained_modulated_gelu(x: Tensor, affine: Tensor) -> Tensor:
    """GELU of x * affine[:, 0] + affine[:, 1], with gradients: (N, C, H, W) -> the same shape.

    affine: (N, 2, C). The result lies channels last, where it takes no copy.
    """
    lying = x.movedim(1, -1).contiguous()
    found: Tensor = _TrainedGelu.apply(lying.flatten(1, 2), affine.contiguous())
    return found.view(lying.shape).movedim(-1, 1)
