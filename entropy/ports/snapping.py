"""Shared state on a grid: what both sides computed alike but for rounding becomes alike to the bit.

    x, computed on each side --> k = round(x / step) --> state = k step

Where x lies within the guard of the middle between two grid points, the writer signals which one it
took; the reader takes the nearest point that fits. The grid points' numbers, modulo 2^15, enter the
index checksum, so that a reader whose x is further off than the guard ends in an error.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import InvalidInputError

CHOICES = 2**15
# Numbers of grid points stay integers in float64, with room for the difference between two.
LARGEST = 2.0**52


class Snap:
    """One tensor x (N, ...) of float64 to be put on the grid of `step`, both in units of x.

    guard: how far the other side's x may be from this one. Raises `InvalidInputError` where x is
    not float64 (float32 would need signals for percents of all values), not finite or too large.
    """

    def __init__(self, name: str, x: Tensor, step: float, guard: float) -> None:
        if x.dtype != torch.float64:
            raise InvalidInputError(f"state {name!r} is {x.dtype}: only float64 can be snapped")
        if not (step > 0 and math.isfinite(step) and 0 <= guard < step / 4):
            raise InvalidInputError(
                f"state {name!r}: a grid needs step > 0 and 0 <= guard < step / 4, "
                f"not {step} and {guard}"
            )
        self.x = x.detach()
        self.step = step
        scaled = (self.x / step).reshape(len(x), -1).cpu().numpy()
        if scaled.size and not np.abs(scaled).max() < LARGEST:
            raise InvalidInputError(f"state {name!r} is not finite or out of the grid's range")
        self._scaled = scaled
        self._nearest = np.rint(scaled)
        self._guard = guard / step

    def numbers(self, item: int) -> NDArray[np.uint16]:
        """Of one item's grid points, modulo 2^15."""
        whole: NDArray[np.int64] = self._nearest[item].astype(np.int64) % CHOICES
        return whole.astype(np.uint16)

    def close(self, item: int) -> NDArray[np.uint32]:
        """Positions of one item that are too close to call."""
        from_middle = 0.5 - np.abs(self._scaled[item] - self._nearest[item])
        return np.flatnonzero(from_middle <= self._guard).astype(np.uint32)

    def take(self, item: int, theirs: NDArray[np.uint16]) -> None:
        """Take the writer's numbers for those of one item: the nearest that are the same modulo."""
        own = self._nearest[item]
        apart = theirs.astype(np.int64) - self.numbers(item).astype(np.int64)
        half = CHOICES // 2
        self._nearest[item] = own + (apart + half) % CHOICES - half

    def result(self) -> Tensor:
        """The state, on the grid, of x's shape, contiguous and on its device."""
        # Adding zero, so that there is no negative one.
        on_grid = torch.from_numpy(self._nearest * self.step + 0.0)
        return on_grid.reshape(self.x.shape).to(self.x.device)
