"""Where a sequence shows something else from one frame to the next."""

import numpy as np
from numpy.typing import NDArray

_SIDE = 16
"""Cells each way that a frame is looked at in."""
_LEAST = 0.08
"""Of the range of samples: frames that differ by less are never a cut."""
_JUMP = 3.0
"""How many times the usual difference between frames a cut is."""


class SceneCuts:
    """Tells cuts as frames come, by the mean difference of their luma in 16x16 cells.

    A cut differs by much in itself and by more than frames around it usually do, so that a pan or a
    slow fade is none. A flash is two: the scene is another for as long as it lasts.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._usual = _LEAST / 2

    def is_cut(self, luma: NDArray[np.uint8] | NDArray[np.uint16], bit_depth: int) -> bool:
        """Whether the next frame, of luma (H, W), begins another scene."""
        cells = _cells(luma) / (2**bit_depth - 1)
        last, self._last = self._last, cells
        if last is None or last.shape != cells.shape:
            return False
        difference = float(np.abs(cells - last).mean())
        cut = difference > _LEAST and difference > _JUMP * self._usual
        if not cut:
            self._usual += (difference - self._usual) / 4
        return cut


def _cells(luma: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float64]:
    """Means of parts of the frame, at most 16 each way."""
    for axis in (0, 1):
        length = luma.shape[axis]
        starts = np.linspace(0, length, min(_SIDE, length), endpoint=False).astype(int)
        sums = np.add.reduceat(luma, starts, axis=axis, dtype=np.float64)
        counts = np.diff(np.append(starts, length)).astype(np.float64)
        luma = sums / (counts[:, None] if axis == 0 else counts)
    return luma.astype(np.float64)
