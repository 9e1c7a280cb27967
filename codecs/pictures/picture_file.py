"""Writing picture files without changing a pixel."""

import io
import logging
import os
from pathlib import Path

import numpy as np
from PIL import Image

from kodec.codecs.atomic_file import check_output_target, write_atomically
from kodec.codecs.container import MAX_SIDE
from kodec.native import UnsupportedError

from .picture import Picture
from .picture_reading import pillow_lock
from .tiff_exif import exif_to_tiff

_log = logging.getLogger(__name__)

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
        with pillow_lock:
            exif, dropped = exif_to_tiff(picture.exif)
        if exif is not None:
            options["exif"] = exif
        if dropped:
            _log.warning("%s: TIFF cannot carry %s; a .png can", path, dropped)
    elif picture.exif:
        options["exif"] = picture.exif
    return options


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
