"""Reading and writing picture files without changing a pixel."""

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from PIL import Image, UnidentifiedImageError

from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

from .atomic_file import check_output_target, write_atomically
from .container import MAGIC, MAX_PIXELS, MAX_SIDE
from .file_kind import SNIFF_BYTES, FileKind, identify_file
from .picture import Picture, exif_of_image, pixels_of_image
from .picture_format import check_samples
from .tiff_exif import exif_from_tiff, exif_to_tiff, undo_orientation

_log = logging.getLogger(__name__)

_READABLE = "PNG, JPEG, WebP, PPM, PGM, BMP and TIFF"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

# Extension -> Pillow's format.
_OUTPUTS = {
    ".png": "PNG",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_COMPONENTS = {".ppm": 3, ".pgm": 1, ".webp": 3}
_MAX_OUTPUT_SIDE = {"WEBP": 16383}
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".heic", ".heif", ".jxl", ".jp2")
_KEEPS_METADATA = ("PNG", "TIFF", "WEBP")

# Pillow's limit on the number of pixels and Python's warning filters are the process's.
_pillow_lock = threading.Lock()


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an 8-bit gray or RGB picture: PNG, JPEG, WebP, PPM, PGM, BMP or TIFF.

    The pixels are those stored: an EXIF orientation stays in `exif` and is not applied. Resolution,
    comments and XMP are not read. Threads take turns in here.

    Raises UnsupportedError if the file holds anything else (alpha, a palette, another bit depth,
    CMYK, several frames, a video) or more than `max_pixels` pixels, BitstreamError if it is
    damaged, truncated or no picture, InvalidInputError if it is a folder, OSError if the system
    cannot read it (FileNotFoundError if it is missing).
    """
    if os.path.isdir(path):
        raise InvalidInputError(f"{path} is a folder; name a picture file in it")
    with open(path, "rb") as file:
        head = file.read(SNIFF_BYTES)
        file.seek(0)
        kind = identify_file(head)
        if kind is None or kind.pillow_format is None:
            _refuse_kind(path, head, kind)
        try:
            with _pillow_limits(max_pixels):
                return _read_with_pillow(path, file, kind, max_pixels)
        except (KodecError, MemoryError):
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large(path, max_pixels) from None
        except Exception as error:
            # An errno means that the system failed; anything else is how one of Pillow's readers
            # met damage (they raise a dozen types).
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if isinstance(error, UnidentifiedImageError):
                reason = "its header makes no sense"
            raise BitstreamError(
                f"{path} looks like {kind.title} but is damaged or truncated ({reason})"
            ) from error


def check_picture_output(path: str | os.PathLike[str], components: int | None = None) -> None:
    """Refuse an output path that `write_picture` would refuse, before any work is spent on it.

    `components` is 1 (gray), 3 (RGB) or None if not known yet. Raises UnsupportedError if the
    extension names a lossy, unknown or unfit format, InvalidInputError if nothing can be written
    there.
    """
    _output_format(path, components)
    check_output_target(path)


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture losslessly; the extension says how: .png, .ppm (RGB), .pgm (gray), .bmp,
    .tif, .tiff or .webp (RGB).

    The file appears whole or not at all. ICC profile and EXIF go along where the format carries
    them (PNG, TIFF, WebP; TIFF keeps the descriptive tags of the EXIF, not its layout); what is
    left out is logged as a warning. Raises as `check_picture_output` does, and OSError if the
    system refuses.
    """
    height, width, components = picture.pixels.shape
    pillow_format = _output_format(path, components)
    check_output_target(path)
    side = _MAX_OUTPUT_SIDE.get(pillow_format, MAX_SIDE)
    if max(height, width) > side:
        raise UnsupportedError(
            f"{path}: {pillow_format} holds at most {side} pixels a side, and the picture has "
            f"{width}x{height}; write a .png"
        )
    options: dict[str, object] = {"lossless": True} if pillow_format == "WEBP" else {}
    if pillow_format in _KEEPS_METADATA:
        options |= _metadata_options(path, picture, pillow_format)
    elif picture.icc or picture.exif:
        lost = " and ".join(
            n for n, data in (("ICC profile", picture.icc), ("EXIF", picture.exif)) if data
        )
        _log.warning("%s: this format cannot carry the picture's %s; a .png can", path, lost)
    pixels = np.ascontiguousarray(picture.pixels)
    image = Image.fromarray(pixels[..., 0] if components == 1 else pixels)
    out = io.BytesIO()
    image.save(out, pillow_format, **options)
    write_atomically(path, out.getbuffer())


def _metadata_options(
    path: str | os.PathLike[str], picture: Picture, pillow_format: str
) -> dict[str, object]:
    options: dict[str, object] = {}
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.exif and pillow_format == "TIFF":
        with _pillow_lock:
            exif, dropped = exif_to_tiff(picture.exif)
        if exif is not None:
            options["exif"] = exif
        if dropped:
            _log.warning("%s: TIFF cannot carry %s; a .png can", path, dropped)
    elif picture.exif:
        options["exif"] = picture.exif
    return options


def _read_with_pillow(
    path: str | os.PathLike[str], file: IO[bytes], kind: FileKind, max_pixels: int
) -> Picture:
    assert kind.pillow_format is not None
    with Image.open(file, formats=(kind.pillow_format,)) as image:
        width, height = image.size
        if width * height > max_pixels or max(width, height) > MAX_SIDE:
            raise _too_large(path, max_pixels)
        check_samples(str(path), image, file)
        # TIFF only: Pillow applies an orientation while loading and forgets it.
        exif = exif_from_tiff(image)
        undo = undo_orientation(image)
        image.load()
        if kind.pillow_format == "PNG":
            _check_png_end(path, file)
        icc = image.info.get("icc_profile") or None
        _warn_of_gamma(path, image)
        if undo is None:
            return Picture(pixels_of_image(image), icc, exif or exif_of_image(image))
        return Picture(pixels_of_image(image.transpose(undo)), icc, exif)


def _check_png_end(path: str | os.PathLike[str], file: IO[bytes]) -> None:
    """Pillow takes a PNG whose pixels are there and whose end is not; what else is missing then
    (EXIF may stand there) nobody knows."""
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - (1 << 16)))
    if _PNG_END not in file.read():
        raise BitstreamError(f"{path} looks like a PNG picture but is truncated (it has no end)")


def _warn_of_gamma(path: str | os.PathLike[str], image: Image.Image) -> None:
    gamma = image.info.get("gamma")
    if gamma and "icc_profile" not in image.info and "srgb" not in image.info:
        if not 0.43 < gamma < 0.48:
            _log.warning(
                "%s: its PNG gamma of %.4g is not carried along; the samples count as sRGB",
                path,
                gamma,
            )


@contextmanager
def _pillow_limits(max_pixels: int) -> Iterator[None]:
    """Let Pillow read pictures of up to `max_pixels` pixels and keep its remarks on odd metadata
    to itself."""
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _too_large(path: str | os.PathLike[str], max_pixels: int) -> UnsupportedError:
    return UnsupportedError(
        f"{path} has more than {max_pixels} pixels or a side above {MAX_SIDE}; cut it into parts"
    )


def _refuse_kind(path: str | os.PathLike[str], head: bytes, kind: FileKind | None) -> NoReturn:
    if head.startswith(MAGIC):
        raise UnsupportedError(f"{path} is a kodec file already; `kodec decode` turns it back")
    if not head:
        raise BitstreamError(f"{path} is empty")
    if kind is None:
        raise BitstreamError(f"{path} is not a picture kodec knows; it reads {_READABLE}")
    if kind.family == "picture":
        raise UnsupportedError(
            f"{path} is {kind.title}; kodec reads {_READABLE}: convert it to PNG first"
        )
    if kind.family == "video":
        raise UnsupportedError(f"{path} is {kind.title}; this version of kodec codes pictures only")
    raise BitstreamError(f"{path} is not a picture (it looks like {kind.title})")


def _output_format(path: str | os.PathLike[str], components: int | None) -> str:
    extension = Path(path).suffix.lower()
    if extension in _LOSSY:
        raise UnsupportedError(
            f"{path}: a {extension} file would change the decoded pixels; write a .png"
        )
    if extension not in _OUTPUTS:
        raise UnsupportedError(
            f"{path}: kodec writes pictures as {', '.join(_OUTPUTS)}, not as "
            f"{extension or 'a name without extension'}"
        )
    needed = _COMPONENTS.get(extension)
    if components is not None and needed is not None and components != needed:
        ours, theirs = ("gray", "RGB") if components == 1 else ("RGB", "gray")
        fit = ".pgm" if components == 1 and extension == ".ppm" else ".png"
        if components == 3:
            fit = ".ppm"
        raise UnsupportedError(
            f"{path}: a {extension} file holds {theirs}, and the picture is {ours}; write a {fit}"
        )
    return _OUTPUTS[extension]
