"""Colours that a picture file describes beside its ICC profile: what is carried, what is lost."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from PIL import Image, TiffImagePlugin

from kodec.native import BitstreamError, InvalidInputError

from .picture_boxes import properties_of
from .png_chunks import chunks_of

# White, red, green and blue of sRGB, x and y each (IEC 61966-2-1).
_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_CLOSE = 0.003
_SRGB_GAMMA = (0.43, 0.48)
# Rec. ITU-T H.273: primaries, transfer, matrix (none) and full range of sRGB.
_SRGB_CODES = (1, 13, 0, 1)
# Shown as sRGB by everyone.
_BT709_CODES = (1, 1, 0, 1)
_PRIMARIES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFERS = {1: "BT.709", 8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
_CHUNKS = (b"cICP", b"iCCP", b"mDCV", b"cLLI", b"sBIT", b"sRGB", b"gAMA", b"cHRM")
_MOST_OF_A_CHUNK = 64

_TIFF_TRANSFER, _TIFF_WHITE, _TIFF_PRIMARIES = 301, 318, 319
_ICC_TEXTS = ("Raw profile type icc", "Raw profile type icm")


@dataclass
class Colour:
    """What a file says of its colours and is not plain sRGB or its ICC profile."""

    kept: dict[str, bytes] = field(default_factory=dict)
    """As `Picture.colour`."""
    kept_in_words: list[str] = field(default_factory=list)
    """The same, each to follow "its "."""
    lost: list[str] = field(default_factory=list)
    """What no `Picture` carries, in such words."""

    def keep(self, name: bytes, data: bytes, words: str) -> None:
        """Carry a PNG chunk."""
        self.kept[name.decode("ascii")] = data
        self.kept_in_words.append(words)


def colour_of(image: Image.Image, file: IO[bytes]) -> Colour:
    """What `image`, opened from `file`, says of its colours.

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
            return Colour(lost=["damaged ICC profile"] if damaged else [])
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            return Colour(lost=[] if profile else _of_tiff(image))
        if image.format == "BMP":
            return Colour(lost=_of_bmp(file))
        if image.format in ("AVIF", "HEIF"):
            return _of_boxes(file, profile)
        return Colour()
    except (IndexError, KeyError, OSError, TypeError, ValueError, struct.error, zlib.error):
        return Colour()
    finally:
        file.seek(position)


def _of_png(file: IO[bytes], image: Image.Image, profile: bool) -> Colour:
    chunks = dict(_png_chunks(file))
    found = Colour()
    codes = tuple(chunks.get(b"cICP", bytes(_SRGB_CODES))[:4])
    standard = b"cICP" in chunks or b"sRGB" in chunks
    if codes != _SRGB_CODES:
        found.keep(b"cICP", bytes(codes), f"PNG colour space (cICP: {_codes_in_words(codes)})")
    if b"iCCP" in chunks and not profile:
        found.lost.append("damaged ICC profile")
    if not profile and not standard:
        gamma = image.info.get("gamma")
        if gamma and not _SRGB_GAMMA[0] < gamma < _SRGB_GAMMA[1]:
            found.keep(b"gAMA", chunks[b"gAMA"][:4], f"PNG gamma of {gamma:.4g}")
        if b"cHRM" in chunks:
            values = [value / 100000 for value in struct.unpack(">8I", chunks[b"cHRM"][:32])]
            if not _is_srgb(values):
                words = f"PNG primaries (cHRM: {_in_words(values)})"
                found.keep(b"cHRM", chunks[b"cHRM"][:32], words)
        if any(key in image.info for key in _ICC_TEXTS):
            found.lost.append("ICC profile in a text chunk")
    for name, length, words in (
        (b"mDCV", 24, "mastering display's colours (mDCV)"),
        (b"cLLI", 8, "light levels (cLLI)"),
    ):
        if name in chunks and len(chunks[name]) == length:
            found.keep(name, chunks[name], words)
    if any(bits < 8 for bits in chunks.get(b"sBIT", b"")):
        bits = ", ".join(map(str, chunks[b"sBIT"]))
        found.lost.append(f"significant bits (sBIT: {bits})")
    return found


def _of_boxes(file: IO[bytes], profile: bool) -> Colour:
    """Of AVIF and HEIC: code points, which beside a profile are of the coding alone."""
    found, codes = Colour(), properties_of(file).cicp
    if codes is None or profile:
        return found
    # What is decoded is RGB in the whole range, whatever was coded.
    told = (codes[0], codes[1], 0, 1)
    unspecified = 2 in told[:2]
    if not unspecified and told not in (_SRGB_CODES, _BT709_CODES):
        found.keep(b"cICP", bytes(told), f"colour space (nclx: {_codes_in_words(told)})")
    return found


def _codes_in_words(codes: Sequence[int]) -> str:
    names = [
        _PRIMARIES.get(codes[0], f"primaries {codes[0]}"),
        _TRANSFERS.get(codes[1], f"transfer {codes[1]}"),
    ]
    return ", ".join(names + (["narrow range"] if codes[3] == 0 else []))


_CARRIED = {"cICP": 4, "cHRM": 32, "gAMA": 4, "mDCV": 24, "cLLI": 8}
"""Chunks that a `Picture` carries, in the order they are written in, and how long they are."""


def pack_colour(colour: Mapping[str, bytes]) -> bytes:
    """The payload of a `.kdc` file's colour chunk. Raises InvalidInputError for other chunks."""
    wrong = [name for name, data in colour.items() if _CARRIED.get(name) != len(data)]
    if wrong:
        raise InvalidInputError(
            f"a picture's colours are told by {', '.join(_CARRIED)} as PNG has them, not by "
            f"{wrong[0]} of {len(colour[wrong[0]])} bytes"
        )
    return b"".join(name.encode() + colour[name] for name in _CARRIED if name in colour)


def unpack_colour(data: bytes) -> dict[str, bytes]:
    """The opposite; raises BitstreamError for what no encoder writes."""
    colour: dict[str, bytes] = {}
    at, order = 0, list(_CARRIED)
    while at < len(data):
        name = data[at : at + 4].decode("latin-1")
        if name not in order:
            raise BitstreamError("the file's description of colours is damaged")
        order = order[order.index(name) + 1 :]
        length = _CARRIED[name]
        colour[name] = data[at + 4 : at + 4 + length]
        if len(colour[name]) < length:
            raise BitstreamError("the file's description of colours is damaged")
        at += 4 + length
    return colour


def _png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The chunks on colours, up to the pixels: name and first bytes."""
    for kind, length in chunks_of(file):
        if kind == b"IDAT":
            return
        if kind in _CHUNKS:
            yield kind, file.read(min(length, _MOST_OF_A_CHUNK))


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
