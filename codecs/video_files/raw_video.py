"""Raw video: bytes that say nothing of themselves; their names may."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

from kodec.native import InvalidInputError, UnsupportedError

from .frames import Frame, VideoFormat, raw_frames, read_raw
from .pixel_formats import format_of
from .video import Reader

_SIZE_IN_NAME = re.compile(r"(?<!\d)(\d{2,5})x(\d{2,5})(?!\d)")
_FPS_IN_NAME = re.compile(r"(\d+(?:\.\d+)?)(?:fps|Hz)", re.IGNORECASE)
_FPS_AFTER_SIZE = re.compile(r"\d{2,5}x\d{2,5}_(?!4(?:00|20|22|44)(?!\d))(\d+(?:\.\d+)?)(?!\dx)")
_DEPTH_IN_NAME = re.compile(r"(?<!\d)(10|12|16)(?:-?bit|b(?![a-z])|le)", re.IGNORECASE)
_CHROMA_IN_NAME = re.compile(r"(?<![\dx])(400|420|422|444)(?!\d|x|fps|Hz)")


def raw_format(
    name: str, size: tuple[int, int] | None, fps: Fraction | None, pixels: str | None
) -> VideoFormat:
    """The format of raw video, as given or as its name says; 4:2:0 of 8 bits where neither does.

    `size` is (width, height), `pixels` FFmpeg's name of a planar pixel format. Raises
    InvalidInputError without a size or frame rate, UnsupportedError for other pixel formats.
    """
    stem = Path(name).stem
    found = _SIZE_IN_NAME.search(stem)
    if size is None and found is None:
        raise InvalidInputError(
            f"{name}: a raw file does not say its size: give --size WxH, or put it into the name"
        )
    width, height = size or (int(found[1]), int(found[2]))  # type: ignore[index]
    rate = _FPS_IN_NAME.search(stem) or _FPS_AFTER_SIZE.search(stem)
    if fps is None and rate is None:
        raise InvalidInputError(
            f"{name}: a raw file does not say its frame rate: give --fps F, or name it WxH_FPS.yuv"
        )
    fps = fps or Fraction("" if rate is None else rate[1])
    if pixels is None:
        depth, chroma = _DEPTH_IN_NAME.search(stem), _CHROMA_IN_NAME.search(stem)
        kind = f"yuv{chroma[1] if chroma else 420}p".replace("yuv400p", "gray")
        pixels = f"{kind}{depth[1]}le" if depth else kind
    form = format_of(pixels, width, height, fps)
    if form is None or form.pixel_format != pixels.replace("yuvj", "yuv"):
        raise UnsupportedError(
            f"{name}: raw video of pixel format {pixels!r} is not read: yuv420p, yuv422p, yuv444p, "
            "gray and gbrp are, and with 9, 10, 12, 14 or 16 bits, yuv420p10le for instance"
        )
    return form


def raw_file_reader(path: Path, form: VideoFormat) -> Reader:
    """Reads a file, whose size is checked first; raises as `read_raw`."""
    next(read_raw(path, form))

    def read(start: int) -> Iterator[tuple[Frame, None]]:
        return ((frame, None) for frame in read_raw(path, form, start))

    return read


def raw_pipe(file: IO[bytes], name: str, form: VideoFormat) -> Iterator[tuple[Frame, None]]:
    """The frames of a pipe."""
    return ((frame, None) for frame in raw_frames(file, form, name))
