"""What a file is, told from its first bytes, so that an error can say it."""

from typing import Literal, NamedTuple

SNIFF_BYTES = 512
"""How many bytes of a file's beginning `identify_file` looks at."""


class FileKind(NamedTuple):
    """A recognised kind of file."""

    title: str
    """A name with its article, to follow "it looks like": "a PNG picture"."""
    family: Literal["picture", "video", "other"]
    pillow_format: str | None = None
    """Pillow's name of the format where kodec reads it, else None."""


_PREFIXES: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture", "picture", "PNG")),
    (b"\xff\xd8\xff", FileKind("a JPEG picture", "picture", "JPEG")),
    (b"II*\0", FileKind("a TIFF picture", "picture", "TIFF")),
    (b"MM\0*", FileKind("a TIFF picture", "picture", "TIFF")),
    (b"II+\0", FileKind("a BigTIFF picture", "picture", "TIFF")),
    (b"MM\0+", FileKind("a BigTIFF picture", "picture", "TIFF")),
    (b"GIF87a", FileKind("a GIF picture", "picture")),
    (b"GIF89a", FileKind("a GIF picture", "picture")),
    (b"\xff\x0a", FileKind("a JPEG XL picture", "picture")),
    (b"\0\0\0\x0cJXL ", FileKind("a JPEG XL picture", "picture")),
    (b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 picture", "picture")),
    (b"8BPS", FileKind("a Photoshop picture", "picture")),
    (b"v/1\x01", FileKind("an OpenEXR picture", "picture")),
    (b"#?RADIANCE", FileKind("a Radiance HDR picture", "picture")),
    (b"BPG\xfb", FileKind("a BPG picture", "picture")),
    (b"\0\0\x01\0", FileKind("a Windows icon", "picture")),
    (b"\x1aE\xdf\xa3", FileKind("a Matroska or WebM video", "video")),
    (b"YUV4MPEG2 ", FileKind("a Y4M video", "video")),
    (b"OggS", FileKind("an Ogg video or sound file", "video")),
    (b"FLV\x01", FileKind("a Flash video", "video")),
    (b"\0\0\x01\xba", FileKind("an MPEG video", "video")),
    (b"\0\0\x01\xb3", FileKind("an MPEG video", "video")),
    (b"\0\0\0\x01", FileKind("a raw H.264, H.265 or H.266 video", "video")),
    (b"DKIF", FileKind("an IVF video", "video")),
    (b"PK\x03\x04", FileKind("a zip archive, perhaps a PyTorch checkpoint", "other")),
    (b"%PDF-", FileKind("a PDF document", "other")),
    (b"\x1f\x8b", FileKind("a gzip archive", "other")),
    (b"\x28\xb5\x2f\xfd", FileKind("a zstd archive", "other")),
    (b"\xfd7zXZ\0", FileKind("an xz archive", "other")),
    (b"\x93NUMPY", FileKind("a NumPy array", "other")),
    (b"\x7fELF", FileKind("a program", "other")),
)

_RIFF = {
    b"WEBP": FileKind("a WebP picture", "picture", "WEBP"),
    b"AVI ": FileKind("an AVI video", "video"),
    b"WAVE": FileKind("a WAV sound file", "other"),
}

_ISO_BRANDS = {
    b"avif": FileKind("an AVIF picture", "picture"),
    b"avis": FileKind("an AVIF picture", "picture"),
    b"heic": FileKind("a HEIC picture", "picture"),
    b"heix": FileKind("a HEIC picture", "picture"),
    b"hevc": FileKind("a HEIC picture", "picture"),
    b"mif1": FileKind("a HEIF picture", "picture"),
    b"msf1": FileKind("a HEIF picture", "picture"),
    b"qt  ": FileKind("a QuickTime video", "video"),
}

_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_SAFETENSORS_MAX_HEADER = 100_000_000


def identify_file(head: bytes) -> FileKind | None:
    """Tell what a file is from `head`, its first `SNIFF_BYTES` bytes (or all, if it is shorter).

    Returns None for an empty or unknown file. Never raises: this only helps to word an error or
    to choose a reader, which then checks for itself.
    """
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _ISO_BRANDS.get(head[8:12], FileKind("an MP4 video", "video"))
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return FileKind("a BMP picture", "picture", "BMP")
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and len(head) > 2:
        return FileKind("a PPM, PGM or PBM picture", "picture", "PPM")
    if head[:3] in (b"P7\n", b"PF\n", b"Pf\n"):
        return FileKind("a PAM or PFM picture", "picture")
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return FileKind("an MPEG transport stream", "video")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _SAFETENSORS_MAX_HEADER:
        return FileKind("a safetensors file, perhaps a model", "other")
    if _is_text(head):
        return FileKind("a text file", "other")
    return None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The sniffed bytes may end in the middle of a character.
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f" for c in text)
