"""What a TIFF's head says of its samples, where Pillow converts them or takes them for damage."""

from collections.abc import Sequence
from typing import IO

from PIL import TiffImagePlugin

from .stored import Stored

_TIFF_COMPRESSIONS = {
    2: "CCITT RLE",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    6: "JPEG (the obsolete form)",
    7: "JPEG",
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34713: "Nikon NEF",
    34715: "JBIG2",
    34887: "LERC",
    34892: "lossy DNG",
    34925: "LZMA",
    34926: "zstd",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    48124: "Jetraw",
    50000: "zstd",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    65000: "Kodak DCR",
}
_TIFF_PLAIN_COMPRESSIONS = (1, 5, 7, 8, 32773, 32946)
_TIFF_COLOURS = {
    3: "has a palette",
    4: "is a transparency mask",
    5: "is in CMYK",
    8: "is in CIE Lab",
    9: "is in ICC Lab",
    10: "is in ITU Lab",
    32803: "is a camera's raw file",
    32844: "is in LogL",
    32845: "is in LogLuv",
    34892: "is a camera's raw file",
    51177: "is a depth map",
}
_WIDE_TIFF_COLOURS = (3, 5)
# Gray, palette and CMYK; others have 3.
_TIFF_SAMPLES = {0: 1, 1: 1, 3: 1, 5: 4}
# Gray with alpha, and CMYK; by photometric interpretation and extra samples.
_DEEP_TIFF_NOT_READ = ((0, (2,)), (1, (2,)), (5, ()), (5, (2,)))
_TIFF_FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}


def look_at_tiff(file: IO[bytes]) -> Stored:
    """What a TIFF's first directory says; raises what Pillow raises on damage."""
    head = file.read(8)
    if head[2:4] in (b"+\0", b"\0+"):
        head += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)
    if 256 not in tags or 257 not in tags:
        return Stored()
    # DNG and its like begin with a thumbnail, which is no picture to code.
    if 50706 in tags or 50740 in tags or _number(tags, 254, 0) & 1:
        return Stored("is a camera's raw file, or begins with a smaller copy of its picture")
    colours = _number(tags, 262, 0)
    formats = {_TIFF_FORMATS.get(value) for value in _numbers(tags, 339, (1,))} - {None}
    depths = set(_numbers(tags, 258, (1,)))
    samples, extra = _number(tags, 277, 1), _numbers(tags, 338, ())
    compression = _number(tags, 259, 1)
    trouble = None
    if colours in (32803, 34892, 32844, 32845):
        trouble = _TIFF_COLOURS[colours]
    elif formats:
        trouble = f"has {' and '.join(map(str, formats))} samples"
    elif len(depths) != 1 or not depths <= {1, 2, 4, 8, 16}:
        trouble = f"has {' and '.join(map(str, sorted(depths)))} bits a sample"
    elif 1 in extra:
        trouble = "has transparency in premultiplied form (associated alpha)"
    elif colours in _TIFF_COLOURS and colours not in _WIDE_TIFF_COLOURS:
        trouble = _TIFF_COLOURS[colours]
    elif colours == 5 and extra:
        trouble = "is in CMYK with another sample beside it"
    elif samples != _TIFF_SAMPLES.get(colours, 3) + (extra == (2,)):
        trouble = f"has {samples} samples a pixel"
    elif colours == 6 and compression not in (6, 7):
        trouble = "is in YCbCr"
    elif depths == {16} and (colours, extra) in _DEEP_TIFF_NOT_READ:
        trouble = f"has {samples} samples a pixel, of 16 bits each"
    elif depths == {16} and _number(tags, 284, 1) == 2 and samples > 1:
        trouble = "has 16 bits a sample, in a plane for each colour"
    elif colours == 3 and not _palette_of_bytes(_numbers(tags, 320, ())):
        trouble = "has a palette of 16-bit colours"
    if trouble is not None:
        return Stored(trouble)
    bits, wide = max(depths), None
    if bits != 8:
        wide = "is black and white (1 bit a pixel)" if bits == 1 else f"has {bits} bits a sample"
    elif extra:
        wide = "has transparency (an alpha sample a pixel)"
    elif colours in _TIFF_COLOURS:
        wide = _TIFF_COLOURS[colours]
    name = _TIFF_COMPRESSIONS.get(compression, f"number {compression}")
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return Stored(f"is a TIFF with {name} compression, which is not read")
    plain = compression in _TIFF_PLAIN_COMPRESSIONS
    return Stored(None, None if plain else f"is a TIFF with {name} compression", wide, bits)


def _numbers(
    tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int, default: tuple[int, ...]
) -> tuple[int, ...]:
    """The integers of a tag; raises ValueError where they are something else."""
    found = tags.get(tag, default)
    values = found if isinstance(found, tuple) else (found,)
    if not all(isinstance(value, int) for value in values):
        raise ValueError("a tag has values of another type")
    return values


def _number(tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int, default: int) -> int:
    return _numbers(tags, tag, (default,))[0]


def _palette_of_bytes(palette: Sequence[int]) -> bool:
    """Whether a palette of 16-bit values holds 8-bit colours."""
    return all(value % 257 == 0 for value in palette) or all(v % 256 == 0 for v in palette)
