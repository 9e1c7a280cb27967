"""What was coded so far of a grid of positions, and convolutions of it where coding goes on."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from kodec.models.blocks import DepthwiseConv2d
from kodec.models.blocks.core_tokens import core_takes_tokens, depthwise_known

from .positions import PATTERNS, phase_positions, to_grid, to_tokens


@cache
def _cell(phases: int) -> Tensor:
    """The phase of each position of a pattern's cell."""
    with torch.inference_mode(False):
        return torch.tensor(PATTERNS[phases])


class CodedGrid:
    """Tokens on a grid of h x w positions, which comes to be known phase by phase.

    places: flat positions of each phase, as `phase_positions` gives them. reach: rows and columns
    by which kernels reach out.

    Convolutions see zeros where nothing is known yet. Where the core takes tokens only products of
    known tokens with wanted positions are computed: over all phases of a pattern a third of
    what one convolution of the grid takes. Otherwise, where whole convolutions are quick and what
    was known earlier must be kept for gradients, they are computed everywhere.
    """

    def __init__(self, h: int, w: int, places: Sequence[Tensor], reach: int = 2) -> None:
        self._size = h, w
        self._places = places
        self._reach = reach
        # (N, h w, C), zero where unknown; or sparse, (N, h + 2 reach, w + 2 reach, C) with a margin
        # of zeros, and unset where unknown, since nothing is read there.
        self._tokens: Tensor | None = None
        self._sparse = False

    def add(self, phase: int, tokens: Tensor) -> None:
        """Make the tokens (N, P, C) of `phase` known."""
        h, w = self._size
        n, _, channels = tokens.shape
        places = self._places[phase]
        if self._tokens is None:
            self._sparse = core_takes_tokens(tokens)
            if self._sparse:
                self._tokens = self._with_margin(tokens)
            else:
                self._tokens = tokens.new_zeros(n, h * w, channels)
        if not self._sparse:
            self._tokens = self._tokens.index_copy(1, places, tokens)
            return
        inside = phase_positions(h, w, len(self._places), margin=self._reach)
        self._tokens.view(n, -1, channels).index_copy_(1, inside[phase], tokens)

    def _with_margin(self, like: Tensor) -> Tensor:
        """An unset grid (N, h + 2 reach, w + 2 reach, C) in a margin of zeros."""
        h, w = self._size
        r = self._reach
        grid = like.new_empty(len(like), h + 2 * r, w + 2 * r, like.shape[-1])
        for margin in (grid[:, :r], grid[:, r + h :], grid[:, :, :r], grid[:, :, r + w :]):
            margin.zero_()
        return grid

    def grid(self) -> Tensor:
        """All tokens, once every phase is known: (N, h, w, C)."""
        assert self._tokens is not None
        h, w = self._size
        if not self._sparse:
            return self._tokens.view(-1, h, w, self._tokens.shape[-1])
        return self._tokens[:, self._reach : self._reach + h, self._reach : self._reach + w]

    def convolve(self, layer: DepthwiseConv2d, phase: int) -> Tensor:
        """What `layer` makes of the known tokens at the positions of `phase`, (N, P, C)."""
        assert self._tokens is not None
        h, w = self._size
        places = self._places[phase]
        if not self._sparse:
            return to_tokens(layer(to_grid(self._tokens, h, w))).index_select(1, places)
        assert layer.bias is not None
        cell = _cell(len(self._places))
        return depthwise_known(
            self._tokens, self._reach, places, cell, phase, layer.taps(), layer.bias
        )
