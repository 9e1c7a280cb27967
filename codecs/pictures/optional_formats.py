"""JPEG XL and HEIC, which are read where pillow-jxl-plugin and pillow-heif are installed."""

import io
from importlib import import_module
from typing import IO, Any

import numpy as np
from PIL import Image

from kodec.codecs.file_kind import FileKind
from kodec.native import UnsupportedError

from .jpeg_xl_head import jpeg_xl_head
from .picture import Samples

_ORIENTATION = 0x0112
_PACKAGES = {"JXL": ("pillow_jxl", "pillow-jxl-plugin"), "HEIF": ("pillow_heif", "pillow-heif")}


def register(name: str, kind: FileKind) -> None:
    """Have Pillow read that kind of file.

    Raises UnsupportedError, calling the file `name`, where its library is not installed.
    """
    if kind.pillow_format not in _PACKAGES:
        return
    module, package = _PACKAGES[kind.pillow_format]
    try:
        library: Any = import_module(module)
    except ImportError:
        raise UnsupportedError(
            f"{name} is {kind.title}, which the package {package} reads: install it, or convert "
            "the picture to PNG"
        ) from None
    if kind.pillow_format == "HEIF":
        library.register_heif_opener()


def check_decoded(name: str, image: Image.Image, file: IO[bytes]) -> None:
    """Raise UnsupportedError for what a library gives only when it has decoded it, or less of.

    file: it, whose position may be left anywhere.
    """
    if image.format != "JXL":
        return
    if image.mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
        raise UnsupportedError(
            f"{name} has samples of the kind {image.mode}, which kodec does not code: convert it"
        )
    bits = jpeg_xl_head(file).bits
    if bits > 8 and image.mode != "I;16":
        raise UnsupportedError(
            f"{name} has {bits} bits a sample, of which pillow-jxl-plugin gives 8: "
            "convert it to PNG"
        )


def deep_heif(image: Image.Image, file: IO[bytes]) -> Samples | None:
    """The samples (H, W, C) in 16 bits of a HEIC picture of more than 8; None of others.

    The plugin gives 8 bits of them.
    """
    if image.info.get("bit_depth", 8) == 8:
        return None
    library: Any = import_module("pillow_heif")
    file.seek(0)
    with io.BytesIO(file.read()) as data:
        opened = library.open_heif(data, convert_hdr_to_8bit=False)
        samples = np.asarray(opened)
    # They stand in the high bits, with zeros below.
    depth = int(image.info["bit_depth"])
    whole, largest = 65535, (1 << depth) - 1
    values = samples.astype(np.uint64) >> (16 - depth)
    scaled: Samples = ((values * whole * 2 + largest) // (2 * largest)).astype(np.uint16)
    return scaled if scaled.ndim == 3 else scaled[..., None]


def without_orientation(exif: bytes | None) -> bytes | None:
    """EXIF of a picture whose library has turned it already, as these formats want it."""
    if exif is None:
        return None
    block = Image.Exif()
    try:
        block.load(exif)
        if block.get(_ORIENTATION, 1) == 1:
            return exif
        block[_ORIENTATION] = 1
        return block.tobytes().removeprefix(b"Exif\0\0")
    except Exception:
        # Pillow meets damage with a dozen types of errors; what makes no sense turns nothing.
        return exif
