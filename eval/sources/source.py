"""What is measured: picture files and sequences."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import read_plain_picture
from kodec.codecs.video_files.video import Video
from kodec.codecs.video_files.video_reading import open_video
from kodec.native import InvalidInputError, UnsupportedError


@dataclass(frozen=True)
class PictureSource:
    """One picture file."""

    path: Path
    name: str = ""
    """What rows call it, where that is not the file's own name."""

    @property
    def key(self) -> dict[str, str]:
        """What it is measured by, for telling whether a row is still good."""
        return {"file": name_of(self), "sha256": _digest(self.path)}

    def read(self) -> NDArray[np.uint8]:
        """Its pixels (H, W, C).

        Raises InvalidInputError when the file cannot be read; UnsupportedError and BitstreamError
        as `read_plain_picture`.
        """
        try:
            return read_plain_picture(self.path).pixels
        except OSError as error:
            raise InvalidInputError(f"cannot read {self.path}: {error.strerror}") from error


@dataclass(frozen=True)
class VideoSource:
    """One video file; size and frame rate are for raw ones whose names do not tell."""

    path: Path
    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    limit: int | None = None
    """Only the first so many frames."""
    name: str = ""
    """What rows call it, where that is not the file's own name."""

    @property
    def key(self) -> dict[str, str]:
        """What it is measured by, for telling whether a row is still good."""
        how = f"{self.size} {self.fps} {self.limit}"
        return {"file": name_of(self), "sha256": _digest(self.path), "read": how}

    def open(self) -> Video:
        """The sequence as it is stored. Raises as `open_video`; UnsupportedError for RGB."""
        video = open_video(self.path, self.size, self.fps, self.limit, as_stored=True)
        if video.form.is_rgb:
            raise UnsupportedError(
                f"{self.path} holds RGB ({video.form.pixel_format}): planar YUV and gray are "
                "measured as they are stored, nothing is converted; convert it first and say how"
            )
        return video


Source = PictureSource | VideoSource


def name_of(source: Source) -> str:
    """What rows call a source."""
    return source.name or source.path.name


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
