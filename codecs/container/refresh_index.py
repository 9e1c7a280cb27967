"""The index of a sequence's refreshes: where each begins. Redundant, and trusted by nobody."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from kodec.native import KodecError

from .chunks import CRC_BYTES, END, INDEX, LONGEST_END_CHUNK, Chunk, Source, tail_seed
from .fields import Fields
from .varint import MAX_VARINT, write_varint

MAX_ENTRIES = 1 << 16
"""Most entries in an index: of more refreshes it lists every second, fourth, eighth one."""


class Entry(NamedTuple):
    """Where a refresh begins."""

    packet: int
    frame: int
    """The refresh's first frame."""
    offset: int
    """Of its packet's chunk in the file."""


class RefreshIndex:
    """What a writer remembers of a sequence's refreshes, in bounded memory."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._stride = 1
        self._refreshes = 0

    def add(self, entry: Entry) -> None:
        """Remember a refresh."""
        if self._refreshes % self._stride == 0:
            if len(self._numbers) == 3 * MAX_ENTRIES:
                kept = array("Q")
                for begin in range(0, len(self._numbers), 6):
                    kept += self._numbers[begin : begin + 3]
                self._numbers = kept
                self._stride *= 2
            if self._refreshes % self._stride == 0:
                self._numbers.extend(entry)
        self._refreshes += 1

    def __len__(self) -> int:
        return len(self._numbers) // 3

    def __iter__(self) -> Iterator[Entry]:
        for begin in range(0, len(self._numbers), 3):
            yield Entry(*self._numbers[begin : begin + 3])

    def write(self) -> bytes:
        """The index chunk's payload."""
        out, last = bytearray(), Entry(0, 0, 0)
        for entry in self:
            deltas = [now - before for now, before in zip(entry, last, strict=True)]
            if not all(0 <= delta <= MAX_VARINT for delta in deltas):
                break
            for delta in deltas:
                out += write_varint(delta)
            last = entry
        return bytes(out)


def read_index(source: Source, seed: int) -> list[Entry]:
    """The index at the end of a seekable file, in order; empty where there is none that is sound.

    The source is left anywhere.
    """
    size = source.size()
    source.seek(max(size - LONGEST_END_CHUNK, 0))
    tail = source.take(LONGEST_END_CHUNK)
    for position in range(len(tail)):
        if tail[position] == END:
            try:
                end = Source(tail[position:])
                chunk = end.chunk()
                packets, before = read_end(chunk, seed)
                begin = size - len(tail) + position - before
                if not end.at_end() or not before or begin < 0:
                    continue
                source.seek(begin)
                return _entries(source.chunk(), seed, packets)
            except KodecError:
                continue
    return []


def read_end(chunk: Chunk, seed: int) -> tuple[int, int]:
    """Packets in the file, and bytes of the chunks between the last packet and this end chunk.

    Raises BitstreamError.
    """
    fields = Fields(chunk.payload, "the file's end")
    packets, before = fields.varint(), fields.varint()
    fields.end()
    if packets >= 1 << 8 * CRC_BYTES or not chunk.follows(tail_seed(seed, packets)):
        raise chunk.damaged()
    return packets, before


def write_end(packets: int, before: int) -> bytes:
    """The end chunk's payload."""
    return write_varint(packets) + write_varint(before)


def _entries(chunk: Chunk, seed: int, packets: int) -> list[Entry]:
    if chunk.kind != INDEX or not chunk.follows(tail_seed(seed, packets)):
        return []
    fields = Fields(chunk.payload, "the index")
    entries: list[Entry] = []
    last = Entry(0, 0, 0)
    while fields.position < len(chunk.payload) and len(entries) < MAX_ENTRIES:
        last = Entry(*(before + fields.varint() for before in last))
        entries.append(last)
    return entries
