"""Which pictures kodec can code without converting them, and why not the others."""

import errno
import re
import struct
from typing import IO

from PIL import Image

from kodec.native import UnsupportedError

from .jpeg_xl_head import jpeg_xl_head
from .picture_boxes import properties_of
from .png_chunks import chunks_of
from .stored import Stored
from .tiff_head import look_at_tiff

_EIGHT_BITS = "8-bit gray or RGB is needed here: convert it first"
_WIDE_ADVICE = "kodec codes gray and RGB of 8 or 16 bits, with or without alpha: convert it first"

_MODES = {
    "1": "is black and white (1 bit a pixel)",
    "P": "has a palette",
    "PA": "has a palette and transparency",
    "LA": "has transparency (gray with alpha)",
    "La": "has transparency (gray with alpha)",
    "RGBA": "has transparency (RGB with alpha)",
    "RGBa": "has transparency (RGB with alpha)",
    "CMYK": "is in CMYK",
    "YCbCr": "is in YCbCr",
    "LAB": "is in CIE Lab",
    "HSV": "is in HSV",
    "F": "has floating-point samples",
    "I": "has more than 8 bits a sample",
}


# What Pillow presents and `samples_of_image` takes, beside L and RGB.
_WIDE_MODES = ("1", "P", "PA", "LA", "RGBA", "CMYK")


def check_mode(name: str, image: Image.Image, wide: bool = False) -> None:
    """Check that `image`, as Pillow presents it, is one 8-bit gray or RGB picture; or, if `wide`,
    one of samples that a `Picture` has.

    Raises UnsupportedError, in one line that calls the picture `name`, says what it is and what
    to do.
    """
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnsupportedError(
            f"{name} holds {frames} pictures (animation, pages or views); save one of them alone, "
            "or an animation as a video, which `kodec encode` takes"
        )
    if wide and (image.mode in _WIDE_MODES or image.mode.startswith("I;16")):
        return
    trouble = _MODES.get(image.mode)
    if image.mode.startswith("I;16"):
        trouble = "has 16 bits a sample"
    elif trouble is None and image.mode not in ("L", "RGB"):
        trouble = f"has the unusual pixel type {image.mode}"
    elif trouble is None and "transparency" in image.info and not wide:
        trouble = "has transparency (one colour of it is transparent)"
    if trouble is not None:
        raise unfit(name, trouble, wide)


def unfit(name: str, trouble: str, wide: bool = False) -> UnsupportedError:
    """The error of a picture called `name` that kodec does not read as it is."""
    advice = _WIDE_ADVICE if wide else _EIGHT_BITS
    return UnsupportedError(f"{name} {trouble}; {advice}")


def look_at_head(pillow_format: str, file: IO[bytes]) -> Stored:
    """What the head of a file of that format says of how its samples are stored.

    Pillow converts several formats on its own (16-bit RGB to 8 bits, 4-bit gray to 8) and takes
    what it does not know for damage, so neither its modes nor its errors tell. The head of a
    damaged file says nothing. Leaves the file's position anywhere.
    """
    look = _LOOKS.get(pillow_format)
    if look is None:
        return Stored()
    file.seek(0)
    try:
        return look(file)
    except (LookupError, SyntaxError, TypeError, ValueError, OverflowError, struct.error):
        return Stored()
    except OSError as error:
        if is_of_system(error):
            raise
        return Stored()


def is_of_system(error: OSError) -> bool:
    """Whether an error is the system's, not a reader's word for damage.

    What a damaged file sends a reader to, beyond any file's end, is an invalid argument.
    """
    return error.errno not in (None, errno.EINVAL)


def _look_at_png(file: IO[bytes]) -> Stored:
    head = file.read(25)
    if head[12:16] == b"CgBI":
        return Stored("is a PNG in Apple's own variant (CgBI)")
    # Of a palette, the size of its indexes says less than that it is one.
    bits, palette = head[24], file.read(1) == b"\3"
    if head[12:16] != b"IHDR" or bits not in (1, 2, 4, 16) or palette:
        return Stored()
    return Stored(wide=f"has {bits} {'bit' if bits == 1 else 'bits'} a sample", bits=bits)


_JPEG_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical, lossless JPEG",
    0xC9: "a JPEG with arithmetic coding",
    0xCA: "a progressive JPEG with arithmetic coding",
    0xCB: "a lossless JPEG with arithmetic coding",
    0xCD: "a hierarchical JPEG with arithmetic coding",
    0xCE: "a hierarchical JPEG with arithmetic coding",
    0xCF: "a hierarchical, lossless JPEG with arithmetic coding",
    0xDE: "a hierarchical JPEG",
    0xF7: "a JPEG-LS picture",
}
# The other ones are never read.
_JPEG_FRAMES_OF_SOME_READERS = (0xC3, 0xC9, 0xCA)
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))


def _look_at_jpeg(file: IO[bytes]) -> Stored:
    file.seek(2)
    adobe: int | None = None
    while True:
        marker = file.read(2)
        while marker[1:] == b"\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            return Stored()
        if marker[1] in _JPEG_WITHOUT_LENGTH:
            continue
        length = int.from_bytes(file.read(2)) - 2
        if marker[1] in (0xC0, 0xC1, 0xC2) or marker[1] in _JPEG_FRAMES:
            return _look_at_jpeg_frame(marker[1], file.read(min(length, 6)), adobe)
        if marker[1] == 0xEE:
            segment = file.read(length)
            if segment[:5] == b"Adobe":
                adobe = segment[11]
        else:
            file.seek(max(length, 0), 1)


def _look_at_jpeg_frame(marker: int, frame: bytes, adobe: int | None) -> Stored:
    bits, height, components = frame[0], int.from_bytes(frame[1:3]), frame[5]
    name = _JPEG_FRAMES.get(marker)
    if name is not None and marker not in _JPEG_FRAMES_OF_SOME_READERS:
        return Stored(f"is {name}")
    if bits != 8:
        of = "" if name is None else f" ({name[2:]})"
        return Stored(f"has {bits} bits a sample{of}")
    if components == 4:
        return Stored(wide="is in YCCK, a form of CMYK" if adobe == 2 else "is in CMYK")
    if components not in (1, 3):
        return Stored(f"has {components} components")
    if height == 0:
        return Stored("is a JPEG that tells its height after its samples (DNL)")
    return Stored(unusual=None if name is None else f"is {name}")


_BMP_COMPRESSIONS = {1: "run lengths", 2: "run lengths", 4: "a JPEG in it", 5: "a PNG in it"}


def _look_at_bmp(file: IO[bytes]) -> Stored:
    file.seek(14)
    header = file.read(20)
    if header[0] == 12:
        bits, compression = int.from_bytes(header[10:12], "little"), 0
    else:
        bits = int.from_bytes(header[14:16], "little")
        compression = int.from_bytes(header[16:20], "little")
    if compression in (4, 5):
        return Stored(f"is a BMP with {_BMP_COMPRESSIONS[compression]}")
    if bits not in (8, 24):
        if bits in (1, 2, 4):
            return Stored()
        if bits == 32 and compression == 0 and not _fourth_byte_is_empty(file):
            return Stored("has 32 bits a pixel, the last 8 of which mean nothing in this BMP")
        return Stored(wide=f"has {bits} bits a pixel", bits=8)
    if compression in _BMP_COMPRESSIONS:
        return Stored(unusual=f"is a BMP compressed with {_BMP_COMPRESSIONS[compression]}")
    return Stored(f"is a BMP of compression {compression}" if compression else None)


def _fourth_byte_is_empty(file: IO[bytes]) -> bool:
    """Whether what has no meaning is 0 everywhere, or 255: some writers have alpha there."""
    file.seek(10)
    file.seek(int.from_bytes(file.read(4), "little"))
    values: set[int] = set()
    while block := file.read(1 << 20):
        values |= set(block[3::4])
        if len(values) > 1:
            return False
    return values <= {0} or values <= {255}


def _look_at_pnm(file: IO[bytes]) -> Stored:
    kind, numbers, _ = pnm_head(file)
    if kind in b"14" or numbers[2] == 255 or not 0 < numbers[2] < 65536:
        return Stored()
    bits = 8 if numbers[2] < 256 else 16
    return Stored(wide=f"has samples of 0 to {numbers[2]} instead of 255", bits=bits)


def _look_at_pam(file: IO[bytes]) -> Stored:
    return Stored(wide="is a PAM picture")


def _look_at_avif(file: IO[bytes]) -> Stored:
    boxes = properties_of(file)
    if boxes.gain_map:
        return Stored("has a gain map (two pictures in one)")
    if boxes.bits > 8:
        return Stored(f"has {boxes.bits} bits a sample")
    return Stored(wide="is an AVIF picture")


def _look_at_heif(file: IO[bytes]) -> Stored:
    if properties_of(file).gain_map:
        return Stored("has a gain map (two pictures in one)")
    return Stored(wide="is a HEIC picture")


def _look_at_jpeg_xl(file: IO[bytes]) -> Stored:
    head = jpeg_xl_head(file)
    if head.animated:
        return Stored("is an animation, which `kodec encode` takes as a video file")
    if head.gain_map:
        return Stored("has a gain map (two pictures in one)")
    if head.floats:
        return Stored("has floating-point samples")
    return Stored(wide="is a JPEG XL picture")


_PNM_NUMBER = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*(\d{1,10})")


def pnm_head(file: IO[bytes]) -> tuple[bytes, list[int], int]:
    """The digit of a PNM, the numbers of its head, and where its samples begin.

    It stands at `file`'s position. Raises ValueError where the head is none.
    """
    data = file.read(1 << 16)
    kind, at = data[1:2], 2
    numbers = []
    for _ in range(2 if kind in b"14" else 3):
        found = _PNM_NUMBER.match(data, at)
        if found is None:
            raise ValueError("its head is damaged")
        numbers.append(int(found[1]))
        at = found.end()
    return kind, numbers, at + 1


_LOOKS = {
    "PNG": _look_at_png,
    "JPEG": _look_at_jpeg,
    "BMP": _look_at_bmp,
    "PPM": _look_at_pnm,
    "PAM": _look_at_pam,
    "AVIF": _look_at_avif,
    "HEIF": _look_at_heif,
    "JXL": _look_at_jpeg_xl,
    "TIFF": look_at_tiff,
}


def second_picture(pillow_format: str, file: IO[bytes], size: tuple[int, int], bands: int) -> bool:
    """Whether another picture follows the first, of `size` (width, height), in the same file.

    No reader looks behind the first picture's end. Leaves the file's position anywhere.
    """
    file.seek(0)
    if pillow_format == "PPM":
        return _picture_after_pnm(file, size[0] * size[1] * bands)
    if pillow_format == "JPEG":
        end, start = _end_of_jpeg(file.read()), b"\xff\xd8\xff"
    elif pillow_format == "PNG":
        end, start = end_of_png(file), b"\x89PNG\r\n\x1a\n"
    elif pillow_format == "WEBP":
        end, start = int.from_bytes(file.read(8)[4:8], "little") + 8, b"RIFF"
    else:
        return False
    if end is None:
        return False
    file.seek(end)
    return file.read(64).lstrip(b"\0\r\n").startswith(start)


def _picture_after_pnm(file: IO[bytes], samples: int) -> bool:
    kind, _, start = pnm_head(file)
    if kind in b"123":
        # Text: nothing but digits follows, up to the next picture's P.
        file.seek(start)
        return b"P" in re.sub(rb"#[^\n\r]*", b"", file.read())
    file.seek(start + samples)
    return re.match(rb"\s*P[1-7]\s", file.read(64)) is not None


_JPEG_MARKER = re.compile(rb"\xff+[^\0\xff\xd0-\xd7]")


def _end_of_jpeg(data: bytes) -> int | None:
    """Where a JPEG's end marker ends."""
    at = 2
    while (found := _JPEG_MARKER.search(data, at)) is not None:
        marker = found[0][-1]
        if marker == 0xD9:
            return found.end()
        at = found.end()
        if marker != 0x01:
            at += int.from_bytes(data[at : at + 2])
    return None


def end_of_png(file: IO[bytes]) -> int | None:
    """Where a PNG's end chunk ends; None where it has none."""
    for kind, length in chunks_of(file):
        if kind == b"IEND":
            end = file.tell() + length + 4
            return end if len(file.read(4)) == 4 else None
    return None
