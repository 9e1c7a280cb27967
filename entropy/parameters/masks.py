"""Masks of weights: binary, adaptive, with what is known of the neighbours as context.

A mask (out, in, ...) is a grid of out x in for each place of the kernel. It is coded place by
place, each in up to eight blocks of columns; of a bit, context are the bits before it at the same
weight (the places to the left and above in the kernel) or in the columns before, how full its row
has been, and the union of earlier masks. Counts of each context begin at the density, which is
sent, and follow every block; all of it is done in whole numbers.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.ports.port import SymbolPort
from kodec.native import InvalidInputError

from .packaged_tables import TableBlock, packaged
from .table_making import CHANCES

Bits = NDArray[np.int64]

_DENSITIES = 256
_COLUMNS = 8
# What a density counts for before anything was seen.
_PRIOR = 8
_CONTEXTS = 3 * 3 * 3 * 2


def code_mask(
    port: SymbolPort,
    name: str,
    mask: Tensor | None,
    shape: torch.Size,
    union: Tensor | None = None,
) -> Tensor:
    """Pass a mask (bool, any shape) through the port.

    union: of earlier masks, bool of the same shape, which both sides have: where it is False, the
    new one has chances of its own.
    """
    count = math.prod(shape)
    if mask is not None and mask.shape != shape:
        raise InvalidInputError(f"mask {name!r} has shape {tuple(mask.shape)}, not {tuple(shape)}")
    if not count:
        return torch.ones(shape, dtype=torch.bool)
    out = shape[0] if shape else 1
    columns = shape[1] if len(shape) > 1 else 1
    kernel = math.prod(shape[2:])
    wide = shape[-1] if len(shape) > 3 else kernel
    grid = (out, columns, kernel)
    bits = None if mask is None else mask.reshape(grid).long().cpu().numpy()
    told = None
    if bits is not None:
        told = torch.tensor([[min(_DENSITIES - 1, round(_DENSITIES * float(bits.mean())))]])
    density = int(port.integers(name, told, _DENSITIES, torch.Size((1, 1)))[0, 0])
    before = np.zeros(grid, np.int64) if union is None else union.reshape(grid).long().cpu().numpy()
    coded = _Coded(grid, density, before)
    for place in range(kernel):
        for block in np.array_split(np.arange(columns), min(columns, _COLUMNS)):
            context = coded.context(place, block, wide)
            chance = torch.from_numpy(coded.chances()[context]).reshape(1, -1)
            table = TableBlock(chance.shape, packaged().tables, packaged().chances + chance)
            given = None if bits is None else torch.from_numpy(bits[:, block, place]).reshape(1, -1)
            # Only 0 and 1 have codes; an escape is damage, whose lowest bit is as good as any.
            found = port.code(name, given, table).reshape(out, len(block)).long().cpu().numpy() & 1
            coded.take(place, block, context, found)
    return torch.from_numpy(coded.bits.astype(bool)).reshape(shape)


class _Coded:
    """What is known of a mask so far."""

    def __init__(self, grid: tuple[int, int, int], density: int, union: Bits) -> None:
        self.bits = np.zeros(grid, np.int64)
        self.union = union
        self.full = np.zeros(grid[0], np.int64)
        """Ones of each row so far."""
        self.seen = 0
        """Bits of each row so far."""
        self.ones = np.full(_CONTEXTS, max(1, _PRIOR * density), np.int64)
        self.all = np.full(_CONTEXTS, _PRIOR * _DENSITIES, np.int64)
        self.total = 0

    def context(self, place: int, block: Bits, wide: int) -> Bits:
        """Of each bit of a block, (out, columns)."""
        rows, unknown = len(self.bits), np.full((len(self.bits), len(block)), 2)
        left = up = unknown
        if place % wide:
            left = self.bits[:, block, place - 1]
        elif block[0]:
            left = np.repeat(self.bits[:, block[0] - 1, place][:, None], len(block), 1)
        if place >= wide:
            up = self.bits[:, block, place - wide]
        # A row's density against that of all: clearly less, about as much, clearly more.
        row = np.ones(rows, np.int64)
        if self.seen and self.total:
            own, usual = self.full * rows, self.total
            row = np.where(4 * own < 3 * usual, 0, np.where(4 * own > 5 * usual, 2, 1))
        union = self.union[:, block, place]
        return np.asarray(((left * 3 + up) * 3 + row[:, None]) * 2 + union)

    def chances(self) -> Bits:
        """The table of each context."""
        return np.minimum(CHANCES - 1, CHANCES * self.ones // self.all)

    def take(self, place: int, block: Bits, context: Bits, found: Bits) -> None:
        """Keep a block's bits."""
        self.bits[:, block, place] = found
        self.full += found.sum(1)
        self.seen += len(block)
        self.total += int(found.sum())
        flat = context.reshape(-1)
        # Of 256ths, as the density is.
        self.ones += 256 * np.bincount(flat, found.reshape(-1), _CONTEXTS).astype(np.int64)
        self.all += 256 * np.bincount(flat, minlength=_CONTEXTS)


def mask_symbols(shape: torch.Size) -> int:
    """How many symbols a mask takes."""
    count = math.prod(shape)
    return count + 2 if count else 0
