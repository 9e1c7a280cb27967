"""Vectors of a search, changed where overlapping predictions and their bits become better.

    twice, for each of four sets of blocks that do not touch:
        for each candidate: predict with it in all blocks of the set; keep it where that pays

Candidates: the median of the vectors around and the one of the frame before, each of these five,
moves by a quarter of a pixel. Source: "Overlapped block motion compensation: an
estimation-theoretic approach" (1994), whose iterated search this follows in outline.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .overlapped_errors import Bytes, around_blocks, by_cells, predicted

_Vectors = NDArray[np.int16]
_Mask = NDArray[np.bool_]
_ROUNDS = 2
_MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1))
# Of vectors that were moved, in quarters of a pixel.
_FARTHEST = 1 << 12
_LENGTHS = np.array([2 * (2 * size + 1).bit_length() - 1 for size in range(_FARTHEST)])
"""Bits of a component's difference by its size: signed Exp-Golomb."""
_DIVISION_BITS = 3
# Of the three cells behind the first, by the kind of division, how many have vectors of their own.
_OWN_CELLS = np.array([0, 1, 1, 3])


def refine_vectors(
    current: Bytes,
    reference: Bytes,
    vectors: _Vectors,
    divisions: Bytes,
    before: _Vectors,
    bit: float,
    threads: int,
) -> tuple[_Vectors, Bytes]:
    """A search's field, better by squared error of luma and bits of vectors together.

    current, reference: (H, W). vectors, divisions: as `search`'s. before: vectors of the frame
    before. bit: what a bit is worth, in squared grey levels. Bits are the search's, about what the
    median of the vectors around and before predicts.
    """
    errors = by_cells(current, predicted(reference, vectors, threads))
    for start in [*np.ndindex(2, 2)] * _ROUNDS:
        turn = np.zeros(divisions.shape, bool)
        turn[start[0] :: 2, start[1] :: 2] = True
        around = _around(vectors, before)
        median = np.median(around, axis=0).astype(np.int16)
        for moved, divided in _candidates(vectors, divisions, (median, *around)):
            own = turn & (moved != vectors).reshape(len(turn), 2, -1, 2, 2).any((1, 3, 4))
            if not own.any():
                continue
            tried = np.where(_cells(own)[..., None], moved, vectors)
            found = by_cells(current, predicted(reference, tried, threads))
            more = _bits(tried, divided, median) - _bits(vectors, divisions, median)
            own &= around_blocks(found) + bit * more < around_blocks(errors)
            vectors = np.where(_cells(own)[..., None], tried, vectors)
            divisions = np.where(own, divided, divisions)
            errors = np.where(_reached(own), found, errors)
    return vectors, divisions


def _candidates(
    vectors: _Vectors, divisions: Bytes, wholes: tuple[_Vectors, ...]
) -> Iterator[tuple[_Vectors, Bytes]]:
    """Fields and divisions to try, from those at first."""
    for whole in wholes:
        yield whole.repeat(2, 0).repeat(2, 1), np.zeros_like(divisions)
    for move in _MOVES:
        moved = np.clip(vectors + np.array(move, np.int16), -_FARTHEST, _FARTHEST)
        yield moved.astype(np.int16), divisions


def _around(vectors: _Vectors, before: _Vectors) -> tuple[_Vectors, ...]:
    """Of each block, five vectors (rows, columns, 2): of the nearest cells, and before."""
    edged = np.pad(vectors, ((1, 1), (1, 1), (0, 0)), mode="edge")
    above, below = edged[:-2:2, 1:-1:2], edged[3::2, 1:-1:2]
    left, right = edged[1:-1:2, :-2:2], edged[1:-1:2, 3::2]
    return above, below, left, right, before[::2, ::2]


def _bits(vectors: _Vectors, divisions: Bytes, median: _Vectors) -> NDArray[np.float64]:
    """Of each block."""
    first = vectors[::2, ::2].astype(np.int32)
    others = [vectors[down::2, right::2] - first for down, right in ((0, 1), (1, 0), (1, 1))]
    # Of halves two cells have the same.
    own = _OWN_CELLS[divisions] * sum(_lengths(other) for other in others) / len(others)
    bits: NDArray[np.float64] = np.where(divisions > 0, _DIVISION_BITS + own, 0.0)
    return bits + _lengths(first - median)


def _lengths(differences: NDArray[np.int32]) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = _LENGTHS[np.abs(differences).clip(max=_FARTHEST - 1)].sum(-1)
    return lengths


def _cells(blocks: _Mask) -> _Mask:
    return blocks.repeat(2, 0).repeat(2, 1)


def _reached(blocks: _Mask) -> _Mask:
    """Cells of blocks and those around."""
    edged = np.pad(_cells(blocks), 1)
    rows = edged[:-2] | edged[1:-1] | edged[2:]
    reached: _Mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return reached
