"""Colours that a picture file describes beside its ICC profile, and that kodec does not carry."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

from PIL import Image, TiffImagePlugin

# White, red, green and blue of sRGB, x and y each (IEC 61966-2-1).
_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_CLOSE = 0.003
_SRGB_GAMMA = (0.43, 0.48)
# Rec. ITU-T H.273: primaries, transfer, matrix (none) and full range of sRGB.
_SRGB_CODES = (1, 13, 0, 1)
_PRIMARIES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFERS = {1: "BT.709", 8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
_CHUNKS = (b"cICP", b"iCCP", b"mDCV", b"cLLI", b"sBIT", b"sRGB", b"gAMA", b"cHRM")
_MOST_OF_A_CHUNK = 64

_TIFF_TRANSFER, _TIFF_WHITE, _TIFF_PRIMARIES = 301, 318, 319
_ICC_TEXTS = ("Raw profile type icc", "Raw profile type icm")


def colour_remarks(image: Image.Image, file: IO[bytes]) -> list[str]:
    """What `image`, opened from `file`, says of its colours and loses, each to follow "its ".

    Empty for what is sRGB or has an ICC profile that tells all of it. Leaves the file's position
    as it was. Raises nothing on damage.
    """
    position = file.tell()
    profile = bool(image.info.get("icc_profile"))
    try:
        if image.format == "PNG":
            return _of_png(file, image, profile)
        if image.format == "JPEG":
            damaged = "icc_profile" in image.info and not profile
            return ["damaged ICC profile"] if damaged else []
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            return [] if profile else _of_tiff(image)
        if image.format == "BMP":
            return _of_bmp(file)
        return []
    except (IndexError, KeyError, OSError, TypeError, ValueError, struct.error, zlib.error):
        return []
    finally:
        file.seek(position)


def _of_png(file: IO[bytes], image: Image.Image, profile: bool) -> list[str]:
    chunks = dict(_png_chunks(file))
    remarks = []
    codes = tuple(chunks.get(b"cICP", bytes(_SRGB_CODES))[:4])
    standard = b"cICP" in chunks or b"sRGB" in chunks
    if codes != _SRGB_CODES:
        names = [
            _PRIMARIES.get(codes[0], f"primaries {codes[0]}"),
            _TRANSFERS.get(codes[1], f"transfer {codes[1]}"),
        ]
        names += ["narrow range"] if codes[3] == 0 else []
        remarks.append(f"PNG colour space (cICP: {', '.join(names)})")
    if b"iCCP" in chunks and not profile:
        remarks.append("damaged ICC profile")
    if not profile and not standard:
        gamma = image.info.get("gamma")
        if gamma and not _SRGB_GAMMA[0] < gamma < _SRGB_GAMMA[1]:
            remarks.append(f"PNG gamma of {gamma:.4g}")
        if b"cHRM" in chunks:
            values = [value / 100000 for value in struct.unpack(">8I", chunks[b"cHRM"][:32])]
            if not _is_srgb(values):
                remarks.append(f"PNG primaries (cHRM: {_in_words(values)})")
        if any(key in image.info for key in _ICC_TEXTS):
            remarks.append("ICC profile in a text chunk")
    if b"mDCV" in chunks:
        remarks.append("mastering display's colours (mDCV)")
    if b"cLLI" in chunks:
        remarks.append("light levels (cLLI)")
    if any(bits < 8 for bits in chunks.get(b"sBIT", b"")):
        remarks.append(f"significant bits (sBIT: {', '.join(map(str, chunks[b'sBIT']))})")
    return remarks


def _png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The chunks on colours, up to the pixels: name and first bytes."""
    position = 8
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return
        length = int.from_bytes(head[:4])
        if head[4:] in _CHUNKS:
            yield head[4:], file.read(min(length, _MOST_OF_A_CHUNK))
        position += 12 + length


def _of_tiff(image: TiffImagePlugin.TiffImageFile) -> list[str]:
    tags = image.tag_v2
    remarks = []
    white = tags.get(_TIFF_WHITE, _SRGB[:2])
    primaries = tags.get(_TIFF_PRIMARIES, _SRGB[2:])
    values = [float(value) for value in (*white, *primaries)]
    if not _is_srgb(values):
        remarks.append(f"TIFF primaries ({_in_words(values)})")
    if _TIFF_TRANSFER in tags:
        remarks.append("TIFF transfer function")
    return remarks


def _of_bmp(file: IO[bytes]) -> list[str]:
    file.seek(14)
    header = file.read(124)
    size = int.from_bytes(header[:4], "little")
    if size < 108:
        return []
    space = header[56:60][::-1]
    if space in (b"MBED", b"LINK"):
        return ["BMP colour profile"]
    if space != bytes(4):
        return []
    # CIEXYZTRIPLE in 2.30 fixed point; gammas in 16.16.
    points = struct.unpack("<9i", header[60:96])
    gammas = [value / 65536 for value in struct.unpack("<3I", header[96:108])]
    remarks = []
    sums = [sum(points[at : at + 3]) for at in (0, 3, 6)]
    if all(sums):
        values = [points[3 * n + k] / sums[n] for n in range(3) for k in range(2)]
        if not _is_srgb([*_SRGB[:2], *values]):
            remarks.append(f"BMP primaries ({_in_words([*_SRGB[:2], *values])})")
    if all(gammas) and not all(_SRGB_GAMMA[0] < 1 / gamma < _SRGB_GAMMA[1] for gamma in gammas):
        remarks.append(f"BMP gamma of {gammas[0]:.4g}")
    return remarks


def _is_srgb(values: Sequence[float]) -> bool:
    pairs = zip(values, _SRGB, strict=True)
    return all(abs(value - expected) < _CLOSE for value, expected in pairs)


def _in_words(values: Sequence[float]) -> str:
    names = ("white", "red", "green", "blue")
    return ", ".join(
        f"{name} {values[2 * n]:.4g} {values[2 * n + 1]:.4g}" for n, name in enumerate(names)
    )
