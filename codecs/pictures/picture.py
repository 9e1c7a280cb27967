"""A picture in memory, as kodec codes it: 8-bit gray or RGB with its colour profile and EXIF."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.native import BitstreamError, InvalidInputError

from .picture_samples import check_mode

_EXIF_PREFIX = b"Exif\0\0"
_STRIP_PIXELS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels and what must come back with them.

    Raises InvalidInputError if `pixels` are not a uint8 array (H, W, 1) or (H, W, 3), H and W >= 1.
    """

    pixels: NDArray[np.uint8]
    """(H, W, 1) gray or (H, W, 3) RGB, 0 to 255, as stored: an EXIF orientation is not applied."""
    icc: bytes | None = None
    """ICC profile; without one the samples are sRGB."""
    exif: bytes | None = None
    """EXIF block from its TIFF header ("II*" or "MM") on, without the "Exif" prefix of JPEG."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3):
            raise InvalidInputError(
                f"a picture is a uint8 array HxWx1 or HxWx3, not {self.pixels.dtype} of shape "
                f"{'x'.join(map(str, shape)) or 'one number'}"
            )
        if 0 in shape:
            raise InvalidInputError("a picture has at least one pixel; this one has none")


def picture_from_image(image: Image.Image) -> Picture:
    """Return a Pillow image of mode L or RGB as a `Picture`, with its ICC profile and EXIF.

    Files are better read by `read_picture`: Pillow has already converted some (16-bit RGB) when
    it opens them. Raises UnsupportedError if the image is of another mode, has a transparent
    colour or several frames, InvalidInputError if it has no pixel.
    """
    check_mode("the image", image)
    if 0 in image.size:
        raise InvalidInputError("a picture has at least one pixel; this image has none")
    pixels = pixels_of_image(image)
    return Picture(pixels, image.info.get("icc_profile") or None, exif_of_image(image))


def pixels_of_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels (H, W, C) of an image of 8-bit components, at least 1x1."""
    width, height = image.size
    components = len(image.getbands())
    pixels = np.empty((height, width, components), np.uint8)
    # In strips, as Pillow's own export of a whole image takes two more copies of it.
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(strip).reshape(-1, width, components)
    return pixels


def exif_of_image(image: Image.Image) -> bytes | None:
    """Return the EXIF block of a loaded image without JPEG's prefix, None if it has none.

    Raises BitstreamError if it is the hexadecimal text that older programs put into PNG, and
    damaged.
    """
    exif: bytes = image.info.get("exif") or b""
    text = image.info.get("Raw profile type exif")
    if not exif and text:
        # A line of the name and one of the length follow an empty one; the rest is the block.
        try:
            exif = bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError as error:
            raise BitstreamError("the picture's EXIF text is damaged; remove it") from error
    return exif.removeprefix(_EXIF_PREFIX) or None
