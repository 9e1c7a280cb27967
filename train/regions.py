"""Where the regions of training crops come from: label pictures, or random rectangles."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import read_labels
from kodec.native import InvalidInputError, KodecError

from .decoded_files import DecodedFiles

MOST_RECTANGLES = 12


class RegionSource(Protocol):
    """Gives the label maps of crops."""

    def crop(
        self,
        number: int,
        size: tuple[int, int],
        corner: tuple[int, int],
        side: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Labels (side, side) of the crop at `corner` of picture `number`, which has `size` (H, W).

        Raises `InvalidInputError` where the source has none of that size.
        """


def load_labels(path: Path) -> NDArray[np.int32]:
    """The labels (H, W) of a label picture: R + 256 G + 256^2 B, as COCO has them, or its grays.

    Raises `InvalidInputError` where it can't be read.
    """
    try:
        return read_labels(path)
    except (KodecError, OSError) as error:
        raise InvalidInputError(f"{path} is no label picture: {error}") from None


class LabelPictures:
    """Label pictures, one for each picture, in the order of the pictures."""

    def __init__(self, paths: list[Path], cache_bytes: int) -> None:
        self._paths = paths
        self._labels = DecodedFiles(paths, load_labels, cache_bytes)

    def crop(
        self,
        number: int,
        size: tuple[int, int],
        corner: tuple[int, int],
        side: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """See `RegionSource`."""
        labels = self._labels[number]
        if labels.shape != size:
            raise InvalidInputError(
                f"{self._paths[number]} has {labels.shape[1]}x{labels.shape[0]} labels, its "
                f"picture {size[1]}x{size[0]} pixels: label pictures are as large as pictures"
            )
        top, left = corner
        return labels[top : top + side, left : left + side].astype(np.int64)


class RandomRectangles:
    """Up to 12 rectangles of any size, one over the other, whatever the picture shows."""

    def crop(
        self,
        number: int,
        size: tuple[int, int],
        corner: tuple[int, int],
        side: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """See `RegionSource`."""
        labels = np.zeros((side, side), np.int64)
        for label in range(1, int(rng.integers(MOST_RECTANGLES)) + 2):
            (top, bottom), (left, right) = np.sort(rng.integers(side + 1, size=(2, 2)), axis=1)
            labels[top:bottom, left:right] = label
        return labels
