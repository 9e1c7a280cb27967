"""Small networks of each position alone, such as 1x1 convolutions: by the core, with gradients.

What hidden layers give is never in memory as a whole: the core works tile by tile, and runs layers
again for gradients.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import network_gradient, run_network


class PositionLayer(NamedTuple):
    """weight x + bias, + x if `residual`, then ReLU if `rectified`.

    weight (outputs, inputs), bias (outputs): float32, at most 256 of each.
    """

    weight: Tensor
    bias: Tensor
    residual: bool = False
    rectified: bool = False


def core_layer(weight: Tensor, bias: Tensor, kind: tuple[bool, bool]) -> tuple[Any, ...]:
    """A layer as the core takes it. kind: residual, rectified."""
    return weight.detach().contiguous(), bias.detach().contiguous(), *kind


def layer_gradients(found: NDArray[np.float32], weights: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of weights and biases, as they lie one behind the other."""
    parts = torch.from_numpy(found).split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


class _Network(torch.autograd.Function):
    """Of x (inputs, P), then weight and bias of each layer; the branch's last, if there is one."""

    @staticmethod
    def forward(
        ctx: Any, kinds: tuple[tuple[bool, bool], ...], branches: bool, x: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.kinds, ctx.branches = kinds, branches
        ctx.save_for_backward(x, *weights)
        out, beside = run_network(
            x.detach(), *_layers(kinds, branches, weights), torch.get_num_threads()
        )
        made = (out, beside) if branches else (out,)
        return tuple(torch.from_numpy(one) for one in made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        given = [gradient.contiguous() for gradient in gradients]
        found, of_weights = network_gradient(
            x.detach(),
            *_layers(ctx.kinds, ctx.branches, weights),
            given[0],
            given[1] if ctx.branches else None,
            ctx.needs_input_grad[2],
            torch.get_num_threads(),
        )
        of_x = None if found is None else torch.from_numpy(found)
        return None, None, of_x, *layer_gradients(of_weights, weights)


def _layers(
    kinds: Sequence[tuple[bool, bool]], branches: bool, weights: Sequence[Tensor]
) -> tuple[list[Any], Any]:
    layers = [
        core_layer(weights[2 * place], weights[2 * place + 1], kind)
        for place, kind in enumerate(kinds)
    ]
    return layers, core_layer(*weights[-2:], (False, False)) if branches else None


def position_network(
    x: Tensor, layers: Sequence[PositionLayer], branch: PositionLayer | None = None
) -> tuple[Tensor, ...]:
    """The network's result, and beside it the branch's: (inputs, P) -> (outputs, P) each.

    x: float32 in CPU memory. layers: one after the other, at most 8. branch: a plain layer that
    sees x too, of as many outputs; without one there is one result. Gradients do not depend on the
    number of threads.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    all_layers = [*layers, *([] if branch is None else [branch])]
    weights = [tensor for layer in all_layers for tensor in layer[:2]]
    kinds = tuple((layer.residual, layer.rectified) for layer in layers)
    found: tuple[Tensor, ...] = _Network.apply(kinds, branch is not None, x.contiguous(), *weights)
    return found
