"""A picture in memory, as kodec codes it: samples, alpha, and what must come back with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.native import BitstreamError, InvalidInputError

Samples = NDArray[Any]
"""uint8 or uint16."""

_EXIF_PREFIX = b"Exif\0\0"
_STRIP_PIXELS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels and what must come back with them.

    Raises InvalidInputError if `pixels` are not a uint8 or uint16 array (H, W, 1) or (H, W, 3),
    H and W >= 1, or `alpha` is none of that type and size.
    """

    pixels: Samples
    """(H, W, 1) gray or (H, W, 3) RGB, as stored: an EXIF orientation is not applied. 0 to 255 in
    uint8, 0 to 65535 in uint16."""
    icc: bytes | None = None
    """ICC profile; without one, and without `colour`, the samples are sRGB."""
    exif: bytes | None = None
    """EXIF block from its TIFF header ("II*" or "MM") on, without the "Exif" prefix of JPEG."""
    alpha: Samples | None = None
    """(H, W), straight (pixels are not multiplied by it): 0 transparent, the largest value opaque;
    of the pixels' type. None where every pixel is opaque."""
    xmp: bytes | None = None
    """XMP packet, UTF-8."""
    colour: Mapping[str, bytes] = field(default_factory=dict)
    """Descriptions of colour by the names of PNG's chunks and as these store them: "cICP", "cHRM",
    "gAMA", "mDCV", "cLLI"."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        known = self.pixels.dtype in (np.uint8, np.uint16)
        if not known or len(shape) != 3 or shape[2] not in (1, 3):
            raise InvalidInputError(
                f"a picture is a uint8 or uint16 array HxWx1 or HxWx3, not {self.pixels.dtype} of "
                f"shape {'x'.join(map(str, shape)) or 'one number'}"
            )
        if 0 in shape:
            raise InvalidInputError("a picture has at least one pixel; this one has none")
        alpha = self.alpha
        if alpha is not None and (alpha.shape != shape[:2] or alpha.dtype != self.pixels.dtype):
            raise InvalidInputError(
                f"alpha is one {self.pixels.dtype} sample a pixel, not {alpha.dtype} of shape "
                f"{'x'.join(map(str, alpha.shape))}"
            )

    @property
    def bit_depth(self) -> int:
        """Bits a sample: 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def kind(self) -> str:
        """What it is, in words: "RGB", "16-bit gray with alpha"."""
        deep = "16-bit " if self.bit_depth == 16 else ""
        colours = "gray" if self.pixels.shape[2] == 1 else "RGB"
        return f"{deep}{colours}{'' if self.alpha is None else ' with alpha'}"

    def same_as(self, other: "Picture") -> bool:
        """Whether samples and all that comes with them are the same."""
        alphas = [None if p.alpha is None else p.alpha.tobytes() for p in (self, other)]
        return (
            self.pixels.dtype == other.pixels.dtype
            and np.array_equal(self.pixels, other.pixels)
            and alphas[0] == alphas[1]
            and (self.icc, self.exif, self.xmp) == (other.icc, other.exif, other.xmp)
            and dict(self.colour) == dict(other.colour)
        )


def picture_of_array(samples: Samples) -> Picture:
    """An array (H, W), (H, W, 1), (H, W, 3), or with alpha last (H, W, 2) or (H, W, 4).

    Raises InvalidInputError for any other.
    """
    samples = np.asarray(samples)
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        alpha = np.ascontiguousarray(samples[..., -1])
        return Picture(np.ascontiguousarray(samples[..., :-1]), alpha=alpha)
    return Picture(samples)


def array_of_picture(picture: Picture) -> Samples:
    """Its samples, with alpha, where it has some, as the last component."""
    if picture.alpha is None:
        return picture.pixels
    return np.concatenate([picture.pixels, picture.alpha[..., None]], axis=-1)


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


def xmp_of_image(image: Image.Image) -> bytes | None:
    """Return the XMP packet of a loaded image, None if it has none."""
    xmp: bytes | str = image.info.get("xmp") or b""
    return (xmp.encode() if isinstance(xmp, str) else bytes(xmp)) or None
