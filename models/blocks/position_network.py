"""Small networks of each position alone, such as 1x1 convolutions: by the core, with gradients.

What hidden layers give is never in memory as a whole: the core works tile by tile, and runs layers
again for gradients.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.native.grids import network_gradient, run_network


class Pieces(NamedTuple):
    """An activation of straight lines: the sum of growth times max(0, x - knot); at most 64."""

    knots: tuple[float, ...]
    growth: tuple[float, ...]


Activation = Literal["relu", "gelu"] | Pieces | None


class PositionLayer(NamedTuple):
    """weight x + bias, + x if `residual`, then the activation; GELU is the exact one.

    weight (outputs, inputs), bias (outputs): float32, at most 256 of each.
    """

    weight: Tensor
    bias: Tensor
    residual: bool = False
    activation: Activation = None


Kind = tuple[bool, Activation]
"""Whether a layer is residual, and what follows it."""
CoreLayer = tuple[Any, Any, bool, Any]


def kinds_of(layers: Sequence[PositionLayer]) -> tuple[Kind, ...]:
    """Of layers, all but their weights."""
    return tuple((layer.residual, layer.activation) for layer in layers)


def core_layers(
    kinds: Sequence[Kind], weights: Sequence[Tensor]
) -> tuple[list[CoreLayer], CoreLayer | None]:
    """Layers, and the branch or None, as the core takes them.

    kinds: of the layers. weights: weight and bias of each, then the branch's, if there is one.
    """
    given = [tensor.detach().contiguous() for tensor in weights]
    layers: list[CoreLayer] = []
    for (residual, kind), weight, bias in zip(kinds, given[::2], given[1::2], strict=False):
        activation = np.array(kind, np.float32) if isinstance(kind, Pieces) else kind
        layers.append((weight, bias, residual, activation))
    branches = len(given) > 2 * len(layers)
    return layers, (given[-2], given[-1], False, None) if branches else None


def layer_gradients(found: NDArray[np.float32], weights: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of weights and biases, as they lie one behind the other."""
    parts = torch.from_numpy(found).split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


class _Network(torch.autograd.Function):
    """Of x (inputs, P), then weight and bias of each layer; the branch's last, if there is one."""

    @staticmethod
    def forward(
        ctx: Any, kinds: tuple[Kind, ...], x: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.kinds = kinds
        ctx.save_for_backward(x, *weights)
        found = run_network(x.detach(), *core_layers(kinds, weights), torch.get_num_threads())
        return tuple(torch.from_numpy(one) for one in found if one is not None)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        given = [gradient.contiguous() for gradient in gradients]
        found, of_weights = network_gradient(
            x.detach(),
            *core_layers(ctx.kinds, weights),
            given[0],
            given[1] if len(given) > 1 else None,
            ctx.needs_input_grad[1],
            torch.get_num_threads(),
        )
        of_x = None if found is None else torch.from_numpy(found)
        return None, of_x, *layer_gradients(of_weights, weights)


def position_network(
    x: Tensor, layers: Sequence[PositionLayer], branch: PositionLayer | None = None
) -> tuple[Tensor, ...]:
    """The network's result, and beside it the branch's: (inputs, P) -> (outputs, P) each.

    x: float32 in CPU memory. layers: one after the other, at most 8; after the
    last there is no activation, or "relu". branch: a plain layer that
    sees x too, of as many outputs; without one there is one result. Gradients do not depend on the
    number of threads.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    all_layers = [*layers, *([] if branch is None else [branch])]
    weights = [tensor for layer in all_layers for tensor in layer[:2]]
    found: tuple[Tensor, ...] = _Network.apply(kinds_of(layers), x.contiguous(), *weights)
    return found
