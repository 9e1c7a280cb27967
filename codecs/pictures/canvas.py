"""What tiles of pixels are put on, or only held against a picture."""

from threading import Lock

import numpy as np
from torch import Tensor

from .picture import Samples
from .pixels import to_array
from .tile_grid import Box


class Canvas:
    """Samples of `shape` (H, W, C), of 8 or 16 bits, that lie at `at` in a larger picture."""

    def __init__(self, shape: tuple[int, ...], bit_depth: int, at: Box | None = None) -> None:
        self.bit_depth = bit_depth
        self.at = at or Box(0, 0, shape[1], shape[0])
        self.samples: Samples = np.zeros(shape, np.uint8 if bit_depth == 8 else np.uint16)

    def show(self, box: Box, x: Tensor) -> None:
        """Pixels (1, 3, h, w), around [0, 1], of a box in the larger picture.

        Raises InvalidInputError where one is not finite.
        """
        self.put(box, to_array(x, self.samples.shape[2], self.bit_depth))

    def put(self, box: Box, samples: Samples) -> None:
        """Samples (h, w) or (h, w, C) of a box; what lies outside is left away."""
        both = box.common(self.at)
        if samples.ndim == 2:
            samples = samples[..., None]
        self.samples[both.within(self.at).slices] = samples[both.within(box).slices]


class Comparison:
    """The mean squared error of tiles of pixels against samples (H, W, C), of which none is kept.

    Takes tiles as a `Canvas` does, of which a large picture has as much memory as its samples.
    """

    def __init__(self, samples: Samples, bit_depth: int) -> None:
        self._samples, self._bit_depth = samples, bit_depth
        self._lock = Lock()
        self._sum = 0

    def show(self, box: Box, x: Tensor) -> None:
        """Pixels (1, 3, h, w), around [0, 1], of a box.

        Raises InvalidInputError where one is not finite.
        """
        found = to_array(x, self._samples.shape[2], self._bit_depth)
        # Whole numbers: the sum is the same in any order.
        difference = self._samples[box.slices].astype(np.int64) - found
        error = int(np.square(difference, out=difference).sum())
        with self._lock:
            self._sum += error

    @property
    def mean_squared_error(self) -> float:
        """Over all samples, once all tiles were shown."""
        return self._sum / self._samples.size
