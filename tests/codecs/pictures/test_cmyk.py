"""CMYK: refused, unless its own profile may take it to sRGB."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cmyk_profile import cmyk_profile, srgb_of_inks
from kodec.codecs import Picture
from kodec.native import UnsupportedError
from picture_files import ICC, XMP, exif_with, read, saved, tiff

PROFILE = cmyk_profile()
INKS = (
    (0, 0, 0, 0),
    (255, 0, 0, 0),
    (0, 255, 0, 0),
    (255, 0, 255, 0),
    (0, 0, 0, 128),
    (0, 0, 0, 255),
)
"""Patches whose colours are within sRGB, or far out of it as yellow is not."""


def patches() -> NDArray[np.uint8]:
    return np.repeat(np.array(INKS, np.uint8)[None], 16, axis=0).repeat(16, axis=1)


def check(picture: Picture, inks: tuple[tuple[int, int, int, int], ...] = INKS) -> None:
    """That patches are the colours of the inks; and no profile says that they still are inks."""
    assert picture.kind == "RGB" and picture.icc is None and not picture.colour
    for number, ink in enumerate(inks):
        patch = picture.pixels[4:12, 16 * number + 4 : 16 * number + 12].astype(int)
        assert np.abs(patch - srgb_of_inks(*ink)).max() <= 3, ink


def jpeg(**options: object) -> bytes:
    return saved("JPEG", Image.fromarray(patches(), "CMYK"), quality=100, **options)


def test_a_jpeg_goes_through_its_profile() -> None:
    data = jpeg(icc_profile=PROFILE, exif=exif_with(6), xmp=XMP)
    with pytest.raises(UnsupportedError, match="is in CMYK; give --convert"):
        read(data)
    picture = read(data, convert=True)
    check(picture)
    assert picture.exif is not None and picture.xmp == XMP


def test_a_jpeg_in_ycck_goes_through_its_profile() -> None:
    """The same file with another word in its Adobe marker: what was C, M, Y now is YCbCr."""
    gray = np.full((16, 16, 4), (128, 127, 127, 0), np.uint8)
    data = bytearray(saved("JPEG", Image.fromarray(gray, "CMYK"), quality=100, icc_profile=PROFILE))
    data[data.index(b"Adobe") + 11] = 2
    with pytest.raises(UnsupportedError, match="YCCK, a form of CMYK; give --convert"):
        read(bytes(data))
    same = np.full((16, 16, 4), (128, 128, 128, 0), np.uint8)
    plain = saved("JPEG", Image.fromarray(same, "CMYK"), quality=100, icc_profile=PROFILE)
    found, expected = (read(x, convert=True).pixels.astype(int) for x in (bytes(data), plain))
    assert np.abs(found - expected).max() <= 4


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_goes_through_its_profile(compression: str) -> None:
    image = Image.fromarray(patches(), "CMYK")
    data = saved("TIFF", image, icc_profile=PROFILE, compression=compression)
    with pytest.raises(UnsupportedError, match="is in CMYK; give --convert"):
        read(data)
    check(read(data, convert=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jpeg(), "has no profile"),
        (lambda: jpeg(icc_profile=ICC), "profile is damaged or for other colours"),
        (lambda: jpeg(icc_profile=PROFILE[:200]), "profile is damaged or for other colours"),
        (lambda: tiff(patches().astype(np.uint16), t262=5), "16 bits each"),
        (lambda: tiff(np.zeros((4, 4, 5), np.uint8), t262=5, t338=(2,)), "CMYK"),
    ],
)
def test_what_stays_refused(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words) as raised:
        read(make(), convert=True)
    assert "\n" not in str(raised.value)
