"""A reader of `.kdc` files and coder streams, written from docs/bitstream.md alone.

It shares no code with the package and is slow. What follows from a model (a block's table indexes
and tables) is given to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Table = tuple[Sequence[int], int, int]
"""Frequencies, offset, shift."""
TableSet = Sequence[Table]


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def crc32c(data: bytes, before: int = 0) -> int:
    """Castagnoli's checksum, continued."""
    value = before ^ 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


@dataclass
class File:
    """What a picture's file holds."""

    width: int = 0
    height: int = 0
    components: int = 0
    bit_depth: int = 0
    quality: int = 0
    model_id: bytes = b""
    planes: int = 0
    tile: tuple[int, int] | None = None
    metadata: dict[str, bytes] = field(default_factory=dict)
    packets: list[bytes] = field(default_factory=list)


class Choices(list[int]):
    """Indexes of a block that no symbols follow."""


class Reader:
    """Bytes and bits of a section."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.bit = 0

    def take(self, count: int) -> bytes:
        self.position += count
        assert self.position <= len(self.data)
        return self.data[self.position - count : self.position]

    def integer(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.integer(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def bits(self, count: int) -> int:
        self.bit += count
        assert self.bit <= 8 * len(self.data)
        first = (self.bit - count) // 8
        window = int.from_bytes(self.data[first : (self.bit + 7) // 8], "little")
        return window >> (self.bit - count - 8 * first) & ((1 << count) - 1)


def segments_of(stream: bytes) -> list[dict[str, Any]]:
    reader = Reader(stream)
    segments = []
    more = True
    while more:
        start = reader.position
        kind = reader.integer(1)
        assert kind & 3 == 0
        lanes = [0, 1, 4, 8, 16, 32][kind >> 2 & 7]
        symbols = reader.varint()
        bits, words = (reader.varint(), 2 * reader.varint()) if lanes else (0, 0)
        escapes = reader.varint() if kind & 32 else 0
        overrides = reader.varint() if kind & 64 else 0
        index_checksum = reader.integer(4)
        header = stream[start : reader.position]
        checksum = reader.integer(4)
        sizes = (bits, words, escapes, overrides)
        segments.append((lanes, symbols, index_checksum, header, checksum, sizes))
        more = bool(kind & 128)
    parsed: list[dict[str, Any]] = []
    for number, (lanes, symbols, index_checksum, header, checksum, sizes) in enumerate(segments):
        start = reader.position
        sections = [Reader(reader.take(size)) for size in sizes]
        body = stream[start : reader.position]
        assert checksum == crc32c(number.to_bytes(2, "little") + header + body)
        parsed.append(
            {"lanes": lanes, "n": symbols, "indexes": index_checksum, "sections": sections}
        )
    assert reader.position == len(stream)
    return parsed


def decode_segment(
    segment: dict[str, Any], blocks: Sequence[list[int]], tables: Sequence[TableSet]
) -> Iterator[list[int]]:
    bits, words, escapes, overrides = segment["sections"]
    exponents = [16 + bits.bits(4) for _ in range(segment["lanes"])]
    states = [1 << exponent | bits.bits(exponent) for exponent in exponents]
    replaced = {}
    place = 0
    while overrides.position < len(overrides.data):
        place += overrides.varint()
        replaced[place] = overrides.varint()
        place += 1
    done, used = 0, []
    for block, own in zip(blocks, tables, strict=True):
        decoded = []
        choices = isinstance(block, Choices)
        for i, given in enumerate(block):
            index = replaced.get(done + i, given)
            used.append(index)
            if choices:
                decoded.append(index)
                continue
            if index == 0:
                decoded.append(0)
                continue
            frequencies, offset, shift = own[index - 1]
            lane = i % segment["lanes"]
            slot, code, start = states[lane] % 2**14, 0, 0
            while start + frequencies[code] <= slot:
                start += frequencies[code]
                code += 1
            states[lane] = frequencies[code] * (states[lane] >> 14) + slot - start
            if states[lane] < 2**16:
                states[lane] = states[lane] << 16 | words.integer(2)
            raw = bits.bits(shift)
            if code == len(frequencies) - 1:
                value = escapes.varint()
                code = -1 - value // 2 if value % 2 else code + value // 2
            decoded.append(offset + (code << shift) + raw)
        done += len(block)
        yield decoded
    assert done == segment["n"]
    assert crc32c(b"".join(index.to_bytes(2, "little") for index in used)) == segment["indexes"]
    assert states == [2**16] * segment["lanes"]
    assert all(section.position == len(section.data) for section in (words, escapes, overrides))
    assert (bits.bit + 7) // 8 == len(bits.data)
    assert bits.bits(-bits.bit % 8) == 0


def reference_decode(
    stream: bytes, blocks: Sequence[list[int]], tables: Sequence[TableSet]
) -> list[list[int]]:
    """The symbols of each block, given its table indexes (`Choices`: values) and its tables."""
    segments = segments_of(stream)
    symbols: list[list[int]] = [[] for _ in blocks]
    shares = [-(-(-(-len(block) // len(segments))) // 32) * 32 for block in blocks]
    for number, segment in enumerate(segments):
        parts = [
            type(block)(block[number * share : (number + 1) * share])
            for block, share in zip(blocks, shares, strict=True)
        ]
        for whole, part in zip(symbols, decode_segment(segment, parts, tables), strict=True):
            whole.extend(part)
    return symbols


def read_picture_file(data: bytes) -> File:
    """All of a picture's file, every checksum and count verified."""
    assert data[:5] == b"\xd7KDC\0"
    reader = Reader(data)
    reader.take(5)
    file, seed, at = File(), crc32c(data[:5]), 5
    behind = 0
    first_packet_seed: int | None = None
    while reader.position < len(data):
        kind = chr(reader.integer(1))
        payload = reader.take(reader.varint())
        framed, crc = data[at : reader.position], reader.integer(4)
        at = reader.position
        if kind == "H":
            assert crc == crc32c(framed, seed)
            seed = crc
            _read_head(file, payload)
        elif kind == "P":
            if first_packet_seed is None:
                first_packet_seed = seed
            assert crc == crc32c(framed, first_packet_seed ^ len(file.packets))
            file.packets.append(payload)
        elif kind == "E":
            assert first_packet_seed is not None
            count = len(file.packets)
            assert crc == crc32c(framed, crc32c(count.to_bytes(4, "little"), first_packet_seed))
            end = Reader(payload)
            assert (end.varint(), end.varint()) == (count, behind)
            assert reader.position == len(data)
        else:
            assert first_packet_seed is None and crc == crc32c(framed, seed)
            seed = crc
            file.metadata[kind] = payload
    columns = rows = 1
    if file.tile:
        columns, rows = -(-file.width // file.tile[0]), -(-file.height // file.tile[1])
    assert len(file.packets) == file.planes * columns * rows
    return file


def _read_head(file: File, payload: bytes) -> None:
    head = Reader(payload)
    first = head.integer(1)
    assert first >> 4 == 0 and first & 3 == 1
    file.width, file.height = head.varint(), head.varint()
    samples = head.integer(1)
    file.components, file.bit_depth = samples >> 4, (samples & 15) + 1
    assert head.integer(1) == 0
    file.quality = head.integer(1)
    file.model_id = head.take(8)
    file.planes = head.integer(1)
    if first >> 2 & 1:
        file.tile = head.varint(), head.varint()
    assert head.position == len(payload)
