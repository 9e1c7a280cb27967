"""Chunks: how a `.kdc` file is framed. docs/bitstream.md gives the layout byte by byte."""

from typing import BinaryIO, NamedTuple, cast

from kodec.codecs.file_kind import SNIFF_BYTES, identify_file
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError, crc32c

from .varint import read_varint, write_varint

MAGIC = b"\xd7KDC"
"""The first four bytes of every kodec file; the first is outside ASCII, so that a text tool that
mangles the file is noticed."""
FORMAT_VERSION = 0
PREAMBLE = MAGIC + bytes([FORMAT_VERSION])

# A chunk's type is an ASCII letter; the case says what a reader must do when it does not know it.
HEAD, PACKET, END = b"HPE"
INDEX = ord("i")
METADATA_TYPES = {"icc": ord("c"), "exif": ord("e"), "colour": ord("k"), "xmp": ord("x")}

MAX_HEAD_BYTES = 1 << 10
MAX_METADATA_BYTES = 1 << 24
"""Largest ICC profile or EXIF block in bytes."""
MAX_PACKET_BYTES = 1 << 30
MAX_PACKETS = (1 << 32) - 1
"""Most packets in a sequence or fitted file."""
CRC_BYTES = 4
SMALLEST_CHUNK = 6
LONGEST_END_CHUNK = 1 + 1 + 2 * 5 + CRC_BYTES

_LIMITS = {HEAD: MAX_HEAD_BYTES, PACKET: MAX_PACKET_BYTES, END: 10, INDEX: 1 << 20}
_BLOCK = 1 << 16


class Chunk(NamedTuple):
    """A chunk as it stands in a file; its checksum is not verified yet."""

    kind: int
    offset: int
    """Of its first byte, from the file's."""
    framed: bytes
    """Type, length and payload."""
    payload: bytes
    crc: int

    def follows(self, seed: int) -> bool:
        """Whether its checksum continues from `seed`."""
        return crc32c(self.framed, seed) == self.crc

    def damaged(self) -> BitstreamError:
        """The error of a chunk with a wrong checksum."""
        return BitstreamError(
            f"the checksum of chunk {chr(self.kind)!r} is wrong; the file is damaged"
        )


def write_chunk(kind: int, payload: bytes, seed: int) -> tuple[bytes, int]:
    """A chunk's bytes and its checksum, which continues from `seed`."""
    framed = bytes([kind]) + write_varint(len(payload)) + payload
    crc = crc32c(framed, seed)
    return framed + crc.to_bytes(CRC_BYTES, "little"), crc


def tail_seed(seed: int, packets: int) -> int:
    """What the checksum of a chunk after the packets continues from."""
    return crc32c(packets.to_bytes(CRC_BYTES, "little"), seed)


def refresh_seed(seed: int, packet: int) -> int:
    """What the checksums of packets after a refresh continue from, before their own numbers."""
    return crc32c(packet.to_bytes(CRC_BYTES, "little"), seed)


class Source:
    """The bytes of a file in order, seekable or not; it reads at most a block ahead.

    A claimed length allocates nothing: bytes are asked for a block at a time, and those that come
    are kept, up to what is wanted.
    """

    def __init__(self, file: BinaryIO | bytes) -> None:
        in_memory = isinstance(file, bytes | bytearray | memoryview)
        self._file = None if in_memory else cast(BinaryIO, file)
        self._buffer = bytes(cast(bytes, file)) if in_memory else b""
        self._at = 0
        self._start = 0
        """Where in the file the container begins."""
        self._base = 0
        """Offset of the buffer's first byte."""
        self.seekable = True
        self.work = 0
        """Bytes of all chunks that were looked at, again and again perhaps."""
        if self._file is not None:
            # So that a live pipe gives what it has.
            self._read = getattr(self._file, "read1", self._file.read)
            self.seekable = self._file.seekable()
            if self.seekable:
                self._start = self._file.tell()

    @property
    def offset(self) -> int:
        """How many bytes were taken."""
        return self._base + self._at

    def seek(self, offset: int) -> None:
        """Go on at `offset` of a seekable file."""
        if self._file is None:
            self._at = min(offset, len(self._buffer))
        elif self._base <= offset <= self._base + len(self._buffer):
            self._at = offset - self._base
        else:
            self._file.seek(self._start + offset)
            self._buffer, self._base, self._at = b"", offset, 0

    def size(self) -> int:
        """How many bytes a seekable file has; it then goes on where it was."""
        if self._file is None:
            return len(self._buffer)
        size = self._file.seek(0, 2) - self._start
        self._file.seek(self._start + self._base + len(self._buffer))
        return size

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the file's end."""
        self._fill(count)
        return self._buffer[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the file's end, and go past them."""
        data = self.peek(count)
        self._at += len(data)
        return data

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._buffer) and not self.peek(1)

    def next_kind(self) -> int | None:
        """The type of the next chunk, or None at the end."""
        return None if self.at_end() else self._buffer[self._at]

    def front(self) -> tuple[int, int, int]:
        """Type of the next chunk, bytes of type and length, and bytes of payload; goes past none.

        Raises BitstreamError for what is no chunk, or one longer than its type may be.
        """
        # No chunk is shorter, so that this waits for no byte of the next one.
        self._fill(SMALLEST_CHUNK)
        kind = self._buffer[self._at]
        if not (65 <= kind <= 90 or 97 <= kind <= 122):
            raise BitstreamError(f"byte {kind} at offset {self.offset} is no chunk type; damaged")
        length, position = read_varint(self._buffer, self._at + 1)
        if length > _LIMITS.get(kind, MAX_METADATA_BYTES):
            raise BitstreamError(f"chunk {chr(kind)!r} claims {length} bytes; the file is damaged")
        return kind, position - self._at, length

    def chunk(self) -> Chunk:
        """The next chunk; raises BitstreamError, without going past it, where it is not whole."""
        kind, front, length = self.front()
        offset, size = self.offset, front + length
        have = self._fill(size + CRC_BYTES)
        self.work += min(have, size)
        if have < size + CRC_BYTES:
            raise BitstreamError(
                f"chunk {chr(kind)!r} claims {length} bytes where {max(have - front, 0)} are left; "
                "the file is truncated or damaged"
            )
        begin, self._at = self._at, self._at + size + CRC_BYTES
        end = begin + size
        buffer = self._buffer
        crc = int.from_bytes(buffer[end : self._at], "little")
        return Chunk(kind, offset, buffer[begin:end], buffer[begin + front : end], crc)

    def skip(self) -> None:
        """Go past the next chunk without looking at its payload, and read little of it if the file
        can be sought in.

        Raises BitstreamError where its front is damaged.
        """
        _, front, length = self.front()
        size = front + length + CRC_BYTES
        if self.seekable:
            self.seek(self.offset + size)
        else:
            self._fill(size)
            self._at = min(self._at + size, len(self._buffer))

    def _fill(self, count: int) -> int:
        """Have `count` bytes in the buffer, or all that are left; returns how many there are."""
        have = len(self._buffer) - self._at
        if have >= count or self._file is None:
            return have
        parts = [self._buffer[self._at :]]
        self._base += self._at
        self._at = 0
        self._buffer = b""
        while have < count:
            part = self._read(_BLOCK)
            if part is None:
                raise InvalidInputError("the input is a non-blocking file: make it blocking")
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._buffer = b"".join(parts)
        return have


def check_preamble(source: Source) -> None:
    """Raise BitstreamError or UnsupportedError unless the file is one of this format's version."""
    # One byte of the first chunk must be there, for the reader to look at.
    data = source.peek(len(PREAMBLE) + 1)
    if not data.startswith(MAGIC):
        if not data:
            raise BitstreamError("not a kodec file (it is empty)")
        if MAGIC.startswith(data):
            raise BitstreamError(f"the file is truncated: only {len(data)} bytes are there")
        kind = identify_file(source.peek(SNIFF_BYTES))
        looks = f" (it looks like {kind.title})" if kind else ""
        raise BitstreamError(f"not a kodec file{looks}")
    if len(data) < len(PREAMBLE) + 1:
        raise BitstreamError(f"the file is truncated: only {len(data)} bytes are there")
    version = data[len(MAGIC)]
    if version != FORMAT_VERSION:
        raise UnsupportedError(
            f"the file has format version {version}; this kodec reads version {FORMAT_VERSION}: "
            "use the kodec that wrote it"
        )
    source.take(len(PREAMBLE))
