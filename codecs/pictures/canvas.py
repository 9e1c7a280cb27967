"""What tiles of pixels are put on."""

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
