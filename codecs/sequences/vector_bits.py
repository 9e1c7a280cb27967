"""What vectors of blocks are likely to cost: asked by an encoder of fields that differ little."""

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.entropy import CountedTables, phase_positions

from .motion_fields import (
    CELLS,
    OWN_VECTORS,
    PHASES,
    QUALITY_CLASSES,
    REACH,
    SIZES,
    SPREAD_CLASSES,
    MotionCoder,
    predict_blocks,
)

_Vectors = NDArray[np.int16]
_Bits = NDArray[np.float64]
# The phase of `AROUND` that looks at the four blocks beside one.
_CROSS = 4
_LAST = REACH + 1


class VectorBits:
    """Bits of blocks by a `MotionCoder`'s tables, each as if those beside it were known.

    In truth a block of an early phase looks farther away.
    """

    def __init__(self, coder: MotionCoder, quality_class: int, rows: int, columns: int) -> None:
        self._size, self._class = (rows, columns), quality_class
        every = torch.arange(rows * columns)
        self._at = torch.div(every, columns, rounding_mode="floor"), every % columns
        phases = torch.empty_like(every)
        for phase, places in enumerate(phase_positions(rows, columns, PHASES)):
            phases[places] = phase
        self._phases = phases.numpy()
        self._divisions = _lengths(coder.divisions)
        self._first = _lengths(coder.down), _lengths(coder.right)
        self._others = _lengths(coder.other_down), _lengths(coder.other_right)
        self.predicted: _Vectors = np.zeros((rows, columns, 2), np.int16)
        """Of each block its vector as the last field seen foretells it."""

    def see(self, vectors: _Vectors, divisions: NDArray[np.uint8], before: _Vectors) -> None:
        """Look at a field: what each block is told by those beside it and by the frame before."""
        wide = [torch.from_numpy(part.astype(np.int64))[None] for part in (vectors, divisions)]
        last = torch.from_numpy(before.astype(np.int64))[None]
        predicted, spread, divided = predict_blocks(wide[0], wide[1], last, self._at, _CROSS)
        self.predicted = predicted[0].numpy().astype(np.int16).reshape(*self._size, 2)
        self._kind = spread[0].numpy() * QUALITY_CLASSES + self._class
        self._divided = divided[0].numpy()

    def __call__(self, vectors: _Vectors, divisions: NDArray[np.uint8]) -> _Bits:
        """Of each block of a field, (rows, columns), beside what was seen."""
        own = divisions.reshape(-1)
        first = vectors[::2, ::2].reshape(-1, 2).astype(np.int32)
        context = self._divided * (SPREAD_CLASSES * QUALITY_CLASSES) + self._kind
        bits = self._divisions[context, own]
        told = self.predicted.reshape(-1, 2)
        bits = bits + _of_pairs(first - told, self._kind * PHASES + self._phases, self._first)
        for number, (down, right) in enumerate(CELLS):
            (has,) = np.array(OWN_VECTORS)[own, number].nonzero()
            if len(has):
                other = vectors[down::2, right::2].reshape(-1, 2)[has]
                context = self._kind[has] * len(CELLS) + number
                bits[has] += _of_pairs(other - first[has], context, self._others)
        of_blocks: _Bits = bits.reshape(self._size)
        return of_blocks


def _lengths(tables: CountedTables) -> _Bits:
    """Of each context's codes, in bits; of escapes, too."""
    lengths: _Bits = tables.lengths().numpy()
    return lengths


def _of_pairs(
    d: NDArray[np.int32], context: NDArray[np.int64], lengths: tuple[_Bits, _Bits]
) -> _Bits:
    """Of differences (P, 2), the second given the first."""
    code = np.where(np.abs(d) > REACH, _LAST, d) + REACH
    size = np.searchsorted(SIZES, np.abs(d[:, 0]), side="right")
    down, right = lengths
    bits: _Bits = down[context, code[:, 0]] + right[size * len(down) + context, code[:, 1]]
    return bits
