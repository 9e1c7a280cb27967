"""Writing picture files without changing a pixel."""

import io
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from kodec.codecs.atomic_file import check_output_target, write_atomically
from kodec.codecs.container import MAX_SIDE
from kodec.native import UnsupportedError

from .anymap import write_anymap
from .deep_files import deep_png, deep_tiff, png_chunk
from .picture import Picture, array_of_picture
from .picture_opening import pillow_lock
from .tiff_exif import exif_to_tiff

_TIFF_XMP = 700
# Bytes of the signature and of IHDR.
_PNG_HEAD = 33
# Of zlib-ng: 5 % larger files than Pillow's usual 6, in 0.4 of the time.
_PNG_LEVEL = 4
_log = logging.getLogger(__name__)

# Extension -> format, by Pillow's name; those of Netpbm's family are written here.
_OUTPUTS = {
    ".png": "PNG",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pam": "PAM",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_COMPONENTS = {".ppm": 3, ".pgm": 1, ".webp": 3}
_EIGHT_BITS_ALONE = (".bmp", ".webp")
_WITHOUT_ALPHA = (".ppm", ".pgm", ".bmp")
_MAX_OUTPUT_SIDE = {"WEBP": 16383}
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".heic", ".heif", ".jxl", ".jp2")
_CARRIES = {
    "PNG": ("ICC profile", "EXIF", "XMP", "colours"),
    "TIFF": ("ICC profile", "EXIF", "XMP"),
}
_CARRIES["WEBP"] = _CARRIES["TIFF"]


def check_picture_output(
    path: str | os.PathLike[str],
    components: int | None = None,
    bit_depth: int = 8,
    alpha: bool = False,
) -> None:
    """Refuse an output path that `write_picture` would refuse, before any work is spent on it.

    `components` is 1 (gray), 3 (RGB) or None if not known yet. Raises UnsupportedError if the
    extension names a lossy, unknown or unfit format, InvalidInputError if nothing can be written
    there.
    """
    _output_format(path, components, bit_depth, alpha)
    check_output_target(path)


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture losslessly; the extension says how: .png, .tif, .tiff and .pam (8 and 16
    bits, with alpha), .ppm (RGB) and .pgm (gray) of 8 and 16 bits, .webp (8-bit RGB, with alpha),
    .bmp (8 bits).

    The file appears whole or not at all. ICC profile, EXIF and XMP go along where the format
    carries them (PNG, TIFF, WebP; TIFF keeps the descriptive tags of the EXIF, not its layout),
    other descriptions of colour in PNG; what is left out is logged as a warning. Raises as
    `check_picture_output` does, and OSError if the system refuses.
    """
    height, width, components = picture.pixels.shape
    alpha = picture.alpha is not None
    _output_format(path, components, picture.bit_depth, alpha)
    check_output_target(path)
    write_atomically(path, picture_bytes(picture, Path(path).suffix, os.fspath(path)))


def picture_bytes(picture: Picture, suffix: str, name: str = "the picture") -> bytes | memoryview:
    """What `write_picture` writes to a file of that suffix, which errors call `name`."""
    height, width, components = picture.pixels.shape
    suffix = suffix.lower()
    file_format = _output_format(
        f"{name}", components, picture.bit_depth, picture.alpha is not None, suffix
    )
    side = _MAX_OUTPUT_SIDE.get(file_format, MAX_SIDE)
    if max(height, width) > side:
        raise UnsupportedError(
            f"{name}: {file_format} holds at most {side} pixels a side, and the picture has "
            f"{width}x{height}; write a .png"
        )
    _tell_what_is_lost(name, picture, file_format)
    if file_format in ("PPM", "PAM"):
        return write_anymap(picture, suffix)
    if file_format == "TIFF":
        return _tiff_bytes(picture, name)
    if picture.bit_depth == 16:
        chunks = list(_png_chunks(picture))
        return deep_png(array_of_picture(picture), chunks)
    options: dict[str, object] = {}
    if file_format == "WEBP":
        # Colours are kept where they are transparent, too.
        options = {"lossless": True, "exact": True}
        options |= {"xmp": picture.xmp} if picture.xmp else {}
    elif file_format == "PNG":
        options = {"pnginfo": _png_info(picture), "compress_level": _PNG_LEVEL}
    if file_format != "BMP":
        options |= {"icc_profile": picture.icc} if picture.icc else {}
        options |= {"exif": picture.exif} if picture.exif else {}
    out = io.BytesIO()
    _image_of(picture).save(out, file_format, **options)
    if file_format == "PNG" and picture.colour:
        # Behind the head; Pillow does not write all of them.
        told = [png_chunk(chunk.encode(), value) for chunk, value in picture.colour.items()]
        data = out.getvalue()
        return b"".join([data[:_PNG_HEAD], *told, data[_PNG_HEAD:]])
    return out.getbuffer()


def _image_of(picture: Picture) -> Image.Image:
    samples = np.ascontiguousarray(array_of_picture(picture))
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _tell_what_is_lost(name: str, picture: Picture, file_format: str) -> None:
    has = {
        "ICC profile": picture.icc,
        "EXIF": picture.exif,
        "XMP": picture.xmp,
        "colours": picture.colour,
    }
    carried = _CARRIES.get(file_format, ())
    lost = [what for what, data in has.items() if data and what not in carried]
    if lost:
        words = " and ".join(
            "other colours than sRGB" if what == "colours" else what for what in lost
        )
        _log.warning("%s: this format cannot carry the picture's %s; a .png can", name, words)


def _png_info(picture: Picture) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if picture.xmp:
        info.add(b"iTXt", _xmp_chunk(picture.xmp))
    return info


def _png_chunks(picture: Picture) -> Iterator[tuple[bytes, bytes]]:
    """What stands before the pixels of a PNG that Pillow does not write."""
    for chunk, data in picture.colour.items():
        yield chunk.encode("ascii"), data
    if picture.icc:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc)
    if picture.exif:
        yield b"eXIf", picture.exif
    if picture.xmp:
        yield b"iTXt", _xmp_chunk(picture.xmp)


def _xmp_chunk(xmp: bytes) -> bytes:
    return b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def _tiff_bytes(picture: Picture, name: str) -> bytes | memoryview:
    exif = None
    if picture.exif:
        with pillow_lock:
            exif, dropped = exif_to_tiff(picture.exif)
        if dropped:
            _log.warning("%s: TIFF cannot carry %s; a .png can", name, dropped)
    tags = Image.Exif()
    if exif is not None:
        tags.load(exif)
    if picture.bit_depth == 16:
        return deep_tiff(array_of_picture(picture), tags, picture.icc, picture.xmp)
    if picture.xmp:
        tags[_TIFF_XMP] = picture.xmp
    options: dict[str, object] = {"exif": tags} if len(tags) else {}
    options |= {"icc_profile": picture.icc} if picture.icc else {}
    out = io.BytesIO()
    _image_of(picture).save(out, "TIFF", **options)
    return out.getbuffer()


def _output_format(
    path: str | os.PathLike[str],
    components: int | None,
    bit_depth: int = 8,
    alpha: bool = False,
    extension: str | None = None,
) -> str:
    extension = Path(path).suffix.lower() if extension is None else extension
    if extension in _LOSSY:
        raise UnsupportedError(
            f"{path}: a {extension} file would change the decoded pixels; write a .png"
        )
    if extension not in _OUTPUTS:
        raise UnsupportedError(
            f"{path}: kodec writes pictures as {', '.join(_OUTPUTS)}, not as "
            f"{extension or 'a name without extension'}"
        )
    if bit_depth > 8 and extension in _EIGHT_BITS_ALONE:
        raise UnsupportedError(
            f"{path}: a {extension} file holds 8 bits a sample, and the picture has {bit_depth}; "
            "write a .png"
        )
    if alpha and extension in _WITHOUT_ALPHA:
        raise UnsupportedError(
            f"{path}: a {extension} file holds no transparency, and the picture has some; write a "
            ".png"
        )
    if alpha and bit_depth > 8 and components == 1 and _OUTPUTS[extension] == "TIFF":
        raise UnsupportedError(
            f"{path}: gray with alpha of 16 bits is not written as TIFF; write a .png"
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
