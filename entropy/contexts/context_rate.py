"""Code lengths of grids by a network of their contexts: by the core, with gradients.

One network sees, at each position of each grid, the grid's values at some offsets from it, then
features; it gives the mean and the log scale of a Laplace distribution. No context is ever copied:
the core finds them where the grid lies, tile by tile.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.models.blocks.position_network import (
    Kind,
    PositionLayer,
    core_layers,
    kinds_of,
    layer_gradients,
)
from kodec.native.grids import context_rate as core_rate


class LaplaceCoding(NamedTuple):
    """Log scales are the network's plus `shift`, clamped to `lowest`..`highest`, within +-40.

    No value costs more than `most_bits` (at most 100); none beyond has a gradient.
    """

    shift: float
    lowest: float
    highest: float
    most_bits: float


class _Settings(NamedTuple):
    offsets: tuple[tuple[int, int], ...]
    kinds: tuple[Kind, ...]
    coding: LaplaceCoding
    grids: int
    has_features: tuple[bool, ...]


class _Rate(torch.autograd.Function):
    """Of grids, features where there are some, then layers' weights and biases, the branch's last.

    Gradients of the sum of all bits are found on the way; where grids' bits turn out to be weighted
    differently, it runs again.
    """

    @staticmethod
    def forward(ctx: Any, settings: _Settings, *tensors: Tensor) -> Tensor:
        bits, found = _run(settings, tensors, np.ones(settings.grids, np.float32))
        ctx.settings, ctx.found = settings, found
        ctx.save_for_backward(*tensors)
        return tensors[0].new_tensor(bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        charges = gradient.tolist()
        if all(charge == charges[0] for charge in charges):
            return None, *(gradient[0] * one for one in _listed(ctx, ctx.found))
        _, found = _run(ctx.settings, ctx.saved_tensors, gradient.contiguous())
        return None, *_listed(ctx, found)


def _run(settings: _Settings, tensors: Sequence[Tensor], charges: Any) -> tuple[list[float], Any]:
    given = [tensor.detach().contiguous() for tensor in tensors]
    features = iter(given[settings.grids :])
    beside = [next(features) if has else None for has in settings.has_features]
    weights = list(features)
    bits, found = core_rate(
        given[: settings.grids],
        beside,
        np.array(settings.offsets, np.int32).reshape(-1, 2),
        *core_layers(settings.kinds, weights),
        np.array(settings.coding, np.float32),
        charges,
        False,
        torch.get_num_threads(),
    )
    return bits, found


def _listed(ctx: Any, found: Any) -> list[Tensor]:
    of_grids, of_features, of_weights = found
    settings: _Settings = ctx.settings
    first = settings.grids + sum(settings.has_features)
    return [
        *(torch.from_numpy(one) for one in of_grids),
        *(torch.from_numpy(one) for one in of_features if one is not None),
        *layer_gradients(of_weights, ctx.saved_tensors[first:]),
    ]


def context_rate(
    grids: Sequence[Tensor],
    features: Sequence[Tensor | None],
    offsets: Sequence[tuple[int, int]],
    layers: Sequence[PositionLayer],
    branch: PositionLayer | None,
    coding: LaplaceCoding,
) -> Tensor:
    """Bits of each grid, (grids,), float32, on a CPU.

    Gradients do not depend on the number of threads.

    Args:
        grids: (h, w) each.
        features: of each grid (F, ceil(h / 2), ceil(w / 2)), each value for 2 x 2 positions; None
            for zeros.
        offsets: (rows, columns) from a position to its contexts, which are zero outside the grid;
            within +-64.
        layers: from contexts, then features, to mean and log scale; the last without activation.
        branch: a plain layer from the same inputs, added to what layers give; or None.
        coding: what the distributions are.

    Raises:
        InvalidInputError: shapes do not fit.
    """
    all_layers = [*layers, *([] if branch is None else [branch])]
    settings = _Settings(
        tuple(offsets),
        kinds_of(layers),
        coding,
        len(grids),
        tuple(one is not None for one in features),
    )
    tensors = [
        *grids,
        *(one for one in features if one is not None),
        *(tensor for layer in all_layers for tensor in layer[:2]),
    ]
    # Within a Function nobody knows whether gradients are asked for: they take most of the time.
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
        return grids[0].new_tensor(_run(settings, tensors, None)[0])
    bits: Tensor = _Rate.apply(settings, *tensors)
    return bits
