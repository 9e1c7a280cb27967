"""Details of pictures as several codecs decode them, at about the same rate."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs import read_plain_picture
from kodec.eval.metrics.picture_metrics import psnr
from kodec.eval.running.measurement import CodecLike
from kodec.eval.running.results import ImageRow
from kodec.eval.running.run import Progress
from kodec.native import InvalidInputError, KodecError

from .entries import Entry

Pixels = NDArray[np.uint8]
FindCodec = Callable[[Entry], CodecLike]
"""The codec that an entry's numbers were measured with; raises KodecError where it cannot be run
here."""

CROP_WIDTH, CROP_HEIGHT = 360, 270

_LONG = 10.0
"""Seconds of encoding above which no further quality is tried."""

_CLOSE = 0.01
"""Natural logarithm of a ratio of rates that is near enough."""


@dataclass(frozen=True)
class PictureChoice:
    """A picture to show, and where the detail lies."""

    path: Path
    corner: tuple[int, int] | None = None
    """Left and upper edge of the detail, in pixels; None for the middle."""


@dataclass(frozen=True)
class Crop:
    """A codec's detail of a picture."""

    name: str
    quality: int | None
    bpp: float
    """Of the whole picture's file, encoded for this report."""
    psnr: float
    """Of the whole picture, in dB; infinite without loss."""
    pixels: Pixels
    remark: str
    """What differs from the results file, if anything."""


@dataclass(frozen=True)
class CropSet:
    """One picture's details, the original's first."""

    picture: str
    target_bpp: float
    place: tuple[int, int, int, int]
    """Left, upper, right and lower edge within the picture."""
    original: Pixels
    crops: tuple[Crop, ...]
    left_out: tuple[tuple[str, str], ...]
    """Entries that are not shown, and why."""


def show_crops(
    entries: Sequence[Entry],
    pictures: Sequence[PictureChoice],
    target_bpp: float,
    find_codec: FindCodec,
    progress: Progress | None = None,
) -> list[CropSet]:
    """Encode and decode pictures anew near to a rate, and cut details.

    The first codec that can be run sets the rate that the others are matched to: its own measured
    one nearest to `target_bpp`. Raises InvalidInputError for a picture that cannot be read or a
    corner outside it.
    """
    codecs: list[tuple[Entry, CodecLike]] = []
    left_out: list[tuple[str, str]] = []
    for entry in entries:
        try:
            codecs.append((entry, find_codec(entry)))
        except KodecError as error:
            left_out.append((entry.name, str(error)))
    sets: list[CropSet] = []
    for number, choice in enumerate(pictures):
        pixels = _read(choice.path)
        left, upper, right, lower = place = place_of(choice, *pixels.shape[:2])
        target, absent = target_bpp, list(left_out)
        crops: list[Crop] = []
        for place_in_row, (entry, codec) in enumerate(codecs):
            if progress is not None:
                done = number * len(codecs) + place_in_row
                progress(done, len(pictures) * len(codecs), f"{choice.path.name}, {entry.name}")
            rows = _rows_of(entry, choice.path.name)
            if not rows:
                absent.append((entry.name, f"its results have no row of {choice.path.name}"))
                continue
            if not crops:
                target = nearest_row(rows, target).bpp
            try:
                quality, data = _encode_near(codec, pixels, rows, target)
                decoded = codec.decode(data)
            except KodecError as error:
                absent.append((entry.name, str(error)))
                continue
            crops.append(
                Crop(
                    name=entry.name,
                    quality=quality,
                    bpp=_bpp(data, pixels),
                    psnr=psnr(pixels, decoded),
                    pixels=decoded[upper:lower, left:right],
                    remark=size_remark(rows, quality, len(data)),
                )
            )
        original = pixels[upper:lower, left:right]
        if crops:
            sets.append(
                CropSet(choice.path.name, target, place, original, tuple(crops), tuple(absent))
            )
    return sets


def _rows_of(entry: Entry, image: str) -> list[ImageRow]:
    return [row for row in entry.rows if row.image == image and row.frames == 1]


def nearest_row(rows: Sequence[ImageRow], bpp: float) -> ImageRow:
    """The row whose rate is nearest, as a ratio, to `bpp`."""
    return min(rows, key=lambda row: _distance(row.bpp, bpp))


def _encode_near(
    codec: CodecLike, pixels: Pixels, rows: Sequence[ImageRow], bpp: float
) -> tuple[int | None, bytes]:
    """The file nearest to a rate, and its quality: of the measured ones, or of a whole number
    between the two that enclose the rate, unless encoding takes long."""
    best = nearest_row(rows, bpp)
    quality, data = best.quality, codec.encode(pixels, best.quality)
    low = max((row for row in rows if row.bpp <= bpp), key=lambda row: row.bpp, default=None)
    high = min((row for row in rows if row.bpp > bpp), key=lambda row: row.bpp, default=None)
    if low is None or high is None or (best.encoding_time or 0.0) > _LONG:
        return quality, data
    if low.quality is None or high.quality is None:
        return quality, data
    below, above = low.quality, high.quality
    # Quality may rise or fall with the rate, as a quantisation parameter does.
    while abs(above - below) > 1 and _distance(_bpp(data, pixels), bpp) > _CLOSE:
        middle = (below + above) // 2
        trial = codec.encode(pixels, middle)
        if _distance(_bpp(trial, pixels), bpp) < _distance(_bpp(data, pixels), bpp):
            quality, data = middle, trial
        if _bpp(trial, pixels) <= bpp:
            below = middle
        else:
            above = middle
    return quality, data


def _distance(bpp: float, wanted: float) -> float:
    return abs(math.log(bpp / wanted))


def _bpp(data: bytes, pixels: Pixels) -> float:
    return 8 * len(data) / (pixels.shape[0] * pixels.shape[1])


def size_remark(rows: Sequence[ImageRow], quality: int | None, size: int) -> str:
    """What to say where a file's size is not the measured one."""
    measured = next((row.bytes for row in rows if row.quality == quality), size)
    return "" if measured == size else f"{size:,} bytes now, {measured:,} in the results"


def data_uri(pixels: Pixels) -> str:
    """Pixels (H, W, 1 or 3) as a lossless WebP in a data URI."""
    file = io.BytesIO()
    gray = pixels.shape[2] == 1
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if gray else pixels))
    image.convert("RGB").save(file, "WEBP", lossless=True, quality=100)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def place_of(choice: PictureChoice, height: int, width: int) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of the detail. Raises InvalidInputError for one outside."""
    w, h = min(CROP_WIDTH, width), min(CROP_HEIGHT, height)
    left, upper = choice.corner or ((width - w) // 2, (height - h) // 2)
    if left + w > width or upper + h > height:
        raise InvalidInputError(
            f"{choice.path}: a detail of {w}x{h} at {left},{upper} leaves the picture of "
            f"{width}x{height}; give a corner up to {width - w},{height - h}"
        )
    return left, upper, left + w, upper + h


def _read(path: Path) -> Pixels:
    try:
        return read_plain_picture(path).pixels
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
