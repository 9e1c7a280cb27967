"""Finding a refresh of a sequence: by the index, then by looking, so that the index can't lie."""

from bisect import bisect_left

from kodec.native import KodecError

from .chunks import CRC_BYTES, MAX_PACKETS, PACKET, SMALLEST_CHUNK, Source
from .refresh_index import Entry, read_index
from .steps import refresh_frame

_LOOK_BYTES = 32
"""Enough for a chunk's front and the first frame of a refresh."""
_MOST_WORK = 8
"""How many times the file's size may be read in going on behind damage."""


def is_sound_refresh(source: Source, entry: Entry, seed: int) -> bool:
    """Whether the file has this very refresh there. The source is left anywhere."""
    if entry.packet > MAX_PACKETS:
        return False
    try:
        source.seek(entry.offset)
        if source.next_kind() != PACKET:
            return False
        chunk = source.chunk()
        return refresh_frame(chunk.payload) == entry.frame and chunk.follows(seed ^ entry.packet)
    except KodecError:
        return False


def find_refresh(source: Source, seed: int, begin: int, frame: int) -> Entry:
    """The last refresh with a first frame of at most `frame`; else the first packet.

    source: a seekable file whose packets begin at `begin`; it is left anywhere. The index gives a
    place to look from, once that was checked; from there chunks are passed one by one, without
    reading what they hold.
    """
    found = Entry(0, 0, begin)
    for entry in reversed(read_index(source, seed)):
        if entry.frame <= frame and entry.offset > begin:
            if is_sound_refresh(source, entry, seed):
                found = entry
            break
    packet, offset = found.packet, found.offset
    try:
        while True:
            source.seek(offset)
            if source.next_kind() != PACKET:
                return found
            _, front, length = source.front()
            first = refresh_frame(source.peek(_LOOK_BYTES)[front : front + length])
            if first is not None:
                if first > frame:
                    return found
                here = Entry(packet, first, offset)
                if is_sound_refresh(source, here, seed):
                    found = here
            packet, offset = packet + 1, offset + front + length + CRC_BYTES
    except KodecError:
        return found


class Resumption:
    """Where reading a damaged sequence in a seekable file can go on, by its index.

    Against forged files the time for all of it is bounded by the file's size, not by that times
    the index's entries.
    """

    def __init__(self, source: Source, seed: int) -> None:
        self._source = source
        self._seed = seed
        self._entries = read_index(source, seed)
        self._most_work = source.work + _MOST_WORK * source.size()

    def behind(self, offset: int, packet: int) -> Entry | None:
        """The next refresh that the index lists and the file has, from `offset` and number `packet`
        on, with no more packets before it than there is room for; the source is left anywhere."""
        begin = bisect_left(self._entries, offset, key=lambda entry: entry.offset)
        for number in range(begin, len(self._entries)):
            if self._source.work > self._most_work:
                break
            entry = self._entries[number]
            # Else a few bytes could stand for years of lost frames.
            room = (entry.offset - offset) // SMALLEST_CHUNK
            if packet <= entry.packet <= packet + room and is_sound_refresh(
                self._source, entry, self._seed
            ):
                return entry
        return None
