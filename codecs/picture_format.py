"""Which pictures kodec can code without converting them, and why not the others."""

from typing import IO

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from kodec.native import UnsupportedError

_EIGHT_BITS = "kodec codes 8-bit gray and RGB: convert it first"

_MODES = {
    "1": "is black and white (1 bit a pixel)",
    "P": "has a palette",
    "PA": "has a palette and transparency",
    "LA": "has transparency (gray with alpha)",
    "La": "has transparency (gray with alpha)",
    "RGBA": "has transparency (RGB with alpha)",
    "RGBa": "has transparency (RGB with alpha)",
    "CMYK": "is in CMYK",
    "YCbCr": "is in YCbCr",
    "LAB": "is in CIE Lab",
    "HSV": "is in HSV",
    "F": "has floating-point samples",
    "I": "has more than 8 bits a sample",
}

_TIFF_BITS, _TIFF_SAMPLES, _TIFF_SIGN = 258, 277, 339


def check_mode(name: str, image: Image.Image) -> None:
    """Check that `image`, as Pillow presents it, is one 8-bit gray or RGB picture.

    Raises UnsupportedError, in one line that calls the picture `name`, says what it is and what
    to do.
    """
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnsupportedError(
            f"{name} holds {frames} pictures (animation, pages or views); save one of them alone"
        )
    trouble = _MODES.get(image.mode)
    if image.mode.startswith("I;16"):
        trouble = "has 16 bits a sample"
    elif trouble is None and image.mode not in ("L", "RGB"):
        trouble = f"has the unusual pixel type {image.mode}"
    elif trouble is None and "transparency" in image.info:
        trouble = "has transparency (one colour of it is transparent)"
    if trouble is not None:
        raise UnsupportedError(f"{name} {trouble}; {_EIGHT_BITS}")


def check_samples(name: str, image: Image.Image, file: IO[bytes]) -> None:
    """Check that `image`, opened from `file` and not yet loaded, is one 8-bit gray or RGB picture
    that Pillow will hand over as stored.

    Pillow converts several formats on its own (16-bit RGB to 8 bits, 4-bit gray to 8), so its
    mode alone does not tell. Leaves the file's position as it was. Raises as `check_mode` does.
    """
    position = file.tell()
    trouble = _stored_otherwise(image, file)
    file.seek(position)
    check_mode(name, image)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and "mp" in image.info:
        raise UnsupportedError(
            f"{name} holds a second picture (a gain map or preview); save it as a plain JPEG or PNG"
        )
    if trouble is not None:
        raise UnsupportedError(f"{name} {trouble}; {_EIGHT_BITS}")


def _stored_otherwise(image: Image.Image, file: IO[bytes]) -> str | None:
    """Say what the file really holds where Pillow would convert it silently."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        file.seek(24)
        bits = file.read(1)[0]
        return None if bits == 8 else f"has {bits} bits a sample"
    if image.format == "BMP":
        file.seek(14)
        header = file.read(16)
        bits = int.from_bytes(header[10:12] if header[0] == 12 else header[14:16], "little")
        return None if bits in (8, 24) else f"has {bits} bits a pixel"
    if image.format == "PPM":
        args = image.tile[0][3]  # type: ignore[attr-defined]
        most = args[1] if isinstance(args, tuple) else 255
        return None if most == 255 else f"has samples of 0 to {most} instead of 255"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        depths = set(tags.get(_TIFF_BITS, (1,)))
        samples = tags.get(_TIFF_SAMPLES, 1)
        if depths != {8}:
            return f"has {' and '.join(map(str, sorted(depths)))} bits a sample"
        if samples != len(image.getbands()):
            return f"has {samples} samples a pixel"
        if set(tags.get(_TIFF_SIGN, (1,))) != {1}:
            return "has signed samples"
    return None
