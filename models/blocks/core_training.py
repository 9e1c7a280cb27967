"""Layers with gradients by the native core: on CPUs, in float32.

They take and give channels last in memory; what does not lie so is copied (see `channels_last`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.layers import filter_gradient, gelu, gelu_gradient, minimal_filtering

from .core_floats import core_trains, lies_channels_last

# Fewest channels that enter, and fewest positions, where minimal filtering was seen to be quicker.
LEAST_CHANNELS, LEAST_POSITIONS = 16, 256


def core_trains_filters(x: Tensor, positions: int) -> bool:
    """Whether `trained_filtering` can have this input (N, C, H, W) here, and is quicker."""
    return positions >= LEAST_POSITIONS and x.shape[1] >= LEAST_CHANNELS and core_trains(x)


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
    """3x3 convolution of stride 1, zero-padded: (N, inputs, H, W) -> (N, outputs, H, W).

    In `x`'s memory format: channels last stay so; others become channels first, since what follows
    may be PyTorch's, whose gradients are not to be had of the other order everywhere (see
    `channels_last`).
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
