"""The kinds of files in Willem van Schaik's PngSuite, made anew: read as they are, or refused.

Colour types, depths, interlacing and transparency are in `test_formats.py`.
"""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.native import BitstreamError, UnsupportedError
from picture_files import chunk, png, read

RNG = np.random.default_rng(26)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = RNG.integers(0, 256, (9, 7, 3), np.uint8)
PLAIN = png(SAMPLES, 8, 2)


def head(bits: int, colour: int, *rest: int) -> bytes:
    """Of 7x9 pixels; the rest: compression, filters, interlacing."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 9, bits, colour, *(rest or (0, 0, 0))))


def with_pixels(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def filtered(samples: NDArray[np.uint8], kinds: list[int]) -> bytes:
    """Rows by the five filters of the specification, which are chosen in turn."""
    height, step = len(samples), samples.shape[2]
    rows = samples.reshape(height, -1).astype(int)
    out = b""
    for y in range(height):
        kind = kinds[y % len(kinds)]
        coded = []
        for x, value in enumerate(rows[y]):
            left = rows[y, x - step] if x >= step else 0
            up = rows[y - 1, x] if y else 0
            corner = rows[y - 1, x - step] if y and x >= step else 0
            guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
            coded.append((value - guess) % 256)
        out += bytes([kind, *coded])
    return out


@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [0, 1, 2, 3, 4]])
def test_filters(kinds: list[int]) -> None:
    data = chunk(b"IDAT", zlib.compress(filtered(SAMPLES, kinds)))
    assert np.array_equal(read(with_pixels(head(8, 2), data)).pixels, SAMPLES)


@pytest.mark.parametrize("level", [0, 3, 6, 9])
def test_compression_levels(level: int) -> None:
    data = chunk(b"IDAT", zlib.compress(filtered(SAMPLES, [0]), level))
    assert np.array_equal(read(with_pixels(head(8, 2), data)).pixels, SAMPLES)


@pytest.mark.parametrize("length", [1, 2, 50])
def test_pixels_in_many_chunks(length: int) -> None:
    data = zlib.compress(filtered(SAMPLES, [1]))
    parts = [data[at : at + length] for at in range(0, len(data), length)]
    chunks = [chunk(b"IDAT", part) for part in parts]
    found = read(with_pixels(head(8, 2), *chunks, chunk(b"IDAT", b"")))
    assert np.array_equal(found.pixels, SAMPLES)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("side", [*range(1, 10), *range(32, 41)])
def test_odd_sizes(side: int, interlace: int) -> None:
    samples = RNG.integers(0, 2, (side, side + side % 3, 1), np.uint8)
    found = read(png(samples, 1, 0, interlace=interlace))
    assert np.array_equal(found.pixels, 255 * samples)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"bKGD", struct.pack(">3H", 1, 2, 3)),
        chunk(b"pHYs", struct.pack(">IIB", 1, 4, 0)),
        chunk(b"tIME", struct.pack(">HBBBBB", 2000, 1, 1, 12, 34, 56)),
        chunk(b"tEXt", b"Title\0PngSuite"),
        chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"PngSuite")),
        chunk(b"iTXt", b"Title\0\0\0en\0\0PngSuite"),
        chunk(b"sPLT", b"six\0\x08" + bytes(range(12))),
        chunk(b"PLTE", bytes(range(30))) + chunk(b"hIST", bytes(20)),
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"prVt", b"a private one"),
    ],
)
def test_what_changes_no_sample_is_passed_over(extra: bytes) -> None:
    found = read(PLAIN[:33] + extra + PLAIN[33:])
    assert np.array_equal(found.pixels, SAMPLES) and not found.colour


@pytest.mark.parametrize("gamma", [35000, 70000, 100000, 250000])
def test_gamma_is_kept_and_not_applied(gamma: int) -> None:
    data = struct.pack(">I", gamma)
    found = read(PLAIN[:33] + chunk(b"gAMA", data) + PLAIN[33:])
    assert np.array_equal(found.pixels, SAMPLES) and dict(found.colour) == {"gAMA": data}


IDAT = chunk(b"IDAT", zlib.compress(filtered(SAMPLES, [0])))


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\n\n\x1a\n" + PLAIN[8:],
        b"\x00PNG\r\n\x1a\n" + PLAIN[8:],
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r", b""),
        with_pixels(head(0, 2), IDAT),
        with_pixels(head(3, 0), IDAT),
        with_pixels(head(99, 2), IDAT),
        with_pixels(head(8, 1), IDAT),
        with_pixels(head(8, 9), IDAT),
        with_pixels(head(4, 2), IDAT),
        with_pixels(head(8, 2)),
        with_pixels(head(8, 3), IDAT),
        with_pixels(IDAT),
        with_pixels(head(8, 2), chunk(b"IDAT", zlib.compress(filtered(SAMPLES, [0]))[:-9])),
        with_pixels(head(8, 2), chunk(b"IDAT", zlib.compress(filtered(SAMPLES[:5], [0])))),
        with_pixels(head(8, 2), chunk(b"IDAT", zlib.compress(b"\5" + filtered(SAMPLES, [0])[1:]))),
        PLAIN[:29] + bytes(4) + PLAIN[33:],
        PLAIN[:60] + bytes([PLAIN[60] ^ 1]) + PLAIN[61:],
    ],
)
def test_what_is_no_png(data: bytes) -> None:
    with pytest.raises((BitstreamError, UnsupportedError)) as raised:
        read(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_black_rows_are_rows(bits: int, interlace: int) -> None:
    """Missing ones would be shown in black, too."""
    samples = np.zeros((9, 7, 1), np.uint16 if bits == 16 else np.uint8)
    whole = png(samples, bits, 0, interlace=interlace)
    assert not read(whole).pixels.any()
    packed = zlib.decompress(whole[whole.index(b"IDAT") + 4 : -16])
    short = whole[:33] + chunk(b"IDAT", zlib.compress(packed[:-1])) + chunk(b"IEND", b"")
    with pytest.raises(BitstreamError, match="rows of it are missing|truncated"):
        read(short)
