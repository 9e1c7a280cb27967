"""Reading pictures: the one place where Pillow opens any, from files or from memory."""

import io
import logging
import os
import re
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from kodec.codecs.container import MAGIC, MAX_PIXELS, MAX_SIDE
from kodec.codecs.file_kind import SNIFF_BYTES, FileKind, identify_file
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

from .picture import Picture, exif_of_image, pixels_of_image
from .picture_colour import colour_remarks
from .picture_samples import (
    Stored,
    check_mode,
    end_of_png,
    look_at_head,
    second_picture,
    unfit,
)
from .tiff_exif import exif_from_tiff, undo_orientation

_log = logging.getLogger(__name__)
# Without a handler of its own, its remarks on odd files would go to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_READABLE = "PNG, JPEG, WebP, PPM, PGM, BMP and TIFF"
_MAX_TEXT_CHUNK = 1 << 26
_MAX_TEXT = 1 << 28

# How Pillow's readers word that a file is sound and they don't know its kind.
_NOT_READ = re.compile("unsupported|not (yet )?(supported|configured)|cannot handle|unknown", re.I)
_SPECIAL_FILES = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

pillow_lock = threading.Lock()
"""Held by whoever uses Pillow's limits or Python's warning filters, which are the process's."""


@dataclass(frozen=True, slots=True)
class PictureHead:
    """What a picture file's head says of it."""

    width: int
    height: int
    components: int
    """1 (gray) or 3 (RGB)."""
    remarks: list[str] = field(default_factory=list)
    """What it says of its colours and `read_picture` leaves out, each to follow "its "."""


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an 8-bit gray or RGB picture: PNG, JPEG, WebP, PPM, PGM, BMP or TIFF.

    The pixels are those stored: an EXIF orientation stays in `exif` and is not applied. Resolution,
    comments and XMP are not read. What else the file says of its colours is logged as left out.
    Threads take turns in here.

    Raises UnsupportedError if the file holds anything else (alpha, a palette, another bit depth,
    CMYK, several pictures, a video) or more than `max_pixels` pixels, BitstreamError if it is
    damaged, truncated or no picture, InvalidInputError if it is a folder, pipe or device,
    KodecError if memory does not suffice, OSError if the system cannot read it (FileNotFoundError
    if it is missing).
    """
    picture, head = _read(path, max_pixels)
    for remark in head.remarks:
        counted = "" if picture.icc else "; the samples count as sRGB"
        _log.warning("%s: its %s can't be carried along: left out%s", path, remark, counted)
    return picture


def read_pixels(path: str | os.PathLike[str] | IO[bytes]) -> NDArray[np.uint8]:
    """As the pixels of `read_picture`, uint8 (H, W, 1 or 3), without a word on colours.

    path: a file's path, or an open seekable file.
    """
    return _read(path, MAX_PIXELS)[0].pixels


def read_head(path: str | os.PathLike[str]) -> PictureHead:
    """What `read_picture` would find, without decoding any pixel.

    Raises what `read_picture` does, as far as the head and the end of the file tell.
    """
    with _open_file(path) as (file, kind), _opened(path, file, kind, MAX_PIXELS) as image:
        # Where a JPEG ends is not told without reading all of it.
        if image.format != "JPEG":
            _check_end(path, file, image)
        width, height = image.size
        if undo_orientation(image) is not None:
            width, height = _stored_size(image)
        return PictureHead(width, height, len(image.getbands()), colour_remarks(image, file))


def read_labels(path: str | os.PathLike[str]) -> NDArray[np.int32]:
    """The labels (H, W) of a label picture: R + 256 G + 256^2 B, as COCO has them, or its grays.

    A palette's indexes are labels, and so are grays of 16 bits. Raises what `read_picture` does,
    except for such samples.
    """
    with _opened_labels(path) as (image, file):
        image.load()
        _check_end(path, file, image)
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
    with _open_file(path) as (file, kind):
        stored = Stored() if kind.pillow_format == "PNG" else None
        with _opened(path, file, kind, MAX_PIXELS, stored) as image:
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
    with _opened(name, io.BytesIO(data), kind, MAX_PIXELS, Stored()) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _read(
    source: str | os.PathLike[str] | IO[bytes], max_pixels: int
) -> tuple[Picture, PictureHead]:
    path = source if isinstance(source, str | os.PathLike) else "the picture"
    with _open_file(source) as (file, kind), _opened(path, file, kind, max_pixels) as image:
        # TIFF only: Pillow applies an orientation while loading and forgets it.
        exif = exif_from_tiff(image)
        undo = undo_orientation(image)
        remarks = colour_remarks(image, file)
        image.load()
        _check_end(path, file, image)
        icc = image.info.get("icc_profile") or None
        if undo is None:
            exif = exif or exif_of_image(image)
        else:
            image = image.transpose(undo)
        picture = Picture(pixels_of_image(image), icc, exif)
    height, width, components = picture.pixels.shape
    return picture, PictureHead(width, height, components, remarks)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of a TIFF as it is stored, whatever its orientation."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    return int(tags[256]), int(tags[257])


@contextmanager
def _open_file(
    path: str | os.PathLike[str] | IO[bytes],
) -> Iterator[tuple[IO[bytes], FileKind]]:
    """Open a file of a kind that kodec reads; refuse any other, saying what it is."""
    if not isinstance(path, str | os.PathLike):
        yield path, _kind_of(path, "the picture")
        return
    if os.path.isdir(path):
        raise InvalidInputError(f"{path} is a folder; name a picture file in it")
    # Before it is opened: a pipe would be waited for, and an end is sought that it has not.
    mode = os.stat(path).st_mode
    special = next((name for test, name in _SPECIAL_FILES if test(mode)), None)
    if special is not None:
        raise InvalidInputError(f"{path} is {special}; save the picture to a file first")
    with open(path, "rb") as file:
        yield file, _kind_of(file, path)


def _kind_of(file: IO[bytes], path: str | os.PathLike[str]) -> FileKind:
    head = file.read(SNIFF_BYTES)
    kind = identify_file(head)
    if kind is None or kind.pillow_format is None:
        _refuse_kind(path, head, kind)
    return kind


@contextmanager
def _opened(
    path: str | os.PathLike[str],
    file: IO[bytes],
    kind: FileKind,
    max_pixels: int,
    stored: Stored | None = None,
) -> Iterator[Image.Image]:
    """Open an image with Pillow, within kodec's limits and with kodec's errors.

    Without `stored`, what is not one picture of 8-bit gray or RGB is refused.
    """
    assert kind.pillow_format is not None
    any_samples = stored is not None
    words: list[str] = []
    with pillow_lock, _limits(max_pixels):
        try:
            stored = stored or look_at_head(kind.pillow_format, file)
            if stored.trouble is not None:
                raise unfit(str(path), stored.trouble)
            file.seek(0)
            # Only TIFF's library has words of its own, which would go to stderr.
            with _library_words(words if kind.pillow_format == "TIFF" else None):
                with Image.open(file, formats=(kind.pillow_format,)) as image:
                    width, height = image.size
                    if width * height > max_pixels or max(width, height) > MAX_SIDE:
                        raise _too_large(path, max_pixels)
                    if not any_samples:
                        check_mode(str(path), image)
                        _refuse_second_view(path, image)
                    yield image
        except KodecError:
            raise
        except MemoryError:
            raise KodecError(f"not enough memory to read {path}; cut it into parts") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large(path, max_pixels) from None
        except Exception as error:
            # An errno means that the system failed; anything else is how one of Pillow's readers
            # met damage (they raise a dozen types).
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _in_our_words(path, kind, stored, error, words) from error


def _in_our_words(
    path: str | os.PathLike[str],
    kind: FileKind,
    stored: Stored | None,
    error: Exception,
    words: list[str],
) -> KodecError:
    """What an error of Pillow's comes to, with what its library said."""
    lines = str(error).splitlines() or [type(error).__name__]
    reason = (words[0] if words else lines[0]).strip()
    if "MAX_TEXT" in reason:
        return UnsupportedError(
            f"{path} has a text or a profile of more than {_MAX_TEXT_CHUNK >> 20} MiB; remove it"
        )
    if stored is not None and stored.unusual is not None and _NOT_READ.search(reason):
        return UnsupportedError(
            f"{path} {stored.unusual}, and this compression is not read; save it as PNG"
        )
    if isinstance(error, UnidentifiedImageError):
        reason = "its header makes no sense"
    elif _NOT_READ.search(reason):
        return UnsupportedError(
            f"{path} is {kind.title} of a kind that is not read ({reason}); save it as PNG"
        )
    if stored is not None and stored.unusual is not None:
        return UnsupportedError(
            f"{path} {stored.unusual}: damaged, or beyond this Pillow ({reason}); save it as PNG"
        )
    return BitstreamError(f"{path} looks like {kind.title} but is damaged or truncated ({reason})")


def _check_end(path: str | os.PathLike[str], file: IO[bytes], image: Image.Image) -> None:
    """Refuse a file that has no end, or another picture behind it."""
    # Pillow takes a PNG whose pixels are there and whose end is not; what else is missing then
    # (EXIF may stand there) nobody knows.
    if image.format == "PNG" and end_of_png(file) is None:
        raise BitstreamError(f"{path} looks like a PNG picture but is truncated (it has no end)")
    if second_picture(image.format or "", file, image.size, len(image.getbands())):
        raise UnsupportedError(f"{path} holds several pictures, one behind the other; part them")


def _refuse_second_view(path: str | os.PathLike[str], image: Image.Image) -> None:
    if isinstance(image, JpegImagePlugin.JpegImageFile) and "mp" in image.info:
        raise UnsupportedError(
            f"{path} holds a second picture (a gain map or preview); save it as a plain JPEG or PNG"
        )


@contextmanager
def _limits(max_pixels: int) -> Iterator[None]:
    """Let Pillow read up to `max_pixels` pixels and long profiles, whatever the process's own
    limits are, take no truncated file, and keep its remarks on odd metadata to itself."""
    ours = (
        (Image, "MAX_IMAGE_PIXELS", max_pixels),
        (ImageFile, "LOAD_TRUNCATED_IMAGES", False),
        (PngImagePlugin, "MAX_TEXT_CHUNK", _MAX_TEXT_CHUNK),
        (PngImagePlugin, "MAX_TEXT_MEMORY", _MAX_TEXT),
    )
    before = [getattr(module, name) for module, name, _ in ours]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for module, name, value in ours:
            setattr(module, name, value)
        try:
            yield
        finally:
            for (module, name, _), value in zip(ours, before, strict=True):
                setattr(module, name, value)


@contextmanager
def _library_words(words: list[str] | None) -> Iterator[None]:
    """Put the lines that a library prints to the process's stderr meanwhile into `words`, if given.

    Those of other threads are among them, which can't be told.
    """
    if words is None:
        yield
        return
    with ExitStack() as stack:
        try:
            stderr = os.dup(2)
            stack.callback(os.close, stderr)
            kept = stack.enter_context(tempfile.TemporaryFile())
        except OSError:
            # No stderr, or no room for what it gets.
            yield
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            kept.seek(0)
            lines = kept.read(1 << 16).decode(errors="replace").splitlines()
            words += [line.partition(": ")[2] or line for line in lines]


def _too_large(path: str | os.PathLike[str], max_pixels: int) -> UnsupportedError:
    return UnsupportedError(
        f"{path} has more than {max_pixels} pixels or a side above {MAX_SIDE}; cut it into parts"
    )


def _refuse_kind(path: str | os.PathLike[str], head: bytes, kind: FileKind | None) -> NoReturn:
    if head.startswith(MAGIC):
        raise UnsupportedError(f"{path} is a kodec file already; `kodec decode` turns it back")
    if not head:
        raise BitstreamError(f"{path} is empty; get it again")
    if kind is None:
        raise BitstreamError(f"{path} is not a picture kodec knows; it reads {_READABLE}")
    if kind.family == "picture":
        raise UnsupportedError(
            f"{path} is {kind.title}; kodec reads {_READABLE}: convert it to PNG first"
        )
    if kind.family == "video":
        raise UnsupportedError(f"{path} is {kind.title}; this version of kodec codes pictures only")
    if kind.family == "packed":
        raise BitstreamError(f"{path} is not a picture but {kind.title}; unpack it first")
    raise BitstreamError(
        f"{path} is not a picture (it looks like {kind.title}); kodec reads {_READABLE}"
    )
