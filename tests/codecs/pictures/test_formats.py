"""The table of formats in docs/formats.md, cell by cell: what is read, as what, what is refused."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs import Picture, picture_of_array, read_picture, write_picture
from kodec.codecs.pictures.picture import array_of_picture
from kodec.codecs.pictures.picture_colour import pack_colour, unpack_colour
from kodec.native import BitstreamError, UnsupportedError
from picture_files import ICC, XMP, bmp, chunk, exif_with, palette_tiff, png, read, saved, tiff

RNG = np.random.default_rng(22)
DEEP = RNG.integers(0, 65536, (7, 5, 4), np.uint16)
BYTES = RNG.integers(0, 256, (7, 5, 4), np.uint8)


PALETTE = RNG.integers(0, 256, (4, 3), np.uint8)
PLTE = chunk(b"PLTE", PALETTE.tobytes())
INDEXES = RNG.integers(0, 4, (7, 5, 1), np.uint8)


def stretched(bits: int) -> NDArray[np.uint8]:
    return (GRAYS[bits].astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)


GRAYS = {bits: RNG.integers(0, 1 << bits, (7, 5, 1), np.uint8) for bits in (1, 2, 4)}


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("colour", [0, 2, 3, 4, 6])
def test_png_of_every_colour_type_and_depth(bits: int, colour: int, interlace: int) -> None:
    components = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if colour == 3:
        if bits == 16:
            return
        indexes = INDEXES & (1 << bits) - 1
        picture = read(png(indexes, bits, 3, PLTE, interlace=interlace))
        np.testing.assert_array_equal(picture.pixels, PALETTE[indexes[..., 0]])
        return
    if bits < 8 and colour:
        return
    source = GRAYS.get(bits) if bits < 8 else (BYTES if bits == 8 else DEEP)
    assert source is not None
    samples = source[..., :components]
    picture = read(png(samples, bits, colour, interlace=interlace))
    expected = stretched(bits) if bits < 8 else samples
    whole = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    np.testing.assert_array_equal(whole, expected)
    assert picture.bit_depth == (16 if bits == 16 else 8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("colour", [0, 2, 3])
def test_png_with_a_transparent_colour(bits: int, colour: int) -> None:
    if (bits == 16 and colour == 3) or (bits < 8 and colour == 2):
        return
    if colour == 3:
        indexes = INDEXES & (1 << bits) - 1
        alphas = np.array([0, 77, 255, 255], np.uint8)
        picture = read(png(indexes, bits, 3, PLTE, chunk(b"tRNS", alphas[:2].tobytes())))
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.pixels, PALETTE[indexes[..., 0]])
        np.testing.assert_array_equal(picture.alpha, alphas[indexes[..., 0]])
        return
    source = GRAYS[bits] if bits < 8 else (BYTES if bits == 8 else DEEP)
    samples = source[..., : 1 if colour == 0 else 3]
    key = samples[3, 2]
    picture = read(png(samples, bits, colour, chunk(b"tRNS", key.astype(">u2").tobytes())))
    assert picture.alpha is not None
    largest = 65535 if bits == 16 else 255
    expected = np.where(np.all(samples == key, axis=-1), 0, largest)
    np.testing.assert_array_equal(picture.alpha, expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pam", ".ppm", ".pgm", ".webp", ".bmp"])
@pytest.mark.parametrize("components", [1, 2, 3, 4])
@pytest.mark.parametrize("deep", [False, True])
def test_what_is_written_is_read_back_or_refused(
    tmp_path: Path, suffix: str, components: int, deep: bool
) -> None:
    picture = picture_of_array((DEEP if deep else BYTES)[..., :components])
    holds = {
        ".png": True,
        ".tif": not (deep and components == 2),
        ".pam": True,
        ".ppm": components == 3,
        ".pgm": components == 1,
        ".webp": components > 2 and not deep,
        ".bmp": components in (1, 3) and not deep,
    }[suffix]
    path = tmp_path / f"picture{suffix}"
    if not holds:
        with pytest.raises(UnsupportedError, match=r"write a \.(png|ppm|pgm)"):
            write_picture(path, picture)
        assert not path.exists()
        return
    write_picture(path, picture)
    assert read_picture(path).same_as(picture)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_metadata_are_kept(tmp_path: Path, suffix: str, deep: bool) -> None:
    if deep and suffix == ".webp":
        return
    exif = Image.Exif()
    exif[274] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    colour = {"cICP": bytes([9, 16, 0, 1])} if suffix == ".png" else {}
    samples = (DEEP if deep else BYTES)[..., :3]
    picture = Picture(samples, ICC, block, xmp=XMP, colour=colour)
    write_picture(tmp_path / f"a{suffix}", picture)
    again = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.pixels, samples)
    assert (again.icc, again.xmp, dict(again.colour)) == (ICC, XMP, colour)
    found = Image.Exif()
    found.load(again.exif or b"")
    assert found[274] == 6


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cICP", bytes([12, 13, 0, 1])),
        ("gAMA", struct.pack(">I", 100000)),
        ("cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
        ("mDCV", bytes(range(24))),
        ("cLLI", bytes(range(8))),
    ],
)
def test_descriptions_of_colour_come_back(tmp_path: Path, name: str, data: bytes) -> None:
    picture = read(png(BYTES[..., :3], 8, 2, chunk(name.encode(), data)))
    assert dict(picture.colour) == {name: data}
    assert unpack_colour(pack_colour(picture.colour)) == dict(picture.colour)
    write_picture(tmp_path / "a.png", picture)
    assert dict(read_picture(tmp_path / "a.png").colour) == {name: data}


def test_descriptions_of_colour_from_a_forger() -> None:
    packed = pack_colour({"gAMA": bytes(4), "cICP": bytes(4)})
    assert list(unpack_colour(packed)) == ["cICP", "gAMA"]
    for wrong in (packed[:-1], packed + packed, b"nope" + bytes(4), packed[8:] + packed[:8]):
        with pytest.raises(BitstreamError):
            unpack_colour(wrong)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: tiff(DEEP[..., :3]), DEEP[..., :3]),
        (lambda: tiff(DEEP, t338=(2,)), DEEP),
        (lambda: tiff(DEEP[..., :1]), DEEP[..., :1]),
        (lambda: tiff(DEEP[..., :1], t262=0), 65535 - DEEP[..., :1]),
        (lambda: tiff(BYTES[..., :1], t262=0), 255 - BYTES[..., :1]),
        (lambda: tiff(BYTES[..., :2], t338=(2,)), BYTES[..., :2]),
        (lambda: tiff(BYTES, t338=(2,)), BYTES),
        (lambda: saved("TIFF", Image.fromarray(GRAYS[1][..., 0] > 0)), 255 * GRAYS[1]),
        (lambda: saved("TIFF", BYTES[..., :3], compression="tiff_lzw"), BYTES[..., :3]),
        (lambda: few_bits(2), stretched(2)),
        (lambda: few_bits(4), stretched(4)),
        (lambda: palette_tiff(INDEXES, PALETTE, 257), PALETTE[INDEXES[..., 0]]),
    ],
)
def test_tiff(make: Callable[[], bytes], expected: NDArray[Any]) -> None:
    picture = read(make())
    assert picture.same_as(picture_of_array(expected))


def few_bits(bits: int) -> bytes:
    """A gray TIFF of 2 or 4 bits a sample, rows of whole bytes."""
    spread = GRAYS[bits] >> np.arange(bits)[::-1] & 1
    packed = np.packbits(spread.reshape(7, -1).astype(np.uint8), axis=1)
    return tiff(packed[..., None], t256=5, t258=bits)


def test_turned_tiffs_of_16_bits_stay_as_they_are_stored() -> None:
    for orientation in range(1, 9):
        picture = read(tiff(DEEP, t338=(2,), t274=orientation))
        assert np.array_equal(picture.pixels, DEEP[..., :3])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1 3 2\n1 0 1 0 0 1\n", [[0, 255, 0], [255, 255, 0]]),
        (b"P4\n3 2\n\xa0\x20", [[0, 255, 0], [255, 255, 0]]),
        (b"P2 2 1 3\n# odd\n2 3\n", [[170, 255]]),
        (b"P5 2 1 1023\n\x03\xff\0\x01", [[65535, 64]]),
        (b"P5 2 1 65535\n\x12\x34\xab\xcd", [[0x1234, 0xABCD]]),
        (b"P3 1 1 15 0 7 15\n", [[[0, 119, 255]]]),
        (b"P6 1 1 1023\n\0\0\1\xff\3\xff", [[[0, 32735, 65535]]]),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 15\nTUPLTYPE RGB_ALPHA\nENDHDR\n\0\7\17\5",
         [[[0, 119, 255, 85]]]),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 1023\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n"
         b"\1\xff\3\xff", [[[32735, 65535]]]),
        (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\1\0",
         [[255, 0]]),
    ],
)  # fmt: skip
def test_anymaps(data: bytes, expected: Any) -> None:
    found = array_of_picture(read(data))
    assert (found[..., 0] if found.shape[2] == 1 else found).tolist() == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp(mode: str) -> None:
    image = Image.fromarray(BYTES).convert(mode)
    expected = image.convert("RGB" if mode == "P" else "L" if mode == "1" else mode)
    assert read(saved("BMP", image)).same_as(picture_of_array(np.asarray(expected)))


@pytest.mark.parametrize("masks", [None, (0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)])
def test_bmp_of_16_bits_as_8_bit_colours(masks: tuple[int, int, int] | None) -> None:
    values = np.arange(0, 65536, 1311, dtype=np.uint16)[:50].reshape(5, 10)
    tail = b"" if masks is None else struct.pack("<3I", *masks)
    head = struct.pack("<IiiHHIIiiII", 40, 10, 5, 1, 16, 3 if tail else 0, 100, 0, 0, 0, 0)
    start = 54 + len(tail)
    data = b"BM" + struct.pack("<IHHI", start + 100, 0, 0, start) + head + tail
    picture = read(data + values[::-1].tobytes())
    for channel, mask in enumerate(masks or (0x7C00, 0x3E0, 0x1F)):
        low = mask & -mask
        part, largest = (values & mask) // low, mask // low
        # Where two 8-bit values are as near, either will do.
        wrong = np.abs(picture.pixels[..., channel] - part * 255 / largest)
        assert wrong.max() < 1


def test_bmp_of_32_bits_has_alpha_where_a_mask_says_so() -> None:
    assert read(bmp(BYTES, masks=True)).same_as(picture_of_array(BYTES))
    with pytest.raises(UnsupportedError, match="the last 8 of which mean nothing"):
        read(bmp(BYTES, masks=False))
    empty = BYTES.copy()
    empty[..., 3] = 0
    assert read(bmp(empty, masks=False)).same_as(picture_of_array(BYTES[..., :3]))


@pytest.mark.parametrize(("mode", "count"), [("RGB", 3), ("RGBA", 4)])
def test_avif(mode: str, count: int) -> None:
    data = saved("AVIF", Image.fromarray(np.full((9, 8, count), 90, np.uint8)), exif=exif_with(6))
    picture = read(data)
    assert picture.pixels.shape == (9, 8, 3) and (picture.alpha is not None) == (count == 4)
    assert picture.exif is not None
    deep = bytearray(data)
    at = deep.index(b"av1C") + 6
    deep[at] |= 0x40
    with pytest.raises(UnsupportedError, match="10 bits a sample"):
        read(bytes(deep))


@pytest.mark.parametrize(
    "data",
    [
        b"P5 2 1 65535\n\0\0",
        b"P5 2 1 1000\n\xff\xff\xff\xff",
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\n",
        b"P7\nWIDTH x\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n1",
        b"P7\nWIDTH 0\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n",
        b"P5 99999 9999 65535\n\0\0",
        png(DEEP[..., :3], 16, 2)[:-20],
        png(DEEP, 16, 6)[:-6],
        tiff(DEEP[..., :3])[:-9],
        b"II*\0\x08\xff",
        tiff(BYTES[..., :1]).replace(b"\3\1\3\0\1\0\0\0\1", b"\3\1\2\0\x81\0\0\0\1"),
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 62) + bytes(40),
        b"II+\0\x08\0\0\0" + bytes(7) + b"\xff" + bytes(40),
        tiff(BYTES[..., :1])[:40],
    ],
)
def test_damage(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    for source in (io.BytesIO(data), tmp_path / "a"):
        with pytest.raises(BitstreamError) as raised:
            read_picture(source)
        assert "\n" not in str(raised.value) and "Errno" not in str(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        b"P5 1000000 1000 65535\n\0\0",
        b"P7\nWIDTH 40000\nHEIGHT 40000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
        png(np.zeros((1, 1, 4), np.uint16), 16, 6)[:16]
        + struct.pack(">II", 1 << 20, 1 << 20)
        + png(np.zeros((1, 1, 4), np.uint16), 16, 6)[24:],
    ],
)
def test_pixel_bombs_are_refused_before_any_room_is_made(data: bytes) -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises((UnsupportedError, BitstreamError)):
            read(data, max_pixels=1 << 28)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
