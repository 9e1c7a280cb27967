"""The `.kdc` container, format version 0. docs/bitstream.md gives its layout byte by byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError, crc32c

from .file_kind import SNIFF_BYTES, identify_file
from .picture_header import MAX_PIXELS, PictureHeader, read_head, write_head
from .varint import read_varint, write_varint

MAGIC = b"\xd7KDC"
"""The first four bytes of every kodec file; the first is outside ASCII, so that a text tool that
mangles the file is noticed."""
FORMAT_VERSION = 0
MAX_METADATA_BYTES = 1 << 24
"""Largest ICC profile or EXIF block in bytes."""

_CRC_BYTES = 4
_MAX_HEAD_BYTES = 255

# A chunk's type is an ASCII letter; the case says what a reader must do when it does not know it.
_HEAD = ord("H")
_PACKET = ord("P")
_METADATA_TYPES = {"icc": ord("c"), "exif": ord("e")}
_METADATA_NAMES = {code: name for name, code in _METADATA_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Container:
    """The contents of a `.kdc` file, every checksum verified."""

    header: PictureHeader
    packets: tuple[bytes, ...]
    """The coded data, at least one packet, in the order written."""
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    """"icc" and "exif" where the file has them, byte for byte."""


def write_container(
    header: PictureHeader, packets: Sequence[bytes], metadata: Mapping[str, bytes] | None = None
) -> bytes:
    """Return the `.kdc` file of a picture: 35 bytes more than its packet where one packet of
    128 to 16,383 bytes codes a picture with sides in that range.

    `metadata` may hold "icc" and "exif". Raises InvalidInputError if there is no packet or more
    than `MAX_PACKETS`, or if metadata have another name or exceed `MAX_METADATA_BYTES`.
    """
    preamble = MAGIC + bytes([FORMAT_VERSION])
    head = write_head(header, len(packets))
    chunk = bytes([_HEAD]) + write_varint(len(head)) + head
    seed = crc32c(preamble + chunk)
    parts = [preamble, chunk, seed.to_bytes(_CRC_BYTES, "little")]
    for name, data in sorted((metadata or {}).items()):
        if name not in _METADATA_TYPES:
            raise InvalidInputError(
                f"metadata are {' and '.join(_METADATA_TYPES)}; the container has no {name!r}"
            )
        if len(data) > MAX_METADATA_BYTES:
            raise InvalidInputError(
                f"the {name} metadata take {len(data)} bytes, above the limit of "
                f"{MAX_METADATA_BYTES}; remove them from the input"
            )
        parts += _chunk(_METADATA_TYPES[name], data, seed)
        seed = int.from_bytes(parts[-1], "little")
    for index, packet in enumerate(packets):
        parts += _chunk(_PACKET, packet, seed ^ index)
    return b"".join(parts)


def read_container(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Read a `.kdc` file held in memory and verify all of it.

    Nothing is allocated beyond copies of parts of `data`. A caller about to allocate
    width x height pixels is protected by `max_pixels`.

    Raises BitstreamError if the data are no `.kdc` file, are damaged or truncated or go on after
    the last packet, and UnsupportedError, naming what is missing, if they are sound but need a
    later version of kodec or exceed `max_pixels`.
    """
    _check_preamble(data)
    preamble_bytes = len(MAGIC) + 1
    kind, payload, position, seed = _read_chunk(data, preamble_bytes, None, 0)
    if kind != _HEAD:
        raise BitstreamError("the file does not begin with its head; it is damaged")
    header, count = read_head(payload, max_pixels)

    metadata: dict[str, bytes] = {}
    packets: list[bytes] = []
    while len(packets) < count:
        if position == len(data):
            raise BitstreamError(
                f"the file is truncated: it ends after {len(packets)} of {count} packets"
            )
        kind, payload, position, crc = _read_chunk(data, position, seed, len(packets))
        if kind == _PACKET:
            packets.append(payload)
            continue
        seed = crc
        if packets:
            raise BitstreamError(f"chunk {chr(kind)!r} stands among the packets; file damaged")
        elif kind in _METADATA_NAMES:
            name = _METADATA_NAMES[kind]
            if name in metadata:
                raise BitstreamError(f"the file has two {name} chunks; it is damaged")
            metadata[name] = payload
        elif kind == _HEAD:
            raise BitstreamError("the file has two heads; it is damaged")
        elif chr(kind).isupper():
            raise UnsupportedError(
                f"the file needs chunk type {chr(kind)!r}, which this version of kodec does not "
                "know; update kodec"
            )
    if position != len(data):
        raise BitstreamError(
            f"{len(data) - position} bytes follow the last packet; the file is damaged"
        )
    return Container(header, tuple(packets), metadata)


def _chunk(kind: int, payload: bytes, seed: int) -> tuple[bytes, bytes, bytes]:
    front = bytes([kind]) + write_varint(len(payload))
    crc = crc32c(payload, crc32c(front, seed))
    return front, payload, crc.to_bytes(_CRC_BYTES, "little")


def _read_chunk(
    data: bytes, position: int, seed: int | None, packets_before: int
) -> tuple[int, bytes, int, int]:
    """Return a chunk's type, payload, the position after it, and its CRC.

    Without a seed the chunk is the head, whose CRC also covers the bytes before it. Otherwise the
    seed is the CRC of the chunk before it, of the last before the packets for every packet.
    """
    start, kind = position, data[position]
    if not (ord("A") <= kind <= ord("Z") or ord("a") <= kind <= ord("z")):
        raise BitstreamError(f"byte {kind} at offset {start} is no chunk type; file damaged")
    length, position = read_varint(data, position + 1)
    limit = (
        _MAX_HEAD_BYTES if seed is None else MAX_METADATA_BYTES if kind != _PACKET else len(data)
    )
    if length > limit:
        raise BitstreamError(f"chunk {chr(kind)!r} claims {length} bytes; the file is damaged")
    end = position + length
    if end + _CRC_BYTES > len(data):
        raise BitstreamError(
            f"chunk {chr(kind)!r} claims {length} bytes where {len(data) - position} are left; "
            "the file is truncated or damaged"
        )
    payload = data[position:end]
    if seed is None:
        crc = crc32c(data[:end])
    else:
        # The seed ties each chunk to what comes before it, and the number a packet to its place:
        # a chunk that was cut out, swapped or taken from another file is noticed.
        crc = crc32c(payload, crc32c(data[start:position], seed ^ packets_before))
    if crc != int.from_bytes(data[end : end + _CRC_BYTES], "little"):
        raise BitstreamError(f"the checksum of chunk {chr(kind)!r} is wrong; the file is damaged")
    return kind, payload, end + _CRC_BYTES, crc


def _check_preamble(data: bytes) -> None:
    if not data.startswith(MAGIC):
        if not data:
            raise BitstreamError("not a kodec file (it is empty)")
        if MAGIC.startswith(data):
            raise BitstreamError(f"the file is truncated: only {len(data)} bytes are there")
        kind = identify_file(data[:SNIFF_BYTES])
        looks = f" (it looks like {kind.title})" if kind else ""
        raise BitstreamError(f"not a kodec file{looks}")
    # One byte of the first chunk must be there, for the reader to look at.
    if len(data) < len(MAGIC) + 2:
        raise BitstreamError(f"the file is truncated: only {len(data)} bytes are there")
    version = data[len(MAGIC)]
    if version != FORMAT_VERSION:
        raise UnsupportedError(
            f"the file has format version {version}; this kodec reads version {FORMAT_VERSION}: "
            "use the kodec that wrote it"
        )
