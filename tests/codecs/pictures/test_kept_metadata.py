"""What comes with pictures of each format and is kept, and what is told where it is not."""

import io
import re
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from kodec.codecs import Picture, load
from kodec.codecs.pictures.coded_picture import metadata_of, picture_with
from picture_files import ICC, XMP, bmp, chunk, exif_with, png, read, saved

RNG = np.random.default_rng(25)
BYTES = RNG.integers(0, 256, (8, 12, 4), np.uint8)


def orientation_of(block: bytes | None) -> int:
    exif = Image.Exif()
    exif.load(block or b"")
    return int(exif.get(274, 1))


@pytest.mark.parametrize("orientation", [1, 3, 6, 5])
@pytest.mark.parametrize(
    ("kind", "components"),
    [("PNG", 1), ("PNG", 3), ("PNG", 4), ("JPEG", 1), ("JPEG", 3), ("WEBP", 3), ("WEBP", 4),
     ("AVIF", 3), ("AVIF", 4), ("TIFF", 1), ("TIFF", 3), ("TIFF", 4)],
)  # fmt: skip
def test_each_format(kind: str, components: int, orientation: int) -> None:
    samples = BYTES[..., :components]
    options: dict[str, Any] = {"icc_profile": ICC, "exif": exif_with(orientation), "xmp": XMP}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options |= {"pnginfo": text}
    elif kind == "TIFF":
        exif = Image.Exif()
        exif[274] = orientation
        options |= {"exif": exif, "tiffinfo": {700: XMP, 274: orientation}}
    elif kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif kind == "AVIF":
        options |= {"quality": 100, "subsampling": "4:4:4"}
    data = saved(kind, samples, **options)
    picture = read(data)
    assert (picture.icc, picture.xmp) == (ICC, XMP)
    assert orientation_of(picture.exif) == orientation
    assert (picture.alpha is not None) == (components == 4)
    # As they are stored: an orientation is not applied.
    assert picture.pixels.shape == (8, 12, min(components, 3))
    if kind in ("PNG", "WEBP", "TIFF"):
        assert np.array_equal(picture.pixels, samples[..., :3])
    else:
        decoded = np.asarray(Image.open(io.BytesIO(data))).reshape(8, 12, -1)
        assert np.array_equal(picture.pixels, decoded[..., :3])
    # And all of that through a .kdc file's chunks.
    again = picture_with(picture.pixels, picture.alpha, metadata_of(picture))
    assert again.same_as(picture)


def test_code_points_of_avif_become_cicp() -> None:
    data = bytearray(saved("AVIF", np.full((9, 8, 3), 90, np.uint8)))
    assert not read(bytes(data)).colour
    at = data.index(b"nclx") + 4
    data[at : at + 4] = struct.pack(">HH", 9, 16)
    assert dict(read(bytes(data)).colour) == {"cICP": bytes([9, 16, 0, 1])}
    profile = bytearray(saved("AVIF", np.full((9, 8, 3), 90, np.uint8), icc_profile=ICC))
    assert not read(bytes(profile)).colour and read(bytes(profile)).icc == ICC


def bmp_with_profile() -> bytes:
    """A BMP of version 4 that says that a profile is in it."""
    data = bytearray(bmp(BYTES, masks=True))
    data[70:74] = b"DEBM"
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(BYTES, 8, 6, chunk(b"sBIT", b"\5\6\5\1")), "significant bits .sBIT: 5, 6, 5, 1"),
        (bmp_with_profile(), "BMP colour profile"),
    ],
)
def test_what_is_left_out_is_told(
    data: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    picture = read(data)
    assert np.array_equal(picture.pixels, BYTES[..., :3])
    assert re.search(f"its {words}.*can't be carried along: left out", caplog.text)


def test_all_of_it_comes_back_from_a_file(tiny_model: Any) -> None:
    exif = exif_with(8).removeprefix(b"Exif\0\0")
    colour = {"cICP": bytes([9, 16, 0, 1]), "cLLI": bytes(range(8))}
    picture = Picture(BYTES[..., :3], ICC, exif, BYTES[..., 3], XMP, colour)
    codec = load(tiny_model)
    again = codec.decode_picture(codec.encode_picture(picture, 20).data)
    assert (again.icc, again.exif, again.xmp) == (ICC, exif, XMP)
    assert dict(again.colour) == colour and again.kind == picture.kind
