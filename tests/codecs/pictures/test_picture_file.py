import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from kodec.codecs.container import MAGIC
from kodec.codecs.pictures.image_samples import picture_from_image
from kodec.codecs.pictures.picture import Picture
from kodec.codecs.pictures.picture_file import check_picture_output, write_picture
from kodec.codecs.pictures.picture_reading import read_plain_picture
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 274


def exif_block(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[271] = "Maker"
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00"}
    return exif.tobytes().removeprefix(b"Exif\0\0")


def orientation_of(block: bytes | None) -> int | None:
    exif = Image.Exif()
    exif.load(block or b"")
    return exif.get(ORIENTATION)


def noise(height: int, width: int, components: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(height * 1000 + width)
    return generator.integers(0, 256, (height, width, components), np.uint8)


def image_of(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


@pytest.mark.parametrize(
    ("name", "components"),
    [(f"p.{e}", c) for e in ("png", "bmp", "tif", "TIFF", "Png") for c in (1, 3)]
    + [("p.ppm", 3), ("p.webp", 3), ("p.pgm", 1)],
)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 1), (13, 31), (64, 48)])
def test_pixels_come_back_exactly(
    tmp_path: Path, name: str, components: int, size: tuple[int, int]
) -> None:
    pixels = noise(*size, components)
    write_picture(tmp_path / name, Picture(pixels))
    picture = read_plain_picture(tmp_path / name)
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.icc is None and picture.exif is None
    assert os.listdir(tmp_path) == [name]


def test_large_pictures_are_read_strip_by_strip(tmp_path: Path) -> None:
    pixels = np.zeros((3, 5_000_000, 1), np.uint8)
    pixels[:, ::7] = [[[1]], [[2]], [[3]]]
    write_picture(tmp_path / "wide.pgm", Picture(pixels))
    np.testing.assert_array_equal(read_plain_picture(tmp_path / "wide.pgm").pixels, pixels)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "TIFF-deflate"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 5])
def test_metadata_come_along_and_pixels_are_not_turned(
    tmp_path: Path, kind: str, components: int, orientation: int
) -> None:
    if kind == "WEBP" and components == 1:
        components = 3
    pixels = noise(9, 14, components)
    options: dict[str, object] = {"exif": exif_block(orientation), "icc_profile": ICC}
    if kind == "TIFF-deflate":
        # libtiff, under Pillow, refuses the sub-directory that `exif_block` has.
        exif = Image.Exif()
        exif[ORIENTATION], exif[271] = orientation, "Maker"
        options |= {"exif": exif, "compression": "tiff_adobe_deflate"}
    if kind == "WEBP":
        options["lossless"] = True
    if kind == "JPEG":
        options["exif"] = b"Exif\0\0" + exif_block(orientation)
    image_of(pixels).save(tmp_path / "in", kind.split("-")[0], **options)

    picture = read_plain_picture(tmp_path / "in")
    assert picture.icc == ICC
    assert picture.exif is not None and picture.exif[:2] in (b"MM", b"II")
    assert orientation_of(picture.exif) == orientation
    assert picture.pixels.shape == pixels.shape
    if kind != "JPEG":
        np.testing.assert_array_equal(picture.pixels, pixels)

    outputs = ["out.png", "out.tif"] + (["out.webp"] if components == 3 else [])
    for name in outputs:
        write_picture(tmp_path / name, picture)
        again = read_plain_picture(tmp_path / name)
        np.testing.assert_array_equal(again.pixels, picture.pixels)
        assert again.icc == ICC
        assert orientation_of(again.exif) == orientation
        if name != "out.tif":
            assert again.exif == picture.exif


def test_tiff_keeps_the_camera_s_directory(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.tif", Picture(noise(2, 3, 3), exif=exif_block()))
    exif = Image.Exif()
    exif.load(read_plain_picture(tmp_path / "a.tif").exif or b"")
    assert exif[271] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"


@pytest.mark.parametrize("block", [b"garbage", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0" + bytes(9)])
def test_damaged_exif_is_carried_or_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, block: bytes
) -> None:
    picture = Picture(noise(2, 3, 3), exif=block)
    write_picture(tmp_path / "a.png", picture)
    assert read_plain_picture(tmp_path / "a.png").exif == block
    write_picture(tmp_path / "a.tif", picture)
    np.testing.assert_array_equal(read_plain_picture(tmp_path / "a.tif").pixels, picture.pixels)
    assert "EXIF, which is damaged" in caplog.text


def test_layout_tags_in_exif_do_not_spoil_a_tiff(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[256], exif[259], exif[ORIENTATION] = 9999, 5, 3
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    picture = Picture(noise(2, 3, 3), exif=block)
    write_picture(tmp_path / "a.tif", picture)
    again = read_plain_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert orientation_of(again.exif) == 3
    assert "EXIF tags 256, 259" in caplog.text


def test_the_exif_text_of_older_png_writers_is_read(tmp_path: Path) -> None:
    block = exif_block(8)
    info = PngImagePlugin.PngInfo()
    text = (b"Exif\0\0" + block).hex()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block) + 6:8}\n{text}\n")
    image_of(noise(2, 3, 3)).save(tmp_path / "a.png", pnginfo=info)
    assert read_plain_picture(tmp_path / "a.png").exif == block
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n  3\nnot hexadecimal")
    image_of(noise(2, 3, 3)).save(tmp_path / "b.png", pnginfo=info)
    with pytest.raises(BitstreamError, match="EXIF text"):
        read_plain_picture(tmp_path / "b.png")


@pytest.mark.parametrize("name", ["a.ppm", "a.bmp"])
def test_what_a_format_cannot_carry_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    picture = Picture(noise(2, 3, 3), ICC, exif_block())
    with caplog.at_level(logging.WARNING):
        write_picture(tmp_path / name, picture)
    assert "ICC profile and EXIF" in caplog.text
    np.testing.assert_array_equal(read_plain_picture(tmp_path / name).pixels, picture.pixels)


def png(bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def saved(kind: str, image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def tiff_with(tag: int, value: bytes) -> bytes:
    """A TIFF of 8-bit RGB, little-endian, with the value field of a tag replaced."""
    data = bytearray(saved("TIFF", image_of(noise(2, 2, 3))))
    directory = int.from_bytes(data[4:8], "little")
    for entry in range(directory + 2, len(data), 12):
        if int.from_bytes(data[entry : entry + 2], "little") == tag:
            if tag == 258:
                pointer = int.from_bytes(data[entry + 8 : entry + 12], "little")
                data[pointer : pointer + len(value)] = value
            else:
                data[entry + 8 : entry + 8 + len(value)] = value
            return bytes(data)
    raise AssertionError(f"no tag {tag}")


def multi_picture_jpeg() -> bytes:
    out = io.BytesIO()
    frames = [image_of(noise(8, 8, 3)), image_of(noise(8, 9, 3))]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])
    return out.getvalue()


RGB = image_of(noise(4, 5, 3))
GRAY = image_of(noise(4, 5, 1))
BMP16 = (
    b"BM" + struct.pack("<IHHI", 58, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 0, 4, 0, 0, 0, 0) + bytes(4)
)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: saved("PNG", RGB.convert("RGBA")), "alpha"),
        (lambda: saved("PNG", GRAY.convert("LA")), "alpha"),
        (lambda: saved("PNG", RGB.quantize(8)), "palette"),
        (lambda: saved("PNG", RGB.convert("1")), "1 bit"),
        (lambda: saved("PNG", RGB, transparency=(1, 2, 3)), "one colour of it is transparent"),
        (lambda: saved("PNG", Image.new("I;16", (2, 2))), "16 bits"),
        (lambda: png(16, 2, bytes(13)), "16 bits a sample"),
        (lambda: png(4, 0, bytes(2)), "4 bits a sample"),
        (lambda: png(2, 0, bytes(2)), "2 bits a sample"),
        (lambda: saved("PNG", RGB, save_all=True, append_images=[GRAY.convert("RGB")]), "2 pict"),
        (lambda: saved("JPEG", RGB.convert("CMYK")), "CMYK"),
        (multi_picture_jpeg, "2 pictures"),
        (lambda: saved("WEBP", Image.new("RGBA", (2, 2), (1, 2, 3, 4)), lossless=True), "alpha"),
        (lambda: saved("WEBP", RGB, save_all=True, append_images=[RGB.rotate(180)]), "2 pict"),
        (lambda: saved("TIFF", RGB, save_all=True, append_images=[GRAY]), "2 pictures"),
        (lambda: saved("TIFF", RGB.convert("CMYK")), "CMYK"),
        (lambda: saved("TIFF", RGB.convert("LAB")), "Lab"),
        (lambda: saved("TIFF", RGB.convert("RGBX")), "RGBX|4 samples"),
        (lambda: saved("TIFF", Image.new("F", (2, 2))), "floating"),
        (lambda: saved("TIFF", Image.new("I;16", (2, 2))), "16 bits"),
        (lambda: tiff_with(258, b"\x10\0\x10\0\x10\0"), "16 bits a sample"),
        (lambda: saved("BMP", RGB.quantize(8)), "palette"),
        (lambda: saved("BMP", RGB.convert("RGBA")), "32 bits|alpha"),
        (lambda: BMP16, "16 bits a pixel"),
        (lambda: b"P6 1 1 15\n\0\1\2", "0 to 15"),
        (lambda: b"P6 1 1 65535\n" + bytes(6), "0 to 65535"),
        (lambda: b"P5 1 1 65535\n" + bytes(2), "0 to 65535"),
        (lambda: b"P2 1 1 3\n2\n", "0 to 3"),
        (lambda: b"P1 1 1\n1\n", "1 bit"),
        (lambda: b"Pf\n1 1\n-1\n" + bytes(4), "PFM"),
        (lambda: saved("GIF", RGB), "GIF picture.*convert it to PNG"),
        (lambda: saved("ICO", RGB), "icon"),
        (lambda: b"\0\0\0\x20ftypmp42" + bytes(99), "MP4 video.*pictures only"),
        (lambda: b"\x1aE\xdf\xa3" + bytes(99), "Matroska"),
        (lambda: b"YUV4MPEG2 W4 H4 F25:1\nFRAME\n" + bytes(24), "Y4M"),
        (lambda: MAGIC + b"\0H" + bytes(99), "kodec decode"),
    ],
)
def test_what_kodec_cannot_carry_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[], bytes], message: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(make())
    with pytest.raises(UnsupportedError, match=message) as raised:
        read_plain_picture(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not a picture .*text file"),
        (bytes(range(200, 250)), "not a picture kodec knows"),
        (b"PK\x03\x04" + bytes(99), "zip archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG picture but is damaged or truncated"),
        (b"P6 x", "damaged or truncated"),
        (b"II*\0" + b"\xff" * 30, "damaged or truncated"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(BitstreamError, match=message) as raised:
        read_plain_picture(tmp_path / "a")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "PPM", "BMP", "TIFF"])
def test_every_truncation_is_an_error_or_lost_nothing(tmp_path: Path, kind: str) -> None:
    pixels = noise(11, 8, 3)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(kind, image_of(pixels), **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    survivors = 0
    for length in range(len(data)):
        (tmp_path / "a").write_bytes(data[:length])
        try:
            picture = read_plain_picture(tmp_path / "a")
        except KodecError as error:
            assert "\n" not in str(error)
        else:
            survivors += 1
            np.testing.assert_array_equal(picture.pixels, expected)
    # A row of 8 RGB pixels fills whole words of 4 bytes, so that BMP has no padding to lose.
    assert survivors == 0


def test_mutations_of_pictures_raise_nothing_but_our_errors(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    path = tmp_path / "a"
    for kind in ("PNG", "JPEG", "WEBP", "PPM", "BMP", "TIFF"):
        data = saved(kind, image_of(noise(6, 7, 3)), exif=exif_block())
        for _ in range(150):
            changed = bytearray(data)
            for _ in range(generator.integers(1, 4)):
                changed[generator.integers(0, min(len(data), 600))] = generator.integers(0, 256)
            path.write_bytes(changed)
            try:
                picture = read_plain_picture(path, max_pixels=1 << 22)
            except KodecError as error:
                assert "\n" not in str(error)
            else:
                assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "PPM", "WEBP", "TIFF", "BMP", "JPEG"])
def test_the_limit_on_pixels_is_ours_and_pillow_s_is_put_back(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    RGB.resize((40, 30)).save(path, kind)
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = 100
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_plain_picture(path, max_pixels=1200).pixels.shape == (30, 40, 3)
            for limit in (1199, 601, 599, 10):
                with pytest.raises(UnsupportedError, match=f"more than {limit} pixels"):
                    read_plain_picture(path, max_pixels=limit)
        assert Image.MAX_IMAGE_PIXELS == 100
    finally:
        Image.MAX_IMAGE_PIXELS = before


def test_a_picture_beyond_pillow_s_own_limit_gets_as_far_as_its_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 20000 10000 255\n" + bytes(10))
    with pytest.raises(BitstreamError, match="damaged or truncated"):
        read_plain_picture(tmp_path / "a.pgm")
    (tmp_path / "b.pgm").write_bytes(b"P5 40000 30000 255\n" + bytes(10))
    with pytest.raises(UnsupportedError, match="more than 1073741824 pixels"):
        read_plain_picture(tmp_path / "b.pgm")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain_picture(tmp_path / "missing.png")
    with pytest.raises(InvalidInputError, match="folder"):
        read_plain_picture(tmp_path)


@pytest.mark.parametrize(
    ("name", "components", "message"),
    [
        ("a.jpg", None, "would change the decoded pixels; write a .png"),
        ("a.JPEG", 3, "would change"),
        ("a.avif", None, "would change"),
        ("a.xyz", None, "not as .xyz"),
        ("a", None, "without extension"),
        ("a.kdc", None, "not as .kdc"),
        ("a.pgm", 3, "holds gray, and the picture is RGB; write a .ppm"),
        ("a.ppm", 1, "holds RGB, and the picture is gray; write a .pgm"),
        ("a.webp", 1, "holds RGB, and the picture is gray; write a .png"),
    ],
)
def test_unfit_outputs_are_refused_before_any_work(
    tmp_path: Path, name: str, components: int | None, message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_picture_output(tmp_path / name, components)
    with pytest.raises(UnsupportedError):
        write_picture(tmp_path / name, Picture(noise(2, 2, components or 3)))
    assert os.listdir(tmp_path) == []


def test_the_place_of_an_output_is_checked(tmp_path: Path) -> None:
    check_picture_output(tmp_path / "a.png")
    with pytest.raises(InvalidInputError, match="does not exist"):
        check_picture_output(tmp_path / "missing" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidInputError, match="is a folder"):
        write_picture(tmp_path / "folder.png", Picture(noise(1, 1, 3)))


def test_a_side_too_long_for_webp_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="at most 16383 pixels a side"):
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 16384, 3), np.uint8)))
    assert os.listdir(tmp_path) == []


def test_a_gamma_without_profile_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for gamma, told in ((45455, False), (100000, True)):
        info = PngImagePlugin.PngInfo()
        info.add(b"gAMA", struct.pack(">I", gamma))
        RGB.save(tmp_path / "a.png", pnginfo=info)
        caplog.clear()
        read_plain_picture(tmp_path / "a.png")
        assert ("gamma" in caplog.text) == told


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros((0, 2, 3), np.uint8),
    ],
)
def test_a_picture_is_gray_or_rgb_bytes(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(InvalidInputError):
        Picture(pixels)


def test_pillow_images_are_taken_with_their_metadata() -> None:
    pixels = noise(5, 4, 3)
    data = saved("PNG", image_of(pixels), icc_profile=ICC, exif=exif_block())
    picture = picture_from_image(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.icc, picture.exif) == (ICC, exif_block())
    assert picture_from_image(GRAY).pixels.shape == (4, 5, 1)
    few = RGB.quantize(4)
    np.testing.assert_array_equal(picture_from_image(few).pixels, np.asarray(few.convert("RGB")))
    with pytest.raises(InvalidInputError):
        picture_from_image(Image.new("L", (0, 3)))
