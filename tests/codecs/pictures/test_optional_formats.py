"""JPEG XL and HEIC, where the packages that read them are installed, and what is told without."""

import base64
import importlib.util
import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import Picture, picture_of_array
from kodec.codecs.pictures.jpeg_xl_head import jpeg_xl_head
from kodec.codecs.pictures.optional_formats import check_decoded
from kodec.codecs.pictures.picture_boxes import properties_of
from kodec.native import UnsupportedError
from picture_files import ICC, XMP, exif_with, read, saved

HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None
HAS_HEIC = importlib.util.find_spec("pillow_heif") is not None
needs_jxl = pytest.mark.skipif(not HAS_JXL, reason="pillow-jxl-plugin is not installed")
needs_heic = pytest.mark.skipif(not HAS_HEIC, reason="pillow-heif is not installed")
RNG = np.random.default_rng(24)
DEEP = RNG.integers(0, 65536, (7, 5, 4), np.uint16)
BYTES = RNG.integers(0, 256, (7, 5, 4), np.uint8)
# 4x4 pixels of 16-bit integers and of floats, as libjxl writes them.
DEEP_RGB = (
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAABranhsY/8KGBD8ABQtAggEAQBQAUsYixUKJQT1"
    "jLoDHN0nFwgIAHkuz+W5PJfn8lyey3N5Ls/luTyX5/Jcnvfubf/Ql1HYMte4xz3ucY973OMe93gpGu9L2AAGAABm8OpMkkuS"
    "k+RMAg=="
)
FLOAT_RGB = (
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAAC7anhsY/8KGBByAEWLCAQBAJQCSxiLFUJ6UM8D"
    "ADhLqsPmHXrguV7PfAQx/DCcBQLGJ9JLEpD8H3ZBI7jQts6gxNPllIOaLcXwwyBJn4UGrwM2C5xRQFFe3/2usf66qgeerwFO"
    "UvjA83nycA2ZtthC26wxzyAE8lBqIbnQNpznApz2YBw784wCivQ68OwJ7K9LPPB88eybwAee/4AvgsIdcf11efAa4aiHETM5"
    "cqFtqD4IaBXKMI4n"
)


def box(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    size = 8 + len(data) if length is None else length
    return struct.pack(">I", size) + kind + data


def orientation_of(block: bytes | None) -> int:
    exif = Image.Exif()
    exif.load(block or b"")
    return int(exif.get(274, 1))


@needs_jxl
@pytest.mark.parametrize("components", [1, 2, 3, 4])
def test_jpeg_xl(components: int) -> None:
    import pillow_jxl  # noqa: F401

    samples = BYTES[..., :components]
    picture = read(saved("JXL", samples, lossless=True))
    # Its library states the profile that it decodes to.
    expected = picture_of_array(samples)
    assert Picture(picture.pixels, alpha=picture.alpha).same_as(expected)


@needs_jxl
def test_jpeg_xl_of_16_bits() -> None:
    import pillow_jxl  # noqa: F401

    data = saved("JXL", Image.fromarray(DEEP[..., 0]), lossless=True)
    assert np.array_equal(read(data).pixels, DEEP[..., :1])


@needs_heic
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


@needs_jxl
def test_jpeg_xl_keeps_what_comes_with_it() -> None:
    import pillow_jxl  # noqa: F401

    options: dict[str, Any] = {"lossless": True, "exif": exif_with(1), "use_container": True}
    data = saved("JXL", BYTES[..., :3], xmp=XMP, **options)
    picture = read(data)
    assert picture.xmp == XMP and picture.icc is not None
    assert picture.exif is not None and orientation_of(picture.exif) == 1
    assert np.array_equal(picture.pixels, BYTES[..., :3])


@needs_jxl
def test_compressed_xmp_of_jpeg_xl_is_told(caplog: pytest.LogCaptureFixture) -> None:
    import pillow_jxl  # noqa: F401

    options: dict[str, Any] = {"lossless": True, "use_container": True, "compress_metadata": True}
    picture = read(saved("JXL", BYTES[..., :3], xmp=XMP * 9, **options))
    assert picture.xmp is None and "its compressed XMP can't be carried along" in caplog.text


@needs_jxl
@pytest.mark.parametrize("kind", ["floating-point", "gain map", "animation"])
def test_jpeg_xl_that_is_refused(kind: str) -> None:
    import pillow_jxl  # noqa: F401

    if kind == "floating-point":
        data = saved("JXL", Image.new("F", (4, 4), 0.5), lossless=True)
    elif kind == "gain map":
        data = saved("JXL", BYTES[..., :3], lossless=True, use_container=True)
        data += box(b"jhgm", bytes(20))
    else:
        data = animated(0, 0)
    with pytest.raises(UnsupportedError, match=kind):
        read(data)


def animated(head: int, bits: int) -> bytes:
    """The head of a codestream of 8x8 pixels, and of its metadata: `bits` before whether it is
    animated, after the bits that say that there are some."""
    # Small, 8 high, ratio 1; not plain, more follows; orientation, no size, no preview.
    fields = [(1, 1), (0, 5), (1, 3), (0, 1), (1, 1), (0, 3), (head, 1)]
    if head:
        fields += [(0, 1), (1, 2), (bits, 13), (7, 3)]
    value = at = 0
    for number, count in [*fields, (0, 1), (1, 1)]:
        value |= number << at
        at += count
    return b"\xff\x0a" + value.to_bytes(8, "little")


def test_animations_of_jpeg_xl_are_told_by_their_head() -> None:
    for head, bits in ((0, 0), (1, 333)):
        data = animated(head, bits)
        assert jpeg_xl_head(io.BytesIO(data)).animated
        start = b"\0\0\0\x0cJXL \r\n\x87\n"
        boxed = start + box(b"jxlp", bytes(4) + data, length=0)
        assert jpeg_xl_head(io.BytesIO(boxed)).animated
    plain = b"\xff\x0a" + (1 | 1 << 6 | 1 << 9).to_bytes(8, "little")
    for data in (plain, b"\xff\x0a", plain[:3], start + box(b"jxlc", plain)):
        assert not jpeg_xl_head(io.BytesIO(data)).animated


@pytest.mark.parametrize("mode", ["F", "I", "CMYK"])
def test_samples_of_jpeg_xl_that_are_refused(mode: str) -> None:
    image = Image.new(mode, (2, 2))
    image.format = "JXL"
    with pytest.raises(UnsupportedError, match=f"samples of the kind {mode}"):
        check_decoded("a.jxl", image, io.BytesIO())


def headed(*fields: tuple[int, int]) -> bytes:
    """The head of a codestream of 8x8 pixels with these numbers of so many bits behind its size."""
    value = at = 0
    for number, count in ((1, 1), (0, 5), (1, 3), *fields):
        value |= number << at
        at += count
    return b"\xff\x0a" + value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("fields", "bits", "floats"),
    [
        ([(1, 1)], 8, False),
        ([(0, 1), (0, 1), (0, 1), (0, 2)], 8, False),
        ([(0, 1), (0, 1), (0, 1), (1, 2)], 10, False),
        # Turned, no size, no preview, not animated.
        ([(0, 1), (1, 1), (3, 3), (0, 3), (0, 1), (2, 2)], 12, False),
        ([(0, 1), (0, 1), (0, 1), (3, 2), (15, 6)], 16, False),
        ([(0, 1), (0, 1), (1, 1), (1, 2)], 16, True),
        ([(0, 1), (0, 1), (1, 1), (0, 2)], 32, True),
    ],
)
def test_the_head_of_jpeg_xl_has_bits(
    fields: list[tuple[int, int]], bits: int, floats: bool
) -> None:
    head = jpeg_xl_head(io.BytesIO(headed(*fields)))
    assert (head.bits, head.floats, head.animated) == (bits, floats, False)


def test_deep_colours_of_jpeg_xl_are_not_cut_to_8_bits() -> None:
    image = Image.new("RGB", (8, 8))
    image.format = "JXL"
    deep = headed((0, 1), (0, 1), (0, 1), (3, 2), (15, 6))
    with pytest.raises(UnsupportedError, match=r"16 bits a sample.*convert it to PNG"):
        check_decoded("a.jxl", image, io.BytesIO(deep))
    check_decoded("a.jxl", image, io.BytesIO(headed((1, 1))))


@needs_jxl
@pytest.mark.parametrize(("data", "match"), [(DEEP_RGB, "16 bits"), (FLOAT_RGB, "floating-point")])
def test_deep_files_of_jpeg_xl_are_refused(data: str, match: str) -> None:
    with pytest.raises(UnsupportedError, match=match):
        read(base64.b64decode(data))


@needs_heic
def test_thumbnails_of_heic_are_left_out() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    pixels = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    data = saved("HEIF", pixels, thumbnails=[64, 128], quality=95)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["thumbnails"]
    assert read(data).pixels.shape == (256, 320, 3)


@needs_heic
@pytest.mark.parametrize("alpha", [False, True])
def test_heic_keeps_what_comes_with_it(alpha: bool) -> None:
    import pillow_heif

    flat = Image.new("RGBA" if alpha else "RGB", (64, 48), (90, 120, 30, 70)[: 3 + alpha])
    out = io.BytesIO()
    coded = pillow_heif.from_pillow(flat)
    coded.info.update(exif=exif_with(1), xmp=XMP, icc_profile=ICC, icc_profile_type="prof")
    coded.save(out, quality=-1)
    picture = read(out.getvalue())
    assert (picture.icc, picture.xmp, orientation_of(picture.exif)) == (ICC, XMP, 1)
    assert np.abs(picture.pixels.astype(int) - (90, 120, 30)).max() <= 3
    assert (picture.alpha is not None) == alpha
    if picture.alpha is not None:
        assert np.abs(picture.alpha.astype(int) - 70).max() <= 2


@needs_heic
def test_heic_that_is_turned_comes_turned() -> None:
    import pillow_heif

    wide = Image.new("RGB", (64, 32), (90, 120, 30))
    out = io.BytesIO()
    coded = pillow_heif.from_pillow(wide)
    coded.info.update(exif=exif_with(6))
    coded.save(out, quality=-1)
    picture = read(out.getvalue())
    assert picture.pixels.shape[:2] == (64, 32) and orientation_of(picture.exif) == 1


@needs_heic
def test_heic_code_points_and_refusals() -> None:
    import pillow_heif

    out = io.BytesIO()
    flat = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (90, 120, 30)))
    flat.save(out, quality=-1, save_nclx_profile=True, color_primaries=9,
              transfer_characteristics=16, matrix_coefficients=6, full_range_flag=1)  # fmt: skip
    data = out.getvalue()
    assert dict(read(data).colour) == {"cICP": bytes([9, 16, 0, 1])}
    with pytest.raises(UnsupportedError, match="has a gain map"):
        read(data.replace(b"mif1", b"tmap", 1))
    flat.add_from_pillow(Image.new("RGB", (64, 64), (9, 120, 30)))
    out = io.BytesIO()
    flat.save(out, quality=-1)
    with pytest.raises(UnsupportedError, match="holds 2 pictures"):
        read(out.getvalue())


def test_boxes_tell_of_gain_maps() -> None:
    apple = box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    meta = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", apple)))
    brands = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    assert properties_of(io.BytesIO(brands + meta)).gain_map
    assert properties_of(io.BytesIO(box(b"ftyp", b"avif" + bytes(4) + b"tmapmif1"))).gain_map
    depth = meta.replace(b"hdrgainmap", b"depth-image")
    assert not properties_of(io.BytesIO(brands + depth)).gain_map


@pytest.mark.parametrize(
    ("has", "data", "package"),
    [
        (HAS_JXL, b"\xff\x0a" + bytes(99), "pillow-jxl-plugin"),
        (HAS_HEIC, box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + bytes(99), "pillow-heif"),
    ],
)
def test_what_reads_them_is_named(has: bool, data: bytes, package: str) -> None:
    if has:
        pytest.skip(f"{package} is installed")
    with pytest.raises(UnsupportedError, match=f"the package {package} reads: install it"):
        read(data)
