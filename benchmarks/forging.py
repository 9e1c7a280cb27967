"""`.kdc` files taken apart and put together with right checksums, by docs/bitstream.md alone."""

from collections.abc import Iterable

from kodec.codecs.container.varint import read_varint, write_varint
from kodec.native import crc32c

PREAMBLE_BYTES = 5
CRC_BYTES = 4

Chunk = tuple[int, bytes]
"""A chunk's type and payload."""


def split(data: bytes) -> list[Chunk]:
    """The chunks of a sound file."""
    chunks, position = [], PREAMBLE_BYTES
    while position < len(data):
        kind = data[position]
        length, position = read_varint(data, position + 1)
        chunks.append((kind, data[position : position + length]))
        position += length + CRC_BYTES
    return chunks


def frames(data: bytes) -> list[bytes]:
    """The preamble and each chunk of a sound file as its bytes."""
    out, position = [data[:PREAMBLE_BYTES]], PREAMBLE_BYTES
    for _, payload in split(data):
        size = 1 + len(write_varint(len(payload))) + len(payload) + CRC_BYTES
        out.append(data[position : position + size])
        position += size
    return out


def seal(preamble: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A file of these chunks with right checksums."""
    out, seed, chain, packets, sequence = preamble, None, 0, 0, False
    for kind, payload in chunks:
        chunk = bytes([kind]) + write_varint(len(payload)) + payload
        if seed is None:
            seed = chain = crc = crc32c(preamble + chunk)
            sequence = bool(payload) and payload[0] >> 4 == 1
        elif kind == ord("P"):
            if sequence and payload and payload[0] & 1:
                chain = numbered(packets, seed)
                crc = crc32c(chunk, seed ^ packets)
            else:
                crc = crc32c(chunk, chain ^ packets)
            packets += 1
        elif packets or kind == ord("E"):
            crc = crc32c(chunk, numbered(packets, seed))
        else:
            seed = chain = crc = crc32c(chunk, seed)
        out += chunk + crc.to_bytes(CRC_BYTES, "little")
    return out


def numbered(packet: int, seed: int) -> int:
    """The checksum of a packet's number, continued from `seed`."""
    return crc32c(packet.to_bytes(4, "little"), seed)
