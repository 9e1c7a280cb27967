"""Blocks that are better left where they were, by what overlapping predictions come to.

A search looks at a block by itself. Where a block is flat, or the same along a line, it finds what
noise says; its prediction then reaches into blocks beside it that stand still, frame after frame.
"""

import numpy as np
from numpy.typing import NDArray

from .overlapped_errors import Bytes, around_blocks, by_cells, moved_by

_ROUNDS = 2


def leave_still(
    current: Bytes,
    reference: Bytes,
    vectors: NDArray[np.int16],
    divisions: Bytes,
    bits: float,
    threads: int,
) -> tuple[NDArray[np.int16], Bytes]:
    """A search's field with vectors of zero where these cost no more squared error of luma.

    current, reference: (H, W). vectors, divisions: as `search`'s. bits: what the bits of a block's
    vectors are worth, in squared grey levels. A block's error is that of its cells and the cells
    around, whose prediction it has part in. As a whole a round must pay, too.
    """
    still = by_cells(current, reference)
    least = by_cells(current, moved_by(reference, vectors, threads))
    for _ in range(_ROUNDS):
        moves = vectors.any(-1).reshape(len(divisions), 2, -1, 2).any((1, 3))
        stops = moves & (around_blocks(still) <= around_blocks(least) + bits)
        if not stops.any():
            break
        cells = stops.repeat(2, 0).repeat(2, 1)
        others = np.where(cells[..., None], np.int16(0), vectors)
        found = by_cells(current, moved_by(reference, others, threads))
        if found.sum() > least.sum() + bits * stops.sum():
            break
        vectors, divisions, least = others, np.where(stops, np.uint8(0), divisions), found
    return vectors, divisions
