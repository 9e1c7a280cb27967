"""Writes a `.kdc` file as a stream: a chunk at a time, its number of packets unknown."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from kodec.native import InvalidInputError, crc32c

from .chunks import (
    CRC_BYTES,
    END,
    HEAD,
    INDEX,
    MAX_METADATA_BYTES,
    MAX_PACKET_BYTES,
    MAX_PACKETS,
    METADATA_TYPES,
    PACKET,
    PREAMBLE,
    refresh_seed,
    tail_seed,
    write_chunk,
)
from .heads import Header, ends_with_its_packet, expected_packets, write_head
from .refresh_index import Entry, RefreshIndex, write_end
from .sequence_head import SequenceHeader
from .steps import Step, StepCoder
from .varint import write_varint


class ChunkWriter:
    """Writes a file to `file`, which need not be seekable, packet by packet.

    The head and `metadata` ("icc", "exif", "colour" and "xmp", at most `MAX_METADATA_BYTES` each)
    are written at once. A file is whole only after `close`, which `with` calls unless an exception
    passes; an interrupted file is then told by its missing end. The file itself is left open.

    Memory does not grow with the number of packets, but for 24 bytes a refresh of the first
    65,536. Raises InvalidInputError for other or larger metadata.
    """

    def __init__(
        self, file: IO[bytes], header: Header, metadata: Mapping[str, bytes] | None = None
    ) -> None:
        self.header = header
        self.packets = 0
        """How many were written."""
        self.bytes_written = 0
        self._file = file
        self._count = expected_packets(header)
        self._steps = StepCoder(header.plan) if isinstance(header, SequenceHeader) else None
        self._index = RefreshIndex()
        self._closed = False
        self._broken = False
        """Whether a packet was begun and did not end."""
        parts = self._beginning(header, metadata or {})
        self._chain = self._seed
        self._put(parts)

    def _beginning(self, header: Header, metadata: Mapping[str, bytes]) -> bytes:
        """Everything before the packets; sets what their checksums continue from."""
        chunk, self._seed = write_chunk(HEAD, write_head(header), crc32c(PREAMBLE))
        parts = [PREAMBLE, chunk]
        for name, data in sorted(metadata.items()):
            if name not in METADATA_TYPES:
                raise InvalidInputError(
                    f"metadata are {' and '.join(METADATA_TYPES)}; the container has no {name!r}"
                )
            if len(data) > MAX_METADATA_BYTES:
                raise InvalidInputError(
                    f"the {name} metadata take {len(data)} bytes, above the limit of "
                    f"{MAX_METADATA_BYTES}; remove them from the input"
                )
            chunk, self._seed = write_chunk(METADATA_TYPES[name], data, self._seed)
            parts.append(chunk)
        return b"".join(parts)

    def write(self, data: bytes, steps: Sequence[Step] = ()) -> int:
        """Write the next packet and return its number, from 0.

        `data` are its coded bytes; a sequence's packet also has its `steps`, in coding order. If
        writing it raises InvalidInputError, the file goes on as if it had not been asked for: for
        more packets than a picture has, for one that is too large, for steps that do not fit.
        """
        if self._closed or self._broken:
            raise InvalidInputError("the file is closed or broken: no packet can follow")
        number = self.packets
        if number >= (MAX_PACKETS if self._count is None else self._count):
            raise InvalidInputError(f"the file has {number} packets and takes no more")
        if len(data) > MAX_PACKET_BYTES - (1 << 16):
            raise InvalidInputError(
                f"a packet takes at most 2^30 - 2^16 bytes, not {len(data)}: divide it"
            )
        seed = self._seed
        if self._steps is not None:
            data = self._steps.write(number, steps) + data
            if steps[0].refresh:
                self._index.add(Entry(number, steps[0].first, self.bytes_written))
                self._chain = refresh_seed(self._seed, number)
            else:
                seed = self._chain
        elif steps:
            raise InvalidInputError("only a sequence's packets have steps")
        body = bytes((PACKET,)) + write_varint(len(data)) + data
        self._broken = True
        self._put(body + crc32c(body, seed ^ number).to_bytes(CRC_BYTES, "little"))
        self.packets = number + 1
        self._broken = False
        return number

    def close(self) -> None:
        """Write what ends the file; the second time it does nothing.

        Raises InvalidInputError if a picture has fewer packets than its head says, or if writing a
        packet was interrupted: the file then has no end, which readers notice.
        """
        if self._closed:
            return
        if self._broken:
            raise InvalidInputError("a packet was not written to its end: the file is incomplete")
        if self._count is not None and self.packets != self._count:
            raise InvalidInputError(
                f"the picture has {self._count} packets, of which {self.packets} were written"
            )
        self._closed = True
        if ends_with_its_packet(self.header):
            return
        seed, tail = tail_seed(self._seed, self.packets), b""
        # One refresh begins the file: it needs no index to be found.
        if len(self._index) > 1:
            tail, _ = write_chunk(INDEX, self._index.write(), seed)
        end, _ = write_chunk(END, write_end(self.packets, len(tail)), seed)
        self._put(tail + end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def _put(self, data: bytes) -> None:
        self.bytes_written += len(data)
        written = self._file.write(data)
        # A raw file may take fewer bytes than it was given.
        while written is not None and written < len(data):
            data = data[written:]
            written = self._file.write(data)
