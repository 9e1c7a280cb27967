"""What is refused of the formats that docs/formats.md lists: in one line that says what it is."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from kodec.native import UnsupportedError
from picture_files import bmp, chunk, palette_tiff, png, read, saved, tiff

RNG = np.random.default_rng(23)
DEEP = RNG.integers(0, 65536, (7, 5, 4), np.uint16)
BYTES = RNG.integers(0, 256, (7, 5, 4), np.uint8)
INDEXES = RNG.integers(0, 4, (7, 5, 1), np.uint8)
COLOURS = RNG.integers(1, 200, (4, 3), np.uint8)


def multi_picture_jpeg() -> bytes:
    out = io.BytesIO()
    frames = [Image.fromarray(BYTES[..., :3]), Image.fromarray(BYTES[:4, :4, :3])]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])
    return out.getvalue()


def jpeg_with_frame(marker: int, bits: int) -> bytes:
    """A JPEG whose frame header says otherwise."""
    data = bytearray(saved("JPEG", BYTES[..., :3]))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    return bytes(data)


def bmp_compressed(number: int) -> bytes:
    data = saved("BMP", BYTES[..., :3])
    return data[:30] + bytes([number]) + data[31:]


def avif(name: bytes, offset: int, value: int | None) -> bytes:
    """An AVIF with a byte behind a name changed, or the name itself to the gain map's brand."""
    data = bytearray(saved("AVIF", np.full((9, 8, 3), 90, np.uint8)))
    at = data.index(name)
    if value is None:
        data[at : at + 4] = b"tmap"
    else:
        data[at + offset] |= value
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: saved("GIF", BYTES[..., :3]), "GIF picture"),
        (lambda: saved("PNG", Image.new("L", (2, 2)), save_all=True,
                       append_images=[Image.new("L", (2, 2), 9)]), "holds 2 pictures.*as a video"),
        (lambda: saved("TIFF", Image.new("L", (2, 2)), save_all=True,
                       append_images=[Image.new("L", (2, 2))]), "holds 2 pictures"),
        (lambda: saved("WEBP", Image.new("RGB", (2, 2)), save_all=True,
                       append_images=[Image.new("RGB", (2, 2), 9)]), "holds 2 pictures"),
        (lambda: saved("AVIF", Image.new("RGB", (8, 8)), save_all=True,
                       append_images=[Image.new("RGB", (8, 8), 9)]), "holds 2 pictures"),
        (multi_picture_jpeg, "2 pictures"),
        (lambda: saved("JPEG", BYTES[..., :3]) * 2, "several pictures"),
        (lambda: jpeg_with_frame(0xC0, 12), "12 bits a sample"),
        (lambda: jpeg_with_frame(0xC5, 8), "hierarchical JPEG"),
        (lambda: jpeg_with_frame(0xCB, 8), "lossless JPEG with arithmetic coding"),
        (lambda: png(BYTES, 8, 6)[:8] + chunk(b"CgBI", bytes(4)) + png(BYTES, 8, 6)[8:], "Apple"),
        (lambda: palette_tiff(INDEXES, COLOURS, 300), "palette of 16-bit colours"),
        (lambda: tiff(DEEP[..., :3], t284=2), "in a plane for each colour"),
        (lambda: tiff(BYTES[..., :3], t262=6), "is in YCbCr"),
        (lambda: tiff(BYTES[..., :3], t254=1), "smaller copy"),
        (lambda: tiff(BYTES[..., :1], t262=32803), "camera's raw file"),
        (lambda: bmp_compressed(4), "a JPEG in it"),
        (lambda: bmp_compressed(5), "a PNG in it"),
        (lambda: bmp(BYTES, masks=False), "the last 8 of which mean nothing"),
        (lambda: avif(b"av1C", 6, 0x40), "10 bits a sample"),
        (lambda: avif(b"av1C", 6, 0x60), "12 bits a sample"),
        (lambda: avif(b"miaf", 0, None), "has a gain map"),
        (lambda: b"v/1\x01" + bytes(99), "OpenEXR picture.*convert it"),
        (lambda: tiff(BYTES, t338=(1,)), "premultiplied"),
        (lambda: tiff(BYTES, t338=(0,)), "4 samples a pixel"),
        (lambda: tiff(DEEP[..., :2], t338=(2,)), "2 samples a pixel, of 16 bits each"),
        (lambda: tiff(DEEP[..., :1].astype(np.float32), t339=3), "floating-point"),
        (lambda: tiff(DEEP[..., :1].astype(np.int16), t339=2), "signed"),
        (lambda: tiff(BYTES[..., :3], t262=8), "CIE Lab"),
        (lambda: b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nTUPLTYPE X\nENDHDR\n12345",
         "5 samples a pixel"),
        (lambda: b"P5 1 1 65535\n\0\0P5 1 1 65535\n\0\0", "several pictures"),
        (lambda: b"Pf\n1 1\n-1\n" + bytes(4), "PFM"),
        (lambda: png(BYTES[..., :3], 8, 2) * 2, "several pictures"),
    ],
)  # fmt: skip
def test_refusals(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words) as raised:
        read(make())
    assert "\n" not in str(raised.value)
