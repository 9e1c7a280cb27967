"""Finding a refresh of a sequence: by the index, then by looking, so that the index can't lie."""

from kodec.native import KodecError

from .chunks import CRC_BYTES, PACKET, Source
from .refresh_index import Entry, read_index
from .steps import refresh_frame

_LOOK_BYTES = 32
"""Enough for a chunk's front and the first frame of a refresh."""


def is_sound_refresh(source: Source, entry: Entry, seed: int) -> bool:
    """Whether the file has this very refresh there. The source is left anywhere."""
    try:
        source.seek(entry.offset)
        if source.next_kind() != PACKET:
            return False
        chunk = source.chunk()
        number = entry.packet & (1 << 8 * CRC_BYTES) - 1
        return refresh_frame(chunk.payload) == entry.frame and chunk.follows(seed ^ number)
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
