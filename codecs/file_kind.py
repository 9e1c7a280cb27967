"""What a file is, told from its first bytes, so that an error can say it."""

from typing import Literal, NamedTuple

SNIFF_BYTES = 512
"""How many bytes of a file's beginning `identify_file` looks at."""


class FileKind(NamedTuple):
    """A recognised kind of file."""

    title: str
    """A name with its article, to follow "it looks like": "a PNG picture"."""
    family: Literal["picture", "video", "packed", "other"]
    """What it holds; "packed": something compressed, perhaps a picture."""
    pillow_format: str | None = None
    """Pillow's name of the format where kodec reads it, else None."""


_PREFIXES: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture", "picture", "PNG")),
    (b"\xff\xd8\xff\xf7", FileKind("a JPEG-LS picture", "picture")),
    (b"\xff\xd8\xff", FileKind("a JPEG picture", "picture", "JPEG")),
    (b"II*\0\x10\0\0\0CR", FileKind("a camera's raw file (CR2)", "picture")),
    (b"II*\0", FileKind("a TIFF picture", "picture", "TIFF")),
    (b"MM\0*", FileKind("a TIFF picture", "picture", "TIFF")),
    (b"II+\0", FileKind("a BigTIFF picture", "picture", "TIFF")),
    (b"MM\0+", FileKind("a BigTIFF picture", "picture", "TIFF")),
    (b"IIRO", FileKind("a camera's raw file (ORF)", "picture")),
    (b"IIRS", FileKind("a camera's raw file (ORF)", "picture")),
    (b"MMOR", FileKind("a camera's raw file (ORF)", "picture")),
    (b"IIU\0", FileKind("a camera's raw file (RW2)", "picture")),
    (b"II\x1a\0\0\0HEAPCCDR", FileKind("a camera's raw file (CRW)", "picture")),
    (b"FUJIFILMCCD-RAW", FileKind("a camera's raw file (RAF)", "picture")),
    (b"FOVb", FileKind("a camera's raw file (X3F)", "picture")),
    (b"\0MRM", FileKind("a camera's raw file (MRW)", "picture")),
    (b"II\xbc", FileKind("a JPEG XR picture", "picture")),
    (b"GIF87a", FileKind("a GIF picture", "picture")),
    (b"GIF89a", FileKind("a GIF picture", "picture")),
    (b"\xff\x0a", FileKind("a JPEG XL picture", "picture", "JXL")),
    (b"\0\0\0\x0cJXL ", FileKind("a JPEG XL picture", "picture", "JXL")),
    (b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 picture", "picture")),
    (b"\xff\x4f\xff\x51", FileKind("a JPEG 2000 codestream", "picture")),
    (b"8BPS", FileKind("a Photoshop picture", "picture")),
    (b"gimp xcf", FileKind("a GIMP picture", "picture")),
    (b"v/1\x01", FileKind("an OpenEXR picture", "picture")),
    (b"#?RADIANCE", FileKind("a Radiance HDR picture", "picture")),
    (b"#?RGBE", FileKind("a Radiance HDR picture", "picture")),
    (b"BPG\xfb", FileKind("a BPG picture", "picture")),
    (b"FLIF", FileKind("a FLIF picture", "picture")),
    (b"qoif", FileKind("a QOI picture", "picture")),
    (b"farbfeld", FileKind("a farbfeld picture", "picture")),
    (b"DDS ", FileKind("a DirectDraw (DDS) picture", "picture")),
    (b"\xabKTX ", FileKind("a KTX texture", "picture")),
    (b"SDPX", FileKind("a DPX picture", "picture")),
    (b"XPDS", FileKind("a DPX picture", "picture")),
    (b"\x80\x2a\x5f\xd7", FileKind("a Cineon picture", "picture")),
    (b"SIMPLE  =", FileKind("a FITS picture", "picture")),
    (b"\x01\xda", FileKind("an SGI picture", "picture")),
    (b"\x59\xa6\x6a\x95", FileKind("a Sun raster picture", "picture")),
    (b"\x0a\x05\x01", FileKind("a PCX picture", "picture")),
    (b"\x8aMNG", FileKind("an MNG animation", "picture")),
    (b"\x8bJNG", FileKind("a JNG picture", "picture")),
    (b"AT&TFORM", FileKind("a DjVu document", "picture")),
    (b"\0\0\x01\0", FileKind("a Windows icon", "picture")),
    (b"\0\0\x02\0", FileKind("a Windows cursor", "picture")),
    (b"icns", FileKind("an Apple icon", "picture")),
    (b"/* XPM", FileKind("an XPM picture", "picture")),
    (b"%PDF-", FileKind("a PDF document", "picture")),
    (b"%!PS", FileKind("a PostScript document", "picture")),
    (b"\xc5\xd0\xd3\xc6", FileKind("a PostScript document", "picture")),
    (b"\x1aE\xdf\xa3", FileKind("a Matroska or WebM video", "video")),
    (b"YUV4MPEG2 ", FileKind("a Y4M video", "video")),
    (b"OggS", FileKind("an Ogg video or sound file", "video")),
    (b"FLV\x01", FileKind("a Flash video", "video")),
    (b"\0\0\x01\xba", FileKind("an MPEG video", "video")),
    (b"\0\0\x01\xb3", FileKind("an MPEG video", "video")),
    (b"\0\0\0\x01", FileKind("a raw H.264, H.265 or H.266 video", "video")),
    (b"DKIF", FileKind("an IVF video", "video")),
    (b"PK\x03\x04", FileKind("a zip archive, perhaps a PyTorch checkpoint", "packed")),
    (b"\x1f\x8b", FileKind("a gzip archive", "packed")),
    (b"\x28\xb5\x2f\xfd", FileKind("a zstd archive", "packed")),
    (b"\xfd7zXZ\0", FileKind("an xz archive", "packed")),
    (b"BZh", FileKind("a bzip2 archive", "packed")),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7-zip archive", "packed")),
    (b"Rar!\x1a\x07", FileKind("a RAR archive", "packed")),
    (b"\x04\x22\x4d\x18", FileKind("an LZ4 archive", "packed")),
    (b"\x93NUMPY", FileKind("a NumPy array", "other")),
    (b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file", "other")),
    (b"\0\x05\x16\x07", FileKind("macOS's notes on another file (AppleDouble)", "other")),
    (b"version https://git-lfs", FileKind("a Git LFS pointer: fetch the file itself", "other")),
    (b"\x7fELF", FileKind("a program", "other")),
)

_RIFF = {
    b"WEBP": FileKind("a WebP picture", "picture", "WEBP"),
    b"AVI ": FileKind("an AVI video", "video"),
    b"WAVE": FileKind("a WAV sound file", "other"),
}

_HEIC, _HEIF = FileKind("a HEIC picture", "picture", "HEIF"), FileKind("a HEIF picture", "picture")
_AVIF = FileKind("an AVIF picture", "picture", "AVIF")
_ISO_BRANDS = {
    b"avif": _AVIF,
    b"avis": _AVIF,
    b"heic": _HEIC,
    b"heix": _HEIC,
    b"heim": _HEIC,
    b"heis": _HEIC,
    b"hevc": _HEIC,
    b"hevx": _HEIC,
    b"mif1": _HEIF,
    b"mif2": _HEIF,
    b"msf1": _HEIF,
    b"crx ": FileKind("a camera's raw file (CR3)", "picture"),
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
        return _iso_kind(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return FileKind("a BMP picture", "picture", "BMP")
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and len(head) > 2:
        return FileKind("a PPM, PGM or PBM picture", "picture", "PPM")
    if head[:3] == b"P7\n":
        return FileKind("a PAM picture", "picture", "PAM")
    if head[:3] in (b"PF\n", b"Pf\n", b"PF ", b"Pf "):
        return FileKind("a PFM picture", "picture")
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return FileKind("an MPEG transport stream", "video")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _SAFETENSORS_MAX_HEADER:
        return FileKind("a safetensors file, perhaps a model", "other")
    if head[128:132] == b"DICM":
        return FileKind("a DICOM picture", "picture")
    if head[257:262] == b"ustar":
        return FileKind("a tar archive", "packed")
    return _text_kind(head)


def _iso_kind(head: bytes) -> FileKind:
    """Of the ISO base media file format: the first brand that tells, the major one before others.

    "mif1" stands for any coding of pictures, so that another brand tells more.
    """
    end = min(int.from_bytes(head[:4]), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    known = [_ISO_BRANDS[brand] for brand in brands if brand in _ISO_BRANDS]
    telling = [kind for kind in known if kind is not _HEIF]
    if brands[0] in _ISO_BRANDS and known[0] is not _HEIF:
        return known[0]
    if brands[0] in _ISO_BRANDS:
        return (telling or known)[0]
    pictures = [kind for kind in known if kind.family == "picture"]
    return pictures[0] if pictures else FileKind("an MP4 video", "video")


def _text_kind(head: bytes) -> FileKind | None:
    """What a text is, None where it is none."""
    if not _is_text(head):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return FileKind("an SVG drawing", "picture")
    if start.startswith((b"<!doctype html", b"<html")):
        return FileKind("a web page", "other")
    return FileKind("a text file", "other")


def _is_text(head: bytes) -> bool:
    head = head.removeprefix(b"\xef\xbb\xbf")
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The sniffed bytes may end in the middle of a character.
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f" for c in text)
