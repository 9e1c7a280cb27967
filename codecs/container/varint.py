"""Unsigned integers in as few bytes as they need (LEB128, canonical)."""

from kodec.native import BitstreamError, InvalidInputError

MAX_VARINT = (1 << 35) - 1
"""Largest value a varint carries: five bytes of seven bits."""

_MAX_BYTES = 5


def write_varint(value: int) -> bytes:
    """Return `value` (0..`MAX_VARINT`) as 1 to 5 bytes: seven bits a byte, low bits first, the
    high bit set on every byte but the last.

    Raises InvalidInputError if the value is out of range.
    """
    if not 0 <= value <= MAX_VARINT:
        raise InvalidInputError(f"a varint carries 0 to {MAX_VARINT}, not {value}")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Read one varint of `data` at `position`; return its value and the position after it.

    Raises BitstreamError if the data end within it, if it takes more than five bytes, or if it is
    longer than its value needs (each value has one spelling only).
    """
    value = 0
    for index in range(_MAX_BYTES):
        if position + index >= len(data):
            raise BitstreamError("the data end in the middle of a number; the file is truncated")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise BitstreamError("a number is spelt with more bytes than it needs: damaged")
            return value, position + index + 1
    raise BitstreamError(f"a number takes more than {_MAX_BYTES} bytes: damaged")
