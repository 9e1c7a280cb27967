"""The table of formats in docs/formats.md, cell by cell: what is read, as what, what is refused."""

import importlib.util
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from kodec.codecs import Picture, picture_of_array, read_picture, write_picture
from kodec.codecs.pictures.picture_colour import pack_colour, unpack_colour
from kodec.native import BitstreamError, UnsupportedError

RNG = np.random.default_rng(22)
DEEP = RNG.integers(0, 65536, (7, 5, 4), np.uint16)
BYTES = RNG.integers(0, 256, (7, 5, 4), np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None
HAS_HEIC = importlib.util.find_spec("pillow_heif") is not None


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: NDArray[Any], bits: int, colour: int, *chunks: bytes, interlace: int = 0) -> bytes:
    """A PNG of raw values (H, W, C), written by the specification alone."""
    height, width = samples.shape[:2]

    def rows(part: NDArray[Any]) -> bytes:
        out = b""
        for row in part.reshape(part.shape[0], -1):
            if bits == 16:
                data = row.astype(">u2").tobytes()
            else:
                spread = (row[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8)
                data = np.packbits(spread.reshape(-1)).tobytes()
            out += b"\0" + data
        return out

    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
        body = b"".join(rows(part) for part in parts if part.size)
    else:
        body = rows(samples)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    pixels = chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + pixels


def saved(kind: str, samples: NDArray[np.uint8] | Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image = samples if isinstance(samples, Image.Image) else Image.fromarray(samples.squeeze())
    image.save(out, kind, **options)
    return out.getvalue()


def read(data: bytes, **options: Any) -> Picture:
    return read_picture(io.BytesIO(data), **options)


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


def tiff(samples: NDArray[Any], **tags: object) -> bytes:
    """A plain TIFF, little-endian, one strip."""
    info = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    height, width, components = samples.shape
    bits = 8 * samples.dtype.itemsize
    values: dict[int, Any] = {256: width, 257: height, 258: (bits,) * components, 259: 1}
    values |= {262: 1 if components < 3 else 2, 277: components, 278: height}
    values |= {279: samples.nbytes, 273: 0} | {int(k[1:]): v for k, v in tags.items()}
    info.tagtype[273] = info.tagtype[279] = 4
    for tag, value in values.items():
        info[tag] = value
    head = b"II*\0" + (8).to_bytes(4, "little") + info.tobytes(8)
    return head + samples.astype(samples.dtype.newbyteorder("<")).tobytes()


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
    ],
)
def test_tiff(make: Callable[[], bytes], expected: NDArray[Any]) -> None:
    picture = read(make())
    assert picture.same_as(picture_of_array(expected))


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
        (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\1\0",
         [[255, 0]]),
    ],
)  # fmt: skip
def test_anymaps(data: bytes, expected: list[list[int]]) -> None:
    assert read(data).pixels[..., 0].tolist() == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp(mode: str) -> None:
    image = Image.fromarray(BYTES).convert(mode)
    expected = image.convert("RGB" if mode == "P" else "L" if mode == "1" else mode)
    assert read(saved("BMP", image)).same_as(picture_of_array(np.asarray(expected)))


def bmp(samples: NDArray[np.uint8], masks: bool) -> bytes:
    """A BMP of 32 bits a pixel, its fourth byte alpha by a mask, or of no meaning."""
    data = samples[::-1, :, [2, 1, 0, 3]].tobytes()
    height, width = samples.shape[:2]
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3 * masks, len(data), 0, 0, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000 * masks) + bytes(52)
    return b"BM" + struct.pack("<IHHI", 122 + len(data), 0, 0, 122) + head + data


def test_bmp_of_32_bits_has_alpha_where_a_mask_says_so() -> None:
    assert read(bmp(BYTES, masks=True)).same_as(picture_of_array(BYTES))
    with pytest.raises(UnsupportedError, match="the last 8 of which mean nothing"):
        read(bmp(BYTES, masks=False))
    empty = BYTES.copy()
    empty[..., 3] = 0
    assert read(bmp(empty, masks=False)).same_as(picture_of_array(BYTES[..., :3]))


def test_cmyk_is_converted_only_where_that_is_asked_for() -> None:
    cmyk = Image.new("CMYK", (3, 2), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        plain = saved(kind, cmyk)
        with pytest.raises(UnsupportedError, match="CMYK.*give --convert"):
            read(plain)
        with pytest.raises(UnsupportedError, match="has no profile"):
            read(plain, convert=True)
        with pytest.raises(UnsupportedError, match="profile is damaged or for other colours"):
            read(saved(kind, cmyk, icc_profile=ICC), convert=True)


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


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


@pytest.mark.skipif(not HAS_JXL, reason="pillow-jxl-plugin is not installed")
@pytest.mark.parametrize("components", [1, 2, 3, 4])
def test_jpeg_xl(components: int) -> None:
    import pillow_jxl  # noqa: F401

    samples = BYTES[..., :components]
    picture = read(saved("JXL", samples, lossless=True))
    # Its library states the profile that it decodes to.
    expected = picture_of_array(samples)
    assert Picture(picture.pixels, alpha=picture.alpha).same_as(expected)


@pytest.mark.skipif(not HAS_JXL, reason="pillow-jxl-plugin is not installed")
def test_jpeg_xl_of_16_bits() -> None:
    import pillow_jxl  # noqa: F401

    data = saved("JXL", Image.fromarray(DEEP[..., 0]), lossless=True)
    assert np.array_equal(read(data).pixels, DEEP[..., :1])


@pytest.mark.skipif(not HAS_HEIC, reason="pillow-heif is not installed")
def test_heic_of_8_and_10_bits() -> None:
    import pillow_heif

    out = io.BytesIO()
    flat = np.full((64, 64, 3), 120, np.uint8)
    pillow_heif.from_pillow(Image.fromarray(flat)).save(out, quality=-1)
    assert np.abs(read(out.getvalue()).pixels.astype(int) - 120).max() <= 2
    deep = np.full((64, 64, 3), 30000, np.uint16)
    coded = pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=deep.tobytes())
    out = io.BytesIO()
    coded.save(out, quality=-1)
    picture = read(out.getvalue())
    assert picture.bit_depth == 16 and np.abs(picture.pixels.astype(int) - 30000).max() <= 256


@pytest.mark.skipif(HAS_JXL, reason="pillow-jxl-plugin is installed")
def test_what_reads_jpeg_xl_is_named() -> None:
    with pytest.raises(UnsupportedError, match="pillow-jxl-plugin reads: install it"):
        read(b"\xff\x0a" + bytes(99))


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
        tiff(BYTES[..., :1])[:40],
    ],
)
def test_damage(data: bytes) -> None:
    with pytest.raises(BitstreamError) as raised:
        read(data)
    assert "\n" not in str(raised.value)


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
