"""Layers that the native core has a quick way for, without gradients: on CPUs, in float32.

They take and give channels last in memory; what does not lie so is copied (see `channels_last`).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kodec.native.layers import (
    Filters,
    convolution,
    divisive_normalisation,
    from_blocks,
    minimal_filtering,
    to_blocks,
)

from .core_floats import as_array, core_takes
from .core_training import LEAST_CHANNELS, LEAST_POSITIONS
from .finish import PLAIN, Finish


class KeptFilters:
    """A layer's weight as the core takes it, made again only where the weight has changed.

    Copies of a layer, and files of it, begin without.
    """

    def __init__(self) -> None:
        self._made: dict[str, Filters] = {}

    def get(self, way: str, weight: Tensor, make: Callable[[Tensor], Filters]) -> Filters:
        """What `make` makes of the weight for one way of computing; it is told by `source` later.

        The weight is compared with what it was, which takes less than a hundredth of the layer's
        time: a version's number would miss what is written through `data`.
        """
        weight = weight.detach().contiguous()
        made = self._made.get(way)
        if made is None or not made.is_of(as_array(weight)):
            made = self._made[way] = make(weight)
        return made

    def __deepcopy__(self, memo: Any) -> "KeptFilters":
        return KeptFilters()

    def __reduce__(self) -> tuple[type["KeptFilters"], tuple[()]]:
        return KeptFilters, ()


def threads() -> int:
    """As many as PyTorch has."""
    return torch.get_num_threads()


def tiles(weight: Tensor) -> Filters:
    """Of a 3x3 convolution of stride 1, for `filtered`."""
    return Filters.of_tiles(weight, threads=threads())


def core_filters(x: Tensor, positions: int) -> bool:
    """Whether `filtered` can have this input (N, C, H, W) here, and is quicker."""
    return positions >= LEAST_POSITIONS and x.shape[1] >= LEAST_CHANNELS and core_takes(x)


def filtered(
    x: Tensor,
    filters: Filters,
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
    return _by_core(
        minimal_filtering, x, filters, bias, finish, period=period, out_period=out_period
    )


def convolved(
    x: Tensor,
    filters: Filters,
    bias: Tensor,
    stride: int = 1,
    finish: Finish = PLAIN,
    out_period: int = 1,
) -> Tensor:
    """k x k convolution, zero-padded: (N, inputs, H, W) -> (N, outputs, H', W').

    k is odd, or the stride. H' and W' are H / stride and W / stride, rounded up, times the
    out_period.
    """
    return _by_core(convolution, x, filters, bias, finish, stride=stride, out_period=out_period)


def _by_core(
    layer: Callable[..., Any],
    x: Tensor,
    filters: Filters,
    bias: Tensor,
    finish: Finish,
    **settings: int,
) -> Tensor:
    found = layer(
        as_array(x.movedim(1, -1)),
        filters,
        as_array(bias),
        slope=finish.slope,
        plus=None if finish.plus is None else as_array(finish.plus.movedim(1, -1)),
        last_slope=finish.last_slope,
        affine=None if finish.affine is None else as_array(finish.affine),
        gelu=finish.curved,
        threads=threads(),
        **settings,
    )
    return torch.from_numpy(found).movedim(-1, 1)


def multiplied(x: Tensor, matrix: Tensor, kept: KeptFilters) -> Tensor:
    """Channels times a matrix (outputs, C): (N, C, H, W) -> (N, outputs, H, W)."""
    filters = kept.get("taps", matrix[..., None, None], Filters.of_taps)
    return convolved(x, filters, matrix.new_zeros(len(matrix)))


def blocked(x: Tensor, side: int, shift: float = 0.0, boundaries: Tensor | None = None) -> Tensor:
    """x + shift in blocks: (N, C, H, W) -> (N, C side^2, H/side, W/side), as `pixel_unshuffle`.

    boundaries: a matrix (side, side) that is applied across inner boundaries between them before.
    """
    matrix = None if boundaries is None else as_array(boundaries)
    found = to_blocks(as_array(x), side, matrix, shift, threads())
    return torch.from_numpy(found).movedim(-1, 1)


def unblocked(
    blocks: Tensor,
    side: int,
    shift: float = 0.0,
    boundaries: Tensor | None = None,
    plus: Tensor | None = None,
) -> Tensor:
    """Back, + shift, and + plus: (N, C side^2, h, w) -> (N, C, side h, side w)."""
    matrix = None if boundaries is None else as_array(boundaries)
    added = None if plus is None else as_array(plus)
    lying = as_array(blocks.movedim(1, -1))
    return torch.from_numpy(from_blocks(lying, side, matrix, shift, added, threads()))


def normalise(x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, inverse: bool) -> None:
    """Generalised divisive normalisation of `x` (n, C) into `out`, both without gaps."""
    divisive_normalisation(x, gamma.detach(), beta.detach(), out, inverse, threads())
