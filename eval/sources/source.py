"""What is measured: picture files and sequences."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import read_plain_picture, storage
from kodec.codecs.video_files.video import Video
from kodec.codecs.video_files.video_reading import open_video
from kodec.native import InvalidInputError, KodecError, UnsupportedError


@dataclass(frozen=True)
class PictureSource:
    """One picture file."""

    path: Path
    name: str = ""
    """What rows call it, where that is not the file's own name."""
    url: str = ""
    """Where it lies in place of `path`, of which then only the name counts."""

    @property
    def key(self) -> dict[str, str]:
        """What it is measured by, for telling whether a row is still good."""
        return _key_of(self)

    def read(self) -> NDArray[np.uint8]:
        """Its pixels (H, W, C).

        Raises InvalidInputError when the file cannot be read; UnsupportedError and BitstreamError
        as `read_plain_picture`.
        """
        copy = _file_of(self)
        try:
            return read_plain_picture(copy).pixels
        except OSError as error:
            raise InvalidInputError(f"cannot read {where_of(self)}: {error.strerror}") from error
        except KodecError as error:
            raise type(error)(str(error).replace(str(copy), where_of(self))) from error


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
    url: str = ""
    """Where it lies in place of `path`, of which then only the name counts."""

    @property
    def key(self) -> dict[str, str]:
        """What it is measured by, for telling whether a row is still good."""
        how = f"{self.size} {self.fps} {self.limit}"
        return {**_key_of(self), "read": how}

    def open(self) -> Video:
        """The sequence as it is stored. Raises as `open_video`; UnsupportedError for RGB."""
        video = open_video(_file_of(self), self.size, self.fps, self.limit, as_stored=True)
        if video.form.is_rgb:
            raise UnsupportedError(
                f"{where_of(self)} holds RGB ({video.form.pixel_format}): planar YUV and gray are "
                "measured as they are stored, nothing is converted; convert it first and say how"
            )
        return video


Source = PictureSource | VideoSource


def name_of(source: Source) -> str:
    """What rows call a source."""
    return source.name or source.path.name


def where_of(source: Source) -> str:
    """Its path or URL, as messages name it."""
    return source.url or str(source.path)


def _file_of(source: Source) -> Path:
    """A file of this machine's, a copy where it lies elsewhere."""
    return storage.kept(source.url) if source.url else source.path


def _key_of(source: Source) -> dict[str, str]:
    if not source.url:
        return {"file": name_of(source), "sha256": _digest(source.path)}
    state = storage.state_of(source.url)
    if state is None:
        raise InvalidInputError(f"cannot read {source.url}: No such file")
    return {"file": source.url, "state": state}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
