"""One clip on disk: its frames by number, none decoded before it is asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kodec.codecs import read_pixels
from kodec.codecs.video_files.frames import Frame, VideoFormat, frame_of_bytes
from kodec.native import InvalidInputError, KodecError


@dataclass(frozen=True)
class ClipFile(ABC):
    """A clip that was looked at.

    path: of the file or folder. form: of its frames. count: how many there are.
    """

    path: Path
    form: VideoFormat
    count: int

    @property
    def decoded_bytes(self) -> int:
        """Of all frames in memory."""
        return self.count * self.form.frame_bytes

    @property
    def alignment(self) -> tuple[int, int]:
        """Rows and columns that one row and column of chroma stand for."""
        shapes = self.form.plane_shapes
        down, across = (-(-a // b) for a, b in zip(shapes[0], shapes[-1], strict=True))
        return down, across

    @abstractmethod
    def frames(self, numbers: Sequence[int]) -> list[Frame]:
        """The frames of these numbers, in this order, each from 0 to `count` - 1.

        Raises `InvalidInputError`, naming the file, where they can't be read.
        """

    def every_frame(self) -> list[Frame]:
        """All frames."""
        return self.frames(range(self.count))


@dataclass(frozen=True)
class RawClip(ClipFile):
    """A raw file, of which each frame is read where it lies."""

    def frames(self, numbers: Sequence[int]) -> list[Frame]:
        """See `ClipFile`."""
        size = self.form.frame_bytes
        found: list[Frame] = []
        try:
            with self.path.open("rb") as file:
                for number in numbers:
                    file.seek(number * size)
                    found.append(frame_of_bytes(file.read(size), self.form))
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"{self.path} can't be read any more: {error}") from error
        return found


@dataclass(frozen=True)
class PictureClip(ClipFile):
    """Pictures, one for each frame, as planes G, B and R.

    pictures: their files, in order.
    """

    pictures: tuple[Path, ...]

    def frames(self, numbers: Sequence[int]) -> list[Frame]:
        """See `ClipFile`."""
        return [self._frame(self.pictures[number]) for number in numbers]

    def _frame(self, path: Path) -> Frame:
        try:
            pixels = read_pixels(path)
        except (KodecError, OSError) as error:
            raise InvalidInputError(f"{path} can't be read: {error}") from error
        if pixels.shape[:2] != (self.form.height, self.form.width):
            raise InvalidInputError(
                f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels, the clip's first picture "
                f"{self.form.width}x{self.form.height}: give a clip pictures of one size"
            )
        return tuple(np.ascontiguousarray(pixels[:, :, place]) for place in _GBR[pixels.shape[2]])


_GBR = {1: (0, 0, 0), 3: (1, 2, 0)}
