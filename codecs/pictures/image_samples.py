"""From what Pillow presents to samples and alpha, without losing any: palettes, 1 bit, 16 bits."""

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile

from kodec.native import InvalidInputError, UnsupportedError

from .picture import (
    Picture,
    Samples,
    exif_of_image,
    picture_of_array,
    pixels_of_image,
    xmp_of_image,
)
from .picture_samples import check_mode

# By the unpacker that Pillow takes for the high bytes of 16-bit samples, the one that takes the low
# ones. "N" is the machine's own order, which is little-endian wherever kodec runs.
_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B",
}
_GRAY_ALPHA = "LA;16B"


def picture_from_image(image: Image.Image) -> Picture:
    """Return a Pillow image of mode 1, L, LA, P, PA, RGB, RGBA or I;16 as a `Picture`, with its
    ICC profile, EXIF and XMP.

    Files are better read by `read_picture`: Pillow has already converted some (16-bit RGB) when
    it opens them. Raises UnsupportedError if the image is of another mode or has several frames,
    InvalidInputError if it has no pixel.
    """
    check_mode("the image", image, wide=True)
    if 0 in image.size:
        raise InvalidInputError("a picture has at least one pixel; this image has none")
    if image.mode == "CMYK":
        raise UnsupportedError("the image is in CMYK: convert it to RGB first")
    samples = samples_of_image(image)
    icc = image.info.get("icc_profile") or None
    return described(picture_of_array(samples), icc, exif_of_image(image), xmp_of_image(image))


def described(
    picture: Picture,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    colour: dict[str, bytes] | None = None,
) -> Picture:
    """The samples of a picture with what is said of them."""
    return Picture(picture.pixels, icc, exif, picture.alpha, xmp, colour or {})


def samples_of_image(image: Image.Image, bits: int = 8, inverted: bool = False) -> Samples:
    """Samples (H, W, C) of a loaded image, of any mode that `check_mode` takes but CMYK.

    Alpha comes last. A transparent colour becomes alpha, a palette its colours, one bit 0 and 255.
    bits: of gray samples in the file, which a transparent gray is told in. inverted: of 16
    bits, 0 is white.
    """
    transparent = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        return _keyed(_deep_gray(image, inverted), transparent)
    if image.mode in ("P", "PA"):
        alpha = image.mode == "PA" or transparent is not None
        return pixels_of_image(image.convert("RGBA" if alpha else "RGB"))
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "L" and isinstance(transparent, int) and bits < 8:
        # Pillow has stretched the samples to 8 bits, but for those of one bit not this.
        largest = (1 << bits) - 1
        transparent = transparent if bits == 1 else transparent * 255 // largest
    return _keyed(pixels_of_image(image), transparent)


def deep_samples(opened: ImageFile, again: Callable[[], ImageFile]) -> Samples | None:
    """The 16-bit samples of a file that Pillow would cut to 8 bits; None where it does not.

    opened: the image, not yet loaded. again: opens it another time. Pillow's unpackers take the
    high bytes or the low ones: the file is decoded once for each.
    """
    modes = {_raw_mode(tile.args) for tile in opened.tile}
    if modes == {_GRAY_ALPHA}:
        # Four bytes a pixel, as RGBA has.
        _unpack(opened, lambda _: "RGBA")
        pairs = pixels_of_image(opened).astype(np.uint16)
        return pairs[..., 0::2] << 8 | pairs[..., 1::2]
    if not modes or not all(mode in _LOW_BYTES for mode in modes):
        return None
    transparent = opened.info.get("transparency")
    with again() as low_image:
        _unpack(low_image, _LOW_BYTES.__getitem__)
        samples = pixels_of_image(opened).astype(np.uint16)
        samples <<= 8
        samples |= pixels_of_image(low_image)
    return _keyed(samples, transparent)


def convert_cmyk(name: str, image: Image.Image) -> Image.Image:
    """A loaded CMYK image as sRGB, through the profile that it has in it, relative colorimetric.

    Raises UnsupportedError where it has none or a damaged one.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        raise UnsupportedError(
            f"{name} is in CMYK and has no profile that says which: give it one, or "
            "convert it first"
        )
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        converted = ImageCms.profileToProfile(image, source, target, intent, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        raise UnsupportedError(
            f"{name} is in CMYK, and its profile is damaged or for other colours: convert it first"
        ) from None
    assert converted is not None
    return converted


def _deep_gray(image: Image.Image, inverted: bool) -> NDArray[np.uint16]:
    samples: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)[..., None]
    return np.invert(samples) if inverted else samples


def _keyed(samples: Samples, colour: object) -> Samples:
    """With an alpha that is 0 where a pixel is of one colour; as they are where there is none."""
    if colour is None or not isinstance(colour, int | tuple):
        return samples
    key = np.array(colour, samples.dtype).reshape(-1)
    if len(key) != samples.shape[2]:
        return samples
    alpha = np.any(samples != key, axis=-1, keepdims=True).astype(samples.dtype)
    alpha *= np.iinfo(samples.dtype).max
    joined: Samples = np.concatenate([samples, alpha], axis=-1)
    return joined


def _raw_mode(arguments: Any) -> str:
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _unpack(image: ImageFile, mode: Callable[[str], str]) -> None:
    """Have a file's samples unpacked in another way."""
    tiles: Iterable[Any] = image.tile
    image.tile = [
        tile._replace(
            args=(mode(tile.args[0]), *tile.args[1:])
            if isinstance(tile.args, tuple)
            else mode(tile.args)
        )
        for tile in tiles
    ]
