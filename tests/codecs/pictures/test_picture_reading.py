"""One reader for every path: its limits hold, its refusals are true, and lost colours are told."""

import gzip
import io
import os
import re
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, TiffImagePlugin, features

from kodec.codecs import decode_image, read_head, read_labels, read_pixels, read_plain_picture
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

PIXELS = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
RGB = Image.fromarray(PIXELS)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(kind: str, image: Image.Image = RGB, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg_with_frame(marker: int = 0xC0, bits: int = 8, height: int = 24) -> bytes:
    """A JPEG whose frame header says otherwise."""
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    data[at + 5 : at + 7] = height.to_bytes(2)
    return bytes(data)


def tiff(image: Image.Image = RGB, **tags: object) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[int(tag.removeprefix("tag"))] = value
    return saved("TIFF", image, tiffinfo=info)


def tiff_with(tag: int, value: int, **options: Any) -> bytes:
    """A little-endian TIFF of 8-bit RGB, a short or long of whose directory is replaced."""
    data = bytearray(saved("TIFF", **options))
    directory = int.from_bytes(data[4:8], "little")
    for entry in range(directory + 2, len(data) - 11, 12):
        if int.from_bytes(data[entry : entry + 2], "little") == tag:
            data[entry + 8 : entry + 12] = value.to_bytes(4, "little")
            return bytes(data)
    raise AssertionError(f"no tag {tag}")


def lossless_jpeg() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="image2pipe") as container:
        stream = container.add_stream("ljpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr24"
        frame = av.VideoFrame.from_ndarray(PIXELS, "rgb24").reformat(format="bgr24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(*chunks: bytes, **options: Any) -> bytes:
    """A PNG with chunks put in behind its header."""
    data = saved("PNG", **options)
    return data[:33] + b"".join(chunks) + data[33:]


def bmp_with_space(space: bytes, red: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    """A BMP with a header of version 4 that states a colour space."""
    raw = saved("BMP", RGB)[54:]
    points = struct.pack("<9i", *red, 300, 600, 100, 150, 60, 790)
    header = struct.pack("<IiiHHIIiiII", 108, 32, 24, 1, 24, 0, len(raw), 0, 0, 0, 0)
    header += bytes(16) + space[::-1] + points + bytes(12)
    return b"BM" + struct.pack("<IHHI", 122 + len(raw), 0, 0, 122) + header + raw


def iso(*brands: bytes) -> bytes:
    content = brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(content) + 8).to_bytes(4) + b"ftyp" + content + bytes(99)


def palette_image() -> Image.Image:
    image = Image.new("P", (1, 1), 9)
    image.putpalette(range(30))
    return image


P6 = saved("PPM")
P5 = saved("PPM", RGB.convert("L"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jpeg_with_frame(bits=12), "has 12 bits a sample"),
        (lossless_jpeg, r"9 bits a sample \(lossless JPEG\)"),
        (lambda: jpeg_with_frame(0xC3), "is a lossless JPEG"),
        (lambda: jpeg_with_frame(0xC5), "is a hierarchical JPEG"),
        (lambda: jpeg_with_frame(0xCB), "is a lossless JPEG with arithmetic coding"),
        (lambda: jpeg_with_frame(height=0), "tells its height after"),
        (lambda: saved("JPEG") * 2, "several pictures"),
        (lambda: b"\xff\xd8\xff\xf7" + bytes(99), "JPEG-LS"),
        (lambda: tiff_with(259, 34712), "JPEG 2000 compression, which is not read"),
        (lambda: tiff_with(259, 50002), "JPEG XL compression, which is not read"),
        (lambda: tiff_with(259, 41234), "number 41234 compression, which is not read"),
        (lambda: tiff_with(259, 50001), "WebP compression.* not read"),
        (lambda: tiff(tag254=1), "begins with a smaller copy"),
        (lambda: tiff(tag50706=b"\1\4\0\0"), "camera's raw file"),
        (lambda: tiff_with(262, 32803), "camera's raw file"),
        (lambda: saved("TIFF", Image.new("F", (4, 4))), "floating-point samples"),
        (lambda: saved("TIFF", Image.new("I", (4, 4))), "signed samples|32 bits"),
        (lambda: saved("TIFF", RGB.convert("RGBA")), "transparency"),
        (lambda: saved("TIFF", RGB.convert("YCbCr")), "is in YCbCr"),
        (lambda: P6 + P6, "several pictures"),
        (lambda: P5 + b"\n" + P6, "several pictures"),
        (lambda: b"P5 2 1 # a comment, 255 \n 255\n\1\2P5 1 1 255\n\0", "several pictures"),
        (lambda: b"P2 2 1 255 1 2\nP2 2 1 255 1 2", "several pictures"),
        (lambda: saved("PNG") * 2, "several pictures"),
        (lambda: saved("WEBP") * 2, "several pictures"),
        (lambda: saved("PNG")[:8] + chunk(b"CgBI", bytes(4)) + saved("PNG")[8:], "Apple"),
        (lambda: saved("BMP", RGB)[:30] + b"\4" + saved("BMP", RGB)[31:], "JPEG in it"),
        (lambda: iso(b"heic", b"mif1"), "HEIC picture.*convert it"),
        (lambda: iso(b"mif1", b"mif1", b"avif"), "AVIF picture"),
        (lambda: iso(b"crx ", b"isom"), "raw file"),
        (lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "raw file"),
        (lambda: b"FUJIFILMCCD-RAW " + bytes(99), "raw file"),
        (lambda: b"\xff\x4f\xff\x51" + bytes(99), "JPEG 2000"),
        (lambda: b"\xff\x0a" + bytes(99), "JPEG XL"),
        (lambda: b"%PDF-1.7\n%\xe2\xe3", "PDF document"),
        (lambda: b'<?xml version="1.0"?>\n<svg width="4"/>', "SVG"),
        (lambda: b"qoif" + bytes(99), "QOI"),
        (lambda: bytes(128) + b"DICM" + bytes(99), "DICOM"),
    ],
)  # fmt: skip
def test_what_is_sound_and_not_read_is_never_called_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[], bytes], words: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(make())
    with pytest.raises(UnsupportedError, match=words) as raised:
        read_plain_picture(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value) and ";" in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(saved("PNG")), "gzip archive; unpack it first"),
        (b"BZh91AY&SY" + bytes(99), "bzip2 archive; unpack it first"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"", "is empty"),
    ],
)
def test_no_pictures(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BitstreamError, match=words):
        read_plain_picture(tmp_path / "a.png")


def test_libraries_do_not_speak_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(saved("TIFF", compression="tiff_lzw"))
    data[30:400] = bytes(370)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(BitstreamError, match="looks like a TIFF picture but is damaged"):
        read_plain_picture(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(tiff_with(277, 999))
    with pytest.raises((BitstreamError, UnsupportedError)):
        read_plain_picture(tmp_path / "b.tif")
    os.write(2, b"mine\n")
    assert capfd.readouterr() == ("", "mine\n")


def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "socket"))
        for name, words in (("pipe.png", "is a pipe"), ("socket", "is a socket")):
            for read in (read_plain_picture, read_head, read_labels):
                with pytest.raises(InvalidInputError, match=words):
                    read(tmp_path / name)
    with pytest.raises(InvalidInputError, match="is a device"):
        read_plain_picture("/dev/null")


def test_long_profiles_are_carried(tmp_path: Path) -> None:
    profile = ICC + np.random.default_rng(0).bytes(3 << 20)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * (5 << 20), zip=True)
    (tmp_path / "a.png").write_bytes(saved("PNG", icc_profile=profile, pnginfo=text))
    assert read_plain_picture(tmp_path / "a.png").icc == profile
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), PIXELS)


def test_endless_texts_are_refused(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20)))
    (tmp_path / "a.png").write_bytes(png_with(text))
    with pytest.raises(UnsupportedError, match="more than 64 MiB; remove it"):
        read_plain_picture(tmp_path / "a.png")


def test_settings_of_the_process_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 100)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    (tmp_path / "a.png").write_bytes(saved("PNG", icc_profile=ICC))
    (tmp_path / "labels.png").write_bytes(saved("PNG", Image.new("I;16", (30, 20), 999)))
    assert read_plain_picture(tmp_path / "a.png").icc == ICC
    head = read_head(tmp_path / "a.png")
    assert (head.width, head.height, head.components) == (32, 24, 3)
    assert (read_labels(tmp_path / "labels.png") == 999).all()
    for kind in ("JPEG", "WEBP", "AVIF", "JPEG2000"):
        if kind == "AVIF" and not features.check("avif"):
            continue
        assert decode_image(saved(kind), kind).shape == (24, 32, 3)
    (tmp_path / "cut.jpg").write_bytes(saved("JPEG")[:-200])
    with pytest.raises(BitstreamError, match="truncated"):
        read_plain_picture(tmp_path / "cut.jpg")
    assert Image.MAX_IMAGE_PIXELS == 100 and ImageFile.LOAD_TRUNCATED_IMAGES


def test_heads_tell_what_decoding_does_not_need_to(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "turned.tif").write_bytes(saved("TIFF", exif=exif))
    head = read_head(tmp_path / "turned.tif")
    assert (head.height, head.width) == read_pixels(tmp_path / "turned.tif").shape[:2] == (24, 32)
    (tmp_path / "a.png").write_bytes(saved("PNG")[:-6])
    with pytest.raises(BitstreamError, match="no end"):
        read_head(tmp_path / "a.png")


def cicp(*codes: int) -> bytes:
    return chunk(b"cICP", bytes(codes))


SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def chrm(values: tuple[int, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *values))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: png_with(cicp(9, 16, 0, 1)), "cICP: BT.2020, PQ"),
        (lambda: png_with(cicp(12, 13, 0, 1)), "cICP: Display P3, sRGB"),
        (lambda: png_with(cicp(1, 13, 0, 0)), "narrow range"),
        (lambda: png_with(cicp(9, 18, 0, 1), icc_profile=ICC), "cICP: BT.2020, HLG"),
        (lambda: png_with(cicp(1, 13, 0, 1), chrm(P3)), ""),
        (lambda: png_with(chrm(P3)), "cHRM: white 0.3127 0.329, red 0.68"),
        (lambda: png_with(chrm(P3), chunk(b"sRGB", b"\0")), ""),
        (lambda: png_with(chrm(P3), icc_profile=ICC), ""),
        (lambda: png_with(chrm(SRGB), chunk(b"gAMA", struct.pack(">I", 45455))), ""),
        (lambda: png_with(chunk(b"gAMA", struct.pack(">I", 100000))), "gamma of 1"),
        (lambda: png_with(chunk(b"mDCV", bytes(24))), "mDCV"),
        (lambda: png_with(chunk(b"cLLI", bytes(8))), "cLLI"),
        (lambda: png_with(chunk(b"sBIT", b"\5\6\5")), "sBIT: 5, 6, 5"),
        (lambda: png_with(chunk(b"sBIT", b"\x08\x08\x08")), ""),
        (lambda: png_with(chunk(b"iCCP", b"name\0\0not zlib")), "damaged ICC"),
        (lambda: tiff(tag319=(0.68, 0.32, 0.265, 0.69, 0.15, 0.06)), "TIFF primaries.*0.68"),
        (lambda: tiff(tag318=(0.3457, 0.3585)), "TIFF primaries.*0.3457"),
        (lambda: tiff(tag318=(0.3127, 0.329)), ""),
        (lambda: bmp_with_space(b"MBED"), "BMP colour profile"),
        (lambda: bmp_with_space(bytes(4), (680, 320, 0)), "BMP primaries.*red 0.68"),
        (lambda: bmp_with_space(bytes(4), (640, 330, 30)), ""),
        (lambda: bmp_with_space(b"sRGB"), ""),
        (lambda: saved("JPEG", icc_profile=ICC), ""),
        (lambda: saved("JPEG", icc_profile=ICC).replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2"),
         "damaged ICC"),
    ],
)  # fmt: skip
def test_lost_colours_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[], bytes], words: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(make())
    picture = read_plain_picture(path)
    assert picture.pixels.shape == (24, 32, 3)
    if words:
        assert [str(path) in r.getMessage() for r in caplog.records] == [True]
        assert re.search(words, caplog.text)
        assert ("count as sRGB" in caplog.text) == (picture.icc is None)
    else:
        assert caplog.text == ""
    assert bool(read_head(path).remarks) == bool(words)
    caplog.clear()
    read_pixels(path)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.array([[0, 7], [255, 1]], np.uint8)), [[0, 7], [255, 1]]),
        (Image.fromarray(np.array([[0, 7], [65535, 1]], np.uint16)), [[0, 7], [65535, 1]]),
        (Image.new("RGB", (1, 1), (1, 2, 3)), [[1 + 2 * 256 + 3 * 65536]]),
        (palette_image(), [[9]]),
    ],
)
def test_labels(tmp_path: Path, image: Image.Image, expected: list[list[int]]) -> None:
    image.save(tmp_path / "a.png")
    labels: NDArray[np.int32] = read_labels(tmp_path / "a.png")
    assert labels.dtype == np.int32 and labels.tolist() == expected
    Image.new("LA", (2, 2)).save(tmp_path / "b.png")
    with pytest.raises(UnsupportedError, match="no labels"):
        read_labels(tmp_path / "b.png")
