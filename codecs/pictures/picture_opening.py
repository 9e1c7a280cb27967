"""Opening picture files with Pillow: the one place that does, within kodec's limits and words."""

import logging
import os
import re
import stat
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, NoReturn

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from kodec.codecs.container import MAGIC, MAX_SIDE
from kodec.codecs.file_kind import SNIFF_BYTES, FileKind, identify_file
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

from .optional_formats import register
from .picture_samples import (
    check_mode,
    end_of_png,
    is_of_system,
    look_at_head,
    second_picture,
    unfit,
)
from .png_rows import rows_are_missing
from .stored import Stored

# Without a handler of its own, its remarks on odd files would go to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


_READABLE = "PNG, JPEG, WebP, AVIF, TIFF, BMP, PPM, PGM and PAM"
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

Source = str | os.PathLike[str] | IO[bytes]
"""A path, or an open file that can be sought in."""

pillow_lock = threading.Lock()
"""Held by whoever uses Pillow's limits or Python's warning filters, which are the process's."""


def name_of(path: Source) -> str:
    """What an error calls it."""
    if isinstance(path, str | os.PathLike):
        return os.fsdecode(path)
    return str(getattr(path, "name", "the picture"))


@contextmanager
def open_file(
    path: Source, formats: Collection[str] | None
) -> Iterator[tuple[IO[bytes], FileKind]]:
    """Open a file of one of these formats, by Pillow's names, or of any that kodec reads; refuse
    others, saying what it is."""
    if not isinstance(path, str | os.PathLike):
        path.seek(0)
        yield path, _kind_of(path, name_of(path), formats)
        return
    if os.path.isdir(path):
        raise InvalidInputError(f"{path} is a folder; name a picture file in it")
    # Before it is opened: a pipe would be waited for, and an end is sought that it has not.
    mode = os.stat(path).st_mode
    special = next((name for test, name in _SPECIAL_FILES if test(mode)), None)
    if special is not None:
        raise InvalidInputError(f"{path} is {special}; save the picture to a file first")
    with open(path, "rb") as file:
        yield file, _kind_of(file, name_of(path), formats)


def _kind_of(file: IO[bytes], name: str, formats: Collection[str] | None) -> FileKind:
    head = file.read(SNIFF_BYTES)
    kind = identify_file(head)
    if kind is None or kind.pillow_format is None:
        _refuse_kind(name, head, kind)
    if formats is None:
        register(name, kind)
    elif kind.pillow_format not in formats:
        raise unfit(name, f"is {kind.title}")
    return kind


def stored_in(file: IO[bytes], kind: FileKind) -> Stored:
    """What a file's head says of its samples, without remarks of Pillow's on stderr."""
    with pillow_lock, _limits(0):
        return look_at_head(kind.pillow_format or "", file)


@contextmanager
def opened(
    path: Source,
    file: IO[bytes],
    kind: FileKind,
    max_pixels: int,
    stored: Stored | None = None,
    wide: bool = False,
) -> Iterator[ImageFile.ImageFile]:
    """Open an image with Pillow, within kodec's limits and with kodec's errors.

    Without `stored`, what is not one picture of 8-bit gray or RGB is refused; with `wide`, what is
    not one that a `Picture` can be; otherwise nothing.
    """
    assert kind.pillow_format is not None
    any_samples = stored is not None and not wide
    name = name_of(path)
    words: list[str] = []
    with pillow_lock, _limits(max_pixels):
        try:
            stored = stored or look_at_head(kind.pillow_format, file)
            if stored.trouble is not None:
                raise unfit(name, stored.trouble, wide)
            if stored.wide is not None and not (wide or any_samples):
                raise unfit(name, stored.wide)
            file.seek(0)
            # Only TIFF's library has words of its own, which would go to stderr.
            with _library_words(words if kind.pillow_format == "TIFF" else None):
                with Image.open(file, formats=(kind.pillow_format,)) as image:
                    width, height = image.size
                    if width * height > max_pixels or max(width, height) > MAX_SIDE:
                        raise too_large(path, max_pixels)
                    if not any_samples:
                        check_mode(name, image, wide)
                        _refuse_second_view(path, image)
                    yield image
        except KodecError:
            raise
        except MemoryError:
            raise KodecError(f"not enough memory to read {name}; cut it into parts") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise too_large(path, max_pixels) from None
        except Exception as error:
            # An errno means that the system failed; anything else is how one of Pillow's readers
            # met damage (they raise a dozen types).
            if isinstance(error, OSError) and is_of_system(error):
                raise
            raise _in_our_words(path, kind, stored, error, words) from error


def _in_our_words(
    source: Source,
    kind: FileKind,
    stored: Stored | None,
    error: Exception,
    words: list[str],
) -> KodecError:
    """What an error of Pillow's comes to, with what its library said."""
    path = name_of(source)
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
    if isinstance(error, OSError) and error.errno is not None:
        reason = "it points behind its end"
    elif isinstance(error, UnidentifiedImageError):
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


def check_end(source: Source, file: IO[bytes], image: Image.Image) -> None:
    """Refuse a file that has no end, or another picture behind it."""
    path = name_of(source)
    # Pillow takes a PNG whose pixels are there and whose end is not; what else is missing then
    # (EXIF may stand there) nobody knows.
    if image.format == "PNG" and end_of_png(file) is None:
        raise BitstreamError(f"{path} looks like a PNG picture but is truncated (it has no end)")
    if second_picture(image.format or "", file, image.size, len(image.getbands())):
        raise UnsupportedError(f"{path} holds several pictures, one behind the other; part them")


def check_rows(source: Source, file: IO[bytes], image: Image.Image) -> None:
    """Refuse a file with fewer rows than the loaded image shows."""
    if image.format == "PNG" and rows_are_missing(file, image):
        raise BitstreamError(
            f"{name_of(source)} looks like a PNG picture but is truncated (rows of it are missing)"
        )


def _refuse_second_view(path: Source, image: Image.Image) -> None:
    if isinstance(image, JpegImagePlugin.JpegImageFile) and "mp" in image.info:
        raise UnsupportedError(
            f"{name_of(path)} holds a second picture (a gain map or preview); save it as a plain "
            "JPEG or PNG"
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


def too_large(path: Source, max_pixels: int) -> UnsupportedError:
    return UnsupportedError(
        f"{name_of(path)} has more than {max_pixels} pixels or a side above {MAX_SIDE}; "
        "cut it into parts"
    )


def _refuse_kind(path: str, head: bytes, kind: FileKind | None) -> NoReturn:
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
