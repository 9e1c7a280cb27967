"""Vectors of a search, changed where overlapping predictions and their bits become better.

    twice, for each of four sets of blocks that do not touch:
        for each candidate: predict with it in all blocks of the set; keep it where that pays

Candidates: the median of the vectors around and the one of the frame before, each of these five,
moves by a quarter of a pixel. Source: "Overlapped block motion compensation: an
estimation-theoretic approach" (1994), whose iterated search this follows in outline.
"""

import numpy as np
from numpy.typing import NDArray

from .motion_fields import MotionCoder
from .overlapped_errors import Bytes, around_blocks, by_cells, moved_by
from .vector_bits import VectorBits

_Vectors = NDArray[np.int16]
_Mask = NDArray[np.bool_]
_ROUNDS = 2
_MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1))
# Of vectors that were moved, in quarters of a pixel.
_FARTHEST = 1 << 12


def refine_vectors(
    current: Bytes,
    reference: Bytes,
    vectors: _Vectors,
    divisions: Bytes,
    before: _Vectors,
    coder: MotionCoder,
    quality_class: int,
    bit: float,
    threads: int,
) -> tuple[_Vectors, Bytes]:
    """A search's field, better by squared error of luma and bits of vectors together.

    current, reference: (H, W). vectors, divisions: as `search`'s. before: vectors of the frame
    before. coder, quality_class: what bits are estimated by. bit: what one is worth, in
    squared grey levels.
    """
    bits = VectorBits(coder, quality_class, *divisions.shape)
    errors = by_cells(current, moved_by(reference, vectors, threads))
    for start in [*np.ndindex(2, 2)] * _ROUNDS:
        turn = np.zeros(divisions.shape, bool)
        turn[start[0] :: 2, start[1] :: 2] = True
        bits.see(vectors, divisions, before)
        candidates: list[_Vectors | tuple[int, int]] = [bits.predicted]
        candidates += [*_around(vectors, before), *_MOVES]
        taken = bits(vectors, divisions)
        for candidate in candidates:
            moved, divided = _changed(vectors, divisions, candidate)
            own = turn & (moved != vectors).reshape(len(turn), 2, -1, 2, 2).any((1, 3, 4))
            if not own.any():
                continue
            tried = np.where(_cells(own)[..., None], moved, vectors)
            found = by_cells(current, moved_by(reference, tried, threads))
            needed = bits(tried, divided)
            own &= around_blocks(found) + bit * needed < around_blocks(errors) + bit * taken
            vectors = np.where(_cells(own)[..., None], tried, vectors)
            divisions = np.where(own, divided, divisions)
            errors = np.where(_reached(own), found, errors)
            taken = np.where(own, needed, taken)
    return vectors, divisions


def _changed(
    vectors: _Vectors, divisions: Bytes, candidate: _Vectors | tuple[int, int]
) -> tuple[_Vectors, Bytes]:
    """A field of vectors of whole blocks, (rows, columns, 2), or one that is moved."""
    if isinstance(candidate, tuple):
        moved = np.clip(vectors + np.array(candidate, np.int16), -_FARTHEST, _FARTHEST)
        return moved.astype(np.int16), divisions
    return candidate.repeat(2, 0).repeat(2, 1), np.zeros_like(divisions)


def _around(vectors: _Vectors, before: _Vectors) -> tuple[_Vectors, ...]:
    """Of each block, five vectors (rows, columns, 2): of the nearest cells, and before."""
    edged = np.pad(vectors, ((1, 1), (1, 1), (0, 0)), mode="edge")
    above, below = edged[:-2:2, 1:-1:2], edged[3::2, 1:-1:2]
    left, right = edged[1:-1:2, :-2:2], edged[1:-1:2, 3::2]
    return above, below, left, right, before[::2, ::2]


def _cells(blocks: _Mask) -> _Mask:
    return blocks.repeat(2, 0).repeat(2, 1)


def _reached(blocks: _Mask) -> _Mask:
    """Cells of blocks and those around."""
    edged = np.pad(_cells(blocks), 1)
    rows = edged[:-2] | edged[1:-1] | edged[2:]
    reached: _Mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return reached
