"""Reading pictures: samples and what is said of them, from files or from memory."""

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from kodec.codecs.container import MAX_PIXELS, MAX_SIDE
from kodec.codecs.file_kind import FileKind
from kodec.native import BitstreamError, KodecError, UnsupportedError

from .anymap import anymap_size, read_anymap
from .image_samples import convert_cmyk, deep_samples, described, samples_of_image
from .jpeg_xl_head import jpeg_xl_head
from .optional_formats import check_decoded, deep_heif, without_orientation
from .picture import (
    Picture,
    Samples,
    exif_of_image,
    picture_of_array,
    pixels_of_image,
    xmp_of_image,
)
from .picture_colour import Colour, colour_of
from .picture_opening import (
    Source,
    check_end,
    check_rows,
    name_of,
    open_file,
    opened,
    stored_in,
    too_large,
)
from .stored import Stored
from .tiff_exif import exif_from_tiff, undo_orientation

_log = logging.getLogger(__name__)
# What is read where 8-bit gray or RGB is needed.
_PLAIN_FORMATS = ("PNG", "JPEG", "WEBP", "PPM", "BMP", "TIFF")
_ANYMAPS = ("PPM", "PAM")


@dataclass(frozen=True, slots=True)
class PictureHead:
    """What a picture file's head says of it."""

    width: int
    height: int
    components: int
    """1 (gray) or 3 (RGB)."""
    remarks: list[str] = field(default_factory=list)
    """What it says of its colours and `read_picture` leaves out, each to follow "its "."""


def read_picture(path: Source, *, convert: bool = False, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a gray or RGB picture of up to 16 bits, with alpha if it has one: PNG, JPEG, WebP, AVIF,
    TIFF, BMP, PPM, PGM, PBM and PAM, and JPEG XL and HEIC where their libraries are installed.

    path: a file's path, or an open seekable file. The pixels are those stored: an EXIF orientation
    stays in `exif` and is not applied. A palette becomes its colours, 1, 2 and 4 bits become 8,
    other depths 16. convert: take CMYK through the profile in the file. Resolution and comments are
    not read. What the file says of its colours and no `Picture` carries is logged as left out.
    Threads take turns in here.

    Raises UnsupportedError if the file holds anything else (CMYK without `convert`, several
    pictures, a video) or more than `max_pixels` pixels, BitstreamError if it is damaged, truncated
    or no picture, InvalidInputError if it is a folder, pipe or device, KodecError if memory does
    not suffice, OSError if the system cannot read it (FileNotFoundError if it is missing).
    """
    picture, lost = _read_any(path, convert, max_pixels)
    _tell(path, picture, lost)
    return picture


def read_plain_picture(path: Source, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """As `read_picture`, of 8-bit gray and RGB without alpha: PNG, JPEG, WebP, PPM, PGM, BMP, TIFF.

    For whatever works on such pixels alone. Raises what `read_picture` does, and UnsupportedError
    for other samples.
    """
    picture, head = _read(path, max_pixels)
    _tell(path, picture, head.remarks)
    return picture


def _tell(path: Source, picture: Picture, remarks: list[str]) -> None:
    for remark in remarks:
        counted = "" if picture.icc or picture.colour else "; the samples count as sRGB"
        _log.warning(
            "%s: its %s can't be carried along: left out%s", name_of(path), remark, counted
        )


def read_pixels(path: Source) -> NDArray[np.uint8]:
    """The pixels of `read_plain_picture`, uint8 (H, W, 1 or 3), without a word on colours."""
    return _read(path, MAX_PIXELS)[0].pixels


def read_head(path: Source) -> PictureHead:
    """What `read_plain_picture` would find, without decoding any pixel.

    Raises what it does, as far as the head and the end of the file tell.
    """
    with open_file(path, _PLAIN_FORMATS) as (file, kind):
        with opened(path, file, kind, MAX_PIXELS) as image:
            # Where a JPEG ends is not told without reading all of it.
            if image.format != "JPEG":
                check_end(path, file, image)
            width, height = image.size
            if undo_orientation(image) is not None:
                width, height = _stored_size(image)
            colour = colour_of(image, file)
            remarks = [*colour.kept_in_words, *colour.lost]
            return PictureHead(width, height, len(image.getbands()), remarks)


def read_labels(path: str | os.PathLike[str]) -> NDArray[np.int32]:
    """The labels (H, W) of a label picture: R + 256 G + 256^2 B, as COCO has them, or its grays.

    A palette's indexes are labels, and so are grays of 16 bits. Raises what `read_plain_picture`
    does, except for such samples.
    """
    with _opened_labels(path) as (image, file):
        image.load()
        check_end(path, file, image)
        check_rows(path, file, image)
        pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels.astype(np.int32)
    return pixels[..., :3].astype(np.int32) @ np.array([1, 256, 256**2], np.int32)


def read_label_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of a label picture, from its head. Raises what `read_labels` does."""
    with _opened_labels(path) as (image, _):
        return image.size


_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "RGB", "RGBA")


@contextmanager
def _opened_labels(path: str | os.PathLike[str]) -> Iterator[tuple[Image.Image, IO[bytes]]]:
    with open_file(path, _PLAIN_FORMATS) as (file, kind):
        stored = Stored() if kind.pillow_format == "PNG" else None
        with opened(path, file, kind, MAX_PIXELS, stored) as image:
            if image.mode not in _LABEL_MODES:
                raise UnsupportedError(
                    f"{path} has samples of the kind {image.mode}, which are no labels; save gray, "
                    "a palette or RGB as PNG"
                )
            yield image, file


def decode_image(data: bytes, pillow_format: str) -> NDArray[np.uint8]:
    """The pixels, uint8 (H, W, C), of a picture in memory, of a format by Pillow's name.

    For files that kodec has just had written by another codec. Raises BitstreamError where they
    are damaged, UnsupportedError above `MAX_PIXELS`.
    """
    kind = FileKind(f"a {pillow_format} picture", "picture", pillow_format)
    name = "the coded picture"
    with opened(name, io.BytesIO(data), kind, MAX_PIXELS, Stored()) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _read(path: Source, max_pixels: int) -> tuple[Picture, PictureHead]:
    with open_file(path, _PLAIN_FORMATS) as (file, kind):
        with opened(path, file, kind, max_pixels) as image:
            # TIFF only: Pillow applies an orientation while loading and forgets it.
            exif = exif_from_tiff(image)
            undo = undo_orientation(image)
            colour = colour_of(image, file)
            image.load()
            check_end(path, file, image)
            check_rows(path, file, image)
            icc = image.info.get("icc_profile") or None
            if undo is None:
                exif = exif or exif_of_image(image)
            turned = image if undo is None else image.transpose(undo)
            picture = Picture(pixels_of_image(turned), icc, exif)
    height, width, components = picture.pixels.shape
    remarks = [*colour.kept_in_words, *colour.lost]
    return picture, PictureHead(width, height, components, remarks)


def _read_any(path: Source, convert: bool, max_pixels: int) -> tuple[Picture, list[str]]:
    """A picture of any samples, and what is said of its colours and lost."""
    with open_file(path, None) as (file, kind):
        stored = stored_in(file, kind)
        if kind.pillow_format in _ANYMAPS and stored.wide is not None:
            return _read_anymap(path, file, max_pixels), []
        if stored.wide is not None and "CMYK" in stored.wide and not convert:
            raise _unconverted(path, stored.wide)
        with opened(path, file, kind, max_pixels, stored, wide=True) as image:
            if image.mode == "CMYK" and not convert:
                raise _unconverted(path, "is in CMYK")
            exif, undo = exif_from_tiff(image), undo_orientation(image)
            colour = colour_of(image, file)
            samples = _samples(path, file, image, stored, kind, undo)
            check_end(path, file, image)
            check_rows(path, file, image)
            icc = image.info.get("icc_profile") or None
            if image.mode == "CMYK":
                icc, colour = None, Colour()
            if undo is None:
                exif = exif or exif_of_image(image)
            if kind.pillow_format in ("HEIF", "JXL"):
                exif = without_orientation(exif)
            xmp = xmp_of_image(image)
            if kind.pillow_format == "JXL":
                head = jpeg_xl_head(file)
                xmp = xmp or head.xmp
                colour.lost += ["compressed XMP"] if head.packed_xmp else []
    return described(picture_of_array(samples), icc, exif, xmp, colour.kept), colour.lost


def _unconverted(path: Source, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{name_of(path)} {what}; give --convert to take it through its profile to sRGB, which "
        "changes its samples"
    )


def _samples(
    path: Source,
    file: IO[bytes],
    image: ImageFile,
    stored: Stored,
    kind: FileKind,
    undo: Image.Transpose | None,
) -> Samples:
    """The samples of an opened image (H, W, C), alpha last, as they are stored."""
    samples: Samples | None = None
    if kind.pillow_format == "HEIF":
        samples = deep_heif(image, file)
    elif stored.bits == 16:
        position = file.tell()

        def again() -> ImageFile:
            # The first one's reader goes on from where it was.
            data = io.BytesIO(_all_of(file, position))
            return Image.open(data, formats=(kind.pillow_format or "",))

        samples = deep_samples(image, again)
    if samples is None:
        image.load()
        check_decoded(name_of(path), image, file)
        shown = convert_cmyk(name_of(path), image) if image.mode == "CMYK" else image
        samples = samples_of_image(shown, stored.bits, _white_is_zero(image))
    return samples if undo is None else _turned(samples, undo)


def _all_of(file: IO[bytes], position: int) -> bytes:
    file.seek(0)
    data = file.read()
    file.seek(position)
    return data


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF's samples count from white on."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(262) == 0


_TURNS: dict[Image.Transpose, Callable[[Samples], Samples]] = {
    Image.Transpose.FLIP_LEFT_RIGHT: lambda x: x[:, ::-1],
    Image.Transpose.FLIP_TOP_BOTTOM: lambda x: x[::-1],
    Image.Transpose.ROTATE_90: lambda x: np.rot90(x, 1),
    Image.Transpose.ROTATE_180: lambda x: np.rot90(x, 2),
    Image.Transpose.ROTATE_270: lambda x: np.rot90(x, 3),
    Image.Transpose.TRANSPOSE: lambda x: x.swapaxes(0, 1),
    Image.Transpose.TRANSVERSE: lambda x: np.rot90(x, 2).swapaxes(0, 1),
}


def _turned(samples: Samples, turn: Image.Transpose) -> Samples:
    """Samples (H, W, C) turned as Pillow turns images."""
    turned: Samples = np.ascontiguousarray(_TURNS[turn](samples))
    return turned


def _read_anymap(path: Source, file: IO[bytes], max_pixels: int) -> Picture:
    name = name_of(path)
    width, height, _, _ = anymap_size(name, file)
    if not (width > 0 and height > 0):
        raise BitstreamError(f"{name} looks like a picture but is damaged (no pixels)")
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise too_large(path, max_pixels)
    try:
        return picture_of_array(read_anymap(name, file))
    except MemoryError:
        raise KodecError(f"not enough memory to read {name}; cut it into parts") from None


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of a TIFF as it is stored, whatever its orientation."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    return int(tags[256]), int(tags[257])
