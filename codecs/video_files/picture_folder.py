"""Folders of pictures as sequences: RGB stays R, G and B, so that pictures come back as they were.

Matrix 0 of ITU-T H.273, the identity, has G, B and R for Y, U and V.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.natural_order import natural_key
from kodec.codecs.pictures.picture_reading import read_pixels, read_plain_picture
from kodec.native import InvalidInputError, UnsupportedError

from .frames import Frame, VideoFormat
from .pixel_formats import UNSPECIFIED
from .video import Reader

PICTURE_SUFFIXES = frozenset(
    ".avif .bmp .jfif .jpe .jpeg .jpg .pgm .png .pnm .ppm .tif .tiff .webp".split()
)
USUAL_FPS = Fraction(25)
"""Frames a second of pictures, which don't say."""
_SRGB = 1, 13

_log = logging.getLogger(__name__)


def open_folder(folder: Path, fps: Fraction | None) -> tuple[VideoFormat, Reader, int]:
    """The format of the pictures in a folder, what reads them in natural order, their number.

    All are 8-bit RGB, or all are gray, and of one size. Raises InvalidInputError for a folder
    without any, and what `read_plain_picture` does of the first.
    """
    files = sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURE_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        ),
        key=natural_key,
    )
    if not files:
        raise InvalidInputError(
            f"{folder} holds no pictures: give a folder of numbered ones, such as 0001.png"
        )
    first = read_plain_picture(files[0])
    if first.icc or first.exif:
        lost = " and ".join(
            name for name, data in (("ICC profile", first.icc), ("EXIF", first.exif)) if data
        )
        _log.warning("%s: a sequence cannot carry the pictures' %s: left out", folder, lost)
    if fps is None:
        _log.warning("%s: pictures say no frame rate: %s is taken (--fps)", folder, USUAL_FPS)
    height, width, components = first.pixels.shape
    matrix = 0 if components == 3 else UNSPECIFIED
    form = VideoFormat(
        *(width, height, "444" if components == 3 else "400"),
        fps=fps or USUAL_FPS,
        colour=Colour(*_SRGB, matrix, full_range=True),
    )

    def read(start: int) -> Iterator[tuple[Frame, None]]:
        for path in files[start:]:
            yield _frame_in(path, first.pixels.shape), None

    return form, read, len(files)


def _frame_in(path: Path, shape: tuple[int, ...]) -> Frame:
    try:
        pixels = read_pixels(path)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    if pixels.shape != shape:
        raise UnsupportedError(
            f"{path} is {_described(pixels.shape)}, those before are {_described(shape)}: the "
            "pictures of a sequence are of one size and kind"
        )
    return frame_of_pixels(pixels)


def frame_of_pixels(pixels: NDArray[np.uint8]) -> Frame:
    """Pixels (H, W, C) as planes G, B, R, or the gray one."""
    order = (1, 2, 0) if pixels.shape[2] == 3 else (0,)
    return tuple(np.ascontiguousarray(pixels[:, :, place]) for place in order)


def pixels_of_frame(frame: Frame) -> NDArray[np.uint8]:
    """8-bit planes G, B, R, or a gray one, as pixels (H, W, C)."""
    order = (2, 0, 1) if len(frame) == 3 else (0,)
    return np.stack([frame[place] for place in order], axis=2)


def _described(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} {'RGB' if shape[2] == 3 else 'gray'}"
