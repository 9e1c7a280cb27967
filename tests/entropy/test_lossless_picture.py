"""Integer planes as pictures: exact, never larger than their bytes, and suspicious when read."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kodec.entropy import LosslessPicture
from kodec.native import BitstreamError, InvalidInputError

RAW, PNG, WEBP = 0, 1, 2


def smooth(c: int, h: int, w: int, most: int = 127) -> NDArray[np.int32]:
    """Planes that a picture coder can do something with."""
    k, y, x = np.mgrid[:c, :h, :w]
    waves: NDArray[np.int32] = np.rint(most * np.sin(0.05 * (y + 2 * x) + k)).astype(np.int32)
    return waves


@pytest.mark.parametrize("picture", ["png", "webp"])
@pytest.mark.parametrize("planes", [(1, 1, 1), (3, 5, 7), (12, 24, 16), (13, 16, 32), (5, 40, 1)])
@pytest.mark.parametrize("bits", [2, 5, 8])
def test_planes_come_back(picture: str, planes: tuple[int, int, int], bits: int) -> None:
    coder = LosslessPicture(planes, bits, picture)
    most = 2 ** (bits - 1) - 1
    for integers in (
        smooth(*planes, most),
        np.random.default_rng(0).integers(-most, most + 1, planes, np.int32),
        np.full(planes, -most, np.int32),
    ):
        payload = coder.pack(integers)
        assert len(payload) <= coder.most
        assert np.array_equal(coder.unpack(payload), integers)


def test_the_picture_is_an_ordinary_one_of_tiles() -> None:
    integers = smooth(12, 32, 24)
    for picture, colours, n in (("webp", 3, 2), ("png", 1, 4)):
        payload = LosslessPicture((12, 32, 24), 8, picture).pack(integers)
        with Image.open(io.BytesIO(payload[1:])) as image:
            assert image.format == picture.upper()
            mosaic = np.asarray(image).reshape(32 * n, 24 * n, colours)
        for channel in range(12):
            colour, row, column = channel // n**2, channel // n % n, channel % n
            tile = mosaic[32 * row :, 24 * column :, colour][:32, :24]
            assert np.array_equal(tile.astype(int) - 128, integers[channel])


def test_planes_too_long_for_webp_become_a_png() -> None:
    limit = LosslessPicture((3, 16383, 1), 8, "webp")
    assert limit.pack(smooth(3, 16383, 1))[0] == WEBP
    beyond = LosslessPicture((3, 16384, 1), 8, "webp")
    payload = beyond.pack(smooth(3, 16384, 1))
    assert payload[0] == PNG
    assert np.array_equal(beyond.unpack(payload), smooth(3, 16384, 1))


def test_what_no_picture_makes_smaller_stays_bare() -> None:
    noise = np.random.default_rng(0).integers(-127, 128, (12, 9, 9), np.int32)
    for picture in ("png", "webp"):
        payload = LosslessPicture((12, 9, 9), 8, picture).pack(noise)
        assert payload[0] == RAW and len(payload) == 1 + noise.size
    assert LosslessPicture((12, 1, 1), 8, "webp").pack(np.zeros((12, 1, 1), np.int32))[0] == RAW


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return len(data).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


def png(
    width: int, height: int, *more: bytes, form: bytes = b"\x08\0\0\0\0", rows: int | None = None
) -> bytes:
    """A gray PNG of zeros, with `more` chunks before its samples."""
    head = chunk(b"IHDR", struct.pack(">II", width, height) + form)
    samples = chunk(b"IDAT", zlib.compress(bytes((rows or height) * (width + 1))))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + samples + chunk(b"IEND", b"")


def picture_file(samples: NDArray[np.uint8], form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(samples).save(out, form, **options)
    return out.getvalue()


GRAY, RGB = np.full((8, 8), 128, np.uint8), np.full((8, 8, 3), 128, np.uint8)
TRUNCATED = png(8, 8)[:-20]
HUGE_WEBP = bytearray(picture_file(RGB, "WEBP", lossless=True))
HUGE_WEBP[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
FORGED = {
    "nothing": b"",
    "an unknown form": b"\x09" + png(8, 8),
    "bare bytes too few": bytes([RAW]) + bytes(63),
    "bare bytes too many": bytes([RAW]) + bytes(65),
    "another size": bytes([PNG]) + png(8, 9),
    "a size to exhaust memory": bytes([PNG]) + png(8, 8).replace(b"\0\0\0\x08", b"\x7f\0\0\0"),
    "a second head": bytes([PNG])
    + png(8, 8, chunk(b"IHDR", struct.pack(">II", 2**30, 2**30) + b"\x08\0\0\0\0")),
    "a text to exhaust memory": bytes([PNG])
    + png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6)))),
    "interlaced": bytes([PNG]) + png(8, 8, form=b"\x08\0\0\0\x01"),
    "sixteen bits": bytes([PNG]) + png(8, 8, form=b"\x10\0\0\0\0"),
    "a truncated PNG": bytes([PNG]) + TRUNCATED,
    "a PNG with few rows": bytes([PNG]) + png(8, 8, rows=1),
    "an RGB PNG": bytes([PNG]) + picture_file(RGB, "PNG"),
    "a WebP called PNG": bytes([PNG]) + picture_file(RGB, "WEBP", lossless=True),
    "a PNG called WebP": bytes([WEBP]) + png(8, 8),
    "a JPEG": bytes([WEBP]) + picture_file(GRAY, "JPEG"),
    "a lossy WebP": bytes([WEBP]) + picture_file(RGB, "WEBP"),
    "a WebP with EXIF": bytes([WEBP])
    + picture_file(RGB, "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "a WebP of another size": bytes([WEBP])
    + picture_file(np.full((8, 9, 3), 128, np.uint8), "WEBP", lossless=True),
    "a WebP of a size to exhaust memory": bytes([WEBP]) + bytes(HUGE_WEBP),
    "a truncated WebP": bytes([WEBP]) + picture_file(RGB, "WEBP", lossless=True)[:-4],
    "samples out of range": bytes([PNG]) + png(8, 8),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_pack_does_not_write_is_an_error_of_one_line(name: str) -> None:
    # One plane for PNG, three for WebP: mosaics of 8 x 8.
    planes = 3 if FORGED[name][:1] == bytes([WEBP]) else 1
    with pytest.raises(BitstreamError, match="the picture of the latents") as caught:
        LosslessPicture((planes, 8, 8), 8, "png").unpack(FORGED[name])
    assert len(str(caught.value).splitlines()) == 1


def test_forgeries_are_close_to_what_is_read() -> None:
    gray = LosslessPicture((1, 8, 8), 8, "png")
    assert not gray.unpack(bytes([PNG]) + picture_file(GRAY, "PNG")).any()
    coloured = LosslessPicture((3, 8, 8), 8, "png")
    assert not coloured.unpack(bytes([WEBP]) + picture_file(RGB, "WEBP", lossless=True)).any()


@pytest.mark.parametrize("picture", ["png", "webp"])
def test_damage_is_an_error_or_other_integers(picture: str) -> None:
    coder = LosslessPicture((12, 24, 16), 8, picture)
    payload = coder.pack(smooth(12, 24, 16))
    rng = np.random.default_rng(0)
    for position in range(len(payload)):
        damaged = bytearray(payload)
        damaged[position] ^= int(rng.integers(1, 256))
        for data in (bytes(damaged), payload[:position]):
            try:
                integers = coder.unpack(data)
            except BitstreamError as error:
                assert len(str(error).splitlines()) == 1
            else:
                assert integers.shape == (12, 24, 16) and np.abs(integers).max() <= 127


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="png or webp"):
        LosslessPicture((3, 4, 4), 8, "jpeg")
    for bits in (1, 9):
        with pytest.raises(InvalidInputError, match="2 to 8 bits"):
            LosslessPicture((3, 4, 4), bits, "png")
    with pytest.raises(InvalidInputError, match="-7"):
        LosslessPicture((1, 1, 1), 4, "png").pack(np.full((1, 1, 1), 8, np.int32))
