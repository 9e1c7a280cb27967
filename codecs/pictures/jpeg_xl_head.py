"""What a JPEG XL file (ISO/IEC 18181) says beside its samples, which its library does not tell."""

from dataclasses import dataclass
from typing import IO

from .picture_boxes import boxes_of

_CODESTREAM = b"\xff\x0a"
_HEAD_BYTES = 64
_MOST_OF_XMP = 1 << 26
# Bits of a side in pixels, and of a preview's, by a selector of two bits, with what is added.
_SIDE = ((9, 1), (13, 1), (18, 1), (30, 1))
_PREVIEW = ((6, 1), (8, 65), (10, 321), (12, 1345))
_PREVIEW_BY_8 = ((0, 16), (0, 32), (5, 1), (9, 33))
# Of samples.
_SAMPLE_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_BITS = ((0, 32), (0, 16), (0, 24), (6, 1))


@dataclass
class JpegXlHead:
    """Of a file's boxes and its codestream's head."""

    animated: bool = False
    """Whether it has frames that follow one another."""
    gain_map: bool = False
    xmp: bytes | None = None
    packed_xmp: bool = False
    """Whether it has XMP under Brotli, which is not read."""
    bits: int = 8
    """Of a sample; of an animation 8, as they are not looked for."""
    floats: bool = False


def jpeg_xl_head(file: IO[bytes]) -> JpegXlHead:
    """Read the head of a file. What is damaged says nothing; leaves the position anywhere."""
    found = JpegXlHead()
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head.startswith(_CODESTREAM):
        head = b""
        for kind, length in boxes_of(file):
            if kind == b"xml ":
                found.xmp = file.read(min(length, _MOST_OF_XMP)) or None
            elif kind == b"brob":
                found.packed_xmp |= file.read(4) == b"xml "
            elif kind == b"jhgm":
                found.gain_map = True
            elif kind in (b"jxlc", b"jxlp") and not head:
                number = 4 * (kind == b"jxlp")
                head = file.read(min(length, number + _HEAD_BYTES))[number:]
    if head.startswith(_CODESTREAM):
        _read_metadata(_Bits(head[2:]), found)
    return found


class _Bits:
    """Numbers from bits, the lowest of each byte first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def read(self, count: int) -> int:
        value = self._left & (1 << count) - 1
        self._left >>= count
        return value

    def choose(self, options: tuple[tuple[int, int], ...]) -> int:
        """A number of one of four lengths."""
        bits, least = options[self.read(2)]
        return self.read(bits) + least


def _pass_size(
    bits: _Bits,
    by_8: tuple[tuple[int, int], ...] | None = None,
    sides: tuple[tuple[int, int], ...] = _SIDE,
) -> None:
    small = bits.read(1)

    def side() -> None:
        if small and by_8 is None:
            bits.read(5)
        else:
            bits.choose(by_8 if small and by_8 is not None else sides)

    side()
    # The ratio of width to height; without one a width follows.
    if bits.read(3) == 0:
        side()


def _read_metadata(bits: _Bits, found: JpegXlHead) -> None:
    """By the head of the picture and that of its metadata."""
    _pass_size(bits)
    if bits.read(1):
        return
    if bits.read(1):
        bits.read(3)
        if bits.read(1):
            _pass_size(bits)
        if bits.read(1):
            _pass_size(bits, _PREVIEW_BY_8, _PREVIEW)
        found.animated = bool(bits.read(1))
        if found.animated:
            return
    found.floats = bool(bits.read(1))
    found.bits = bits.choose(_FLOAT_BITS if found.floats else _SAMPLE_BITS)
