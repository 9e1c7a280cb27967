"""Blocks that are better left where they were, by what overlapping predictions come to.

A search looks at a block by itself. Where a block is flat, or the same along a line, it finds what
noise says; its prediction then reaches into blocks beside it that stand still, frame after frame.
"""

import numpy as np
from numpy.typing import NDArray

from kodec.native.motion import compensate

from .motion_fields import BLOCK, CELL

_Bytes = NDArray[np.uint8]
_Sums = NDArray[np.int64]
_ROUNDS = 2


def leave_still(
    current: _Bytes,
    reference: _Bytes,
    vectors: NDArray[np.int16],
    divisions: _Bytes,
    bits: float,
    threads: int,
) -> tuple[NDArray[np.int16], _Bytes]:
    """A search's field with vectors of zero where these cost no more squared error of luma.

    current, reference: (H, W). vectors, divisions: as `search`'s. bits: what the bits of a block's
    vectors are worth, in squared grey levels. A block's error is that of its cells and the cells
    around, whose prediction it has part in. As a whole a round must pay, too.
    """
    still = _by_cells(current, reference)
    least = _by_cells(current, _predicted(reference, vectors, threads))
    for _ in range(_ROUNDS):
        moves = vectors.any(-1).reshape(len(divisions), 2, -1, 2).any((1, 3))
        stops = moves & (_around_blocks(still) <= _around_blocks(least) + bits)
        if not stops.any():
            break
        cells = stops.repeat(2, 0).repeat(2, 1)
        others = np.where(cells[..., None], np.int16(0), vectors)
        found = _by_cells(current, _predicted(reference, others, threads))
        if found.sum() > least.sum() + bits * stops.sum():
            break
        vectors, divisions, least = others, np.where(stops, np.uint8(0), divisions), found
    return vectors, divisions


def _predicted(reference: _Bytes, vectors: NDArray[np.int16], threads: int) -> _Bytes:
    moved: _Bytes = compensate(reference[None], vectors, threads=threads)[0]
    return moved


def _by_cells(a: _Bytes, b: _Bytes) -> _Sums:
    """Squared errors, summed by cells of whole blocks."""
    height, width = a.shape
    errors = np.zeros((height + -height % BLOCK, width + -width % BLOCK), np.int32)
    np.subtract(a, b, out=errors[:height, :width], dtype=np.int32)
    np.square(errors, out=errors)
    rows, columns = (side // CELL for side in errors.shape)
    summed: _Sums = errors.reshape(rows, CELL, columns, CELL).sum((1, 3), dtype=np.int64)
    return summed


def _around_blocks(cells: _Sums) -> _Sums:
    """Of each block: the sum over its 2x2 cells and the 12 around."""
    rows, columns = cells.shape
    edged = np.pad(cells, 1)
    down = np.sum([edged[n : n + rows : 2] for n in range(4)], axis=0)
    across: _Sums = np.sum([down[:, n : n + columns : 2] for n in range(4)], axis=0)
    return across
