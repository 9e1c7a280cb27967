import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fifo import Fifo
from forging import frames, numbered, seal, split
from kodec.codecs import (
    ChunkReader,
    ChunkWriter,
    Lost,
    Packet,
    PictureHeader,
    Step,
    write_container,
)
from kodec.codecs.container import chunks, refresh_index
from kodec.codecs.container.chunks import Source
from kodec.codecs.container.refresh_index import MAX_ENTRIES, Entry, RefreshIndex, read_index
from kodec.codecs.container.varint import MAX_VARINT, write_varint
from kodec.native import InvalidInputError, crc32c
from sequences import HEADER, data_of, sequence_file, steps_of

COUNT = 23
FILE = sequence_file(COUNT)


def with_index(payload: bytes) -> bytes:
    """The file with another index, its checksums right."""
    *chunks, _, _ = split(FILE)
    size = len(seal(FILE[:5], [*chunks, (ord("i"), payload)])) - len(seal(FILE[:5], chunks))
    end = write_varint(COUNT) + write_varint(size)
    return seal(FILE[:5], [*chunks, (ord("i"), payload), (ord("E"), end)])


def without_index() -> bytes:
    *chunks, _, _ = split(FILE)
    return seal(FILE[:5], [*chunks, (ord("E"), write_varint(COUNT) + b"\0")])


def index_of(*entries: tuple[int, int, int]) -> bytes:
    out, last = b"", (0, 0, 0)
    for entry in entries:
        out += b"".join(write_varint(a - b) for a, b in zip(entry, last, strict=True))
        last = entry
    return out


def offset(packet: int) -> int:
    return sum(map(len, frames(FILE)[: 3 + packet]))


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        FILE,
        without_index(),
        with_index(index_of((8, 8, offset(8)))),
        with_index(index_of((0, 0, offset(0)), (12, 12, offset(12) + 1), (16, 16, offset(16)))),
        with_index(index_of((4, 4, offset(8)), (5, 8, offset(16)))),
        with_index(index_of((4, 3, offset(4)))),
        with_index(index_of((8, 8, offset(4)), (8, 8, 1 << 34))),
        with_index(index_of((8 + (1 << 32), 8, offset(8)))),
        with_index(b"\x80"),
        with_index(b""),
        FILE[: offset(19)],
        FILE[:-20] + bytes([FILE[-20] ^ 1]) + FILE[-19:],
    ],
)
def test_whatever_the_index_says_the_same_refresh_is_found(data: bytes, as_file: bool) -> None:
    reader = ChunkReader(io.BytesIO(data) if as_file else data)
    for frame in (0, 1, 3, 4, 11, 12, 18, 2, 15):
        found = reader.seek(frame)
        assert found == frame // 4 * 4
        for number in range(found, min(found + 6, 19)):
            assert next(reader) == Packet(number, data_of(number), steps_of(number))


def test_the_whole_file_can_be_read_after_seeking() -> None:
    reader = ChunkReader(FILE)
    assert reader.seek(1 << 40) == 20
    assert [item.number for item in reader if isinstance(item, Packet)] == [20, 21, 22]
    assert reader.seek(0) == 0
    assert len(list(reader)) == COUNT


def test_an_index_of_a_forger_changes_nothing_in_reading() -> None:
    data = with_index(index_of((3, 2, 1)))
    assert list(ChunkReader(data)) == list(ChunkReader(FILE))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, COUNT))
def test_any_index_is_harmless(payload: bytes, frame: int) -> None:
    assert ChunkReader(with_index(payload)).seek(frame) == min(frame, COUNT - 1) // 4 * 4


def test_behind_a_hole_reading_goes_on_with_a_refresh_of_the_index() -> None:
    hole = FILE[: offset(6) + 1] + bytes(20) + FILE[offset(6) + 21 :]
    numbers = [i.number for i in ChunkReader(hole, damaged="keep") if isinstance(i, Packet)]
    assert numbers == [*range(6), *range(8, COUNT)]
    fifo = Fifo()
    fifo.write(hole)
    reader = ChunkReader(fifo, damaged="keep")  # type: ignore[arg-type]
    assert [i.number for i in reader if isinstance(i, Packet)] == list(range(6))
    assert reader.cut is not None


def test_a_maze_takes_time_in_proportion_to_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each refresh is sound and listed; behind it a chunk claims all that is left up to a byte that
    # is no chunk, so that reading must go on by the index.
    count = 300
    head, *_ = split(sequence_file(0))
    refreshes = [(ord("P"), b"\x01" + write_varint(n) + bytes(999)) for n in range(count)]
    preamble, head_chunk, *packets = frames(seal(FILE[:5], [head, *refreshes]))
    behind, blocks = bytes(20_000), []
    for packet in reversed(packets):
        blocks.append(packet + b"P" + write_varint(len(behind) - 4))
        behind = blocks[-1] + behind
    data, entries = preamble + head_chunk, []
    for number, block in enumerate(reversed(blocks)):
        entries.append((number, number, len(data)))
        data += block
    data += bytes(20_001)
    seed = numbered(count, int.from_bytes(head_chunk[-4:], "little"))
    index, _ = chunks.write_chunk(ord("i"), index_of(*entries), seed)
    end, _ = chunks.write_chunk(ord("E"), write_varint(count) + write_varint(len(index)), seed)
    data += index + end

    checked = 0

    def counting(data: bytes, seed: int = 0) -> int:
        nonlocal checked
        checked += len(data)
        return crc32c(data, seed)

    monkeypatch.setattr(chunks, "crc32c", counting)
    reader = ChunkReader(data, damaged="keep")
    assert sum(isinstance(item, Packet) for item in reader) > 5
    assert reader.cut is not None
    # Each look at a packet compares it with up to 18 numbers.
    assert checked < 18 * 12 * len(data)


def test_a_few_bytes_do_not_stand_for_years_of_lost_packets() -> None:
    def behind_a_hole(lost: int) -> list[object]:
        """A refresh as packet number 1 + `lost`, behind as many bytes that are no chunk."""
        file = io.BytesIO()
        with ChunkWriter(file, HEADER) as writer:
            writer.write(b"first", steps_of(0))
            file.write(bytes(40))
            writer.bytes_written += 40
            writer.packets += lost
            writer.write(b"second", (Step(1 + lost, refresh=True),))
        return list(ChunkReader(file.getvalue(), damaged="keep"))

    first, gap, second = behind_a_hole(4)
    assert gap == Lost(1, 4) and isinstance(second, Packet) and second.data == b"second"
    assert len(behind_a_hole(2**31)) == 1


def test_only_sequences_in_seekable_files_are_searched() -> None:
    fifo = Fifo()
    fifo.write(FILE)
    picture = write_container(PictureHeader(5, 5, 3, 1, bytes(8), "exact"), [b""])
    for source in (fifo, picture):
        with pytest.raises(InvalidInputError, match="sequence in a seekable file"):
            ChunkReader(source).seek(0)  # type: ignore[arg-type]


def test_the_index_is_thinned_to_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_index, "MAX_ENTRIES", 64)
    index = RefreshIndex()
    for number in range(5 * 64):
        index.add(Entry(number, 2 * number, 100 * number))
        assert len(index) <= 64
    assert list(index) == [Entry(n, 2 * n, 100 * n) for n in range(0, 5 * 64, 8)]
    # The largest index there can be is within what a reader takes.
    assert MAX_ENTRIES * 3 * len(write_varint(MAX_VARINT)) <= 1 << 20


def test_a_file_of_one_refresh_has_no_index() -> None:
    assert [kind for kind, _ in split(sequence_file(4))][-2:] == [ord("P"), ord("E")]
    assert read_index(Source(sequence_file(4)), 0) == []


def test_frames_further_apart_than_an_index_can_say_are_still_found() -> None:
    file = io.BytesIO()
    far = (1 << 35) - 10
    with ChunkWriter(file, HEADER) as writer:
        for first in (0, 5, far):
            writer.write(b"", (Step(first, refresh=True),))
    reader = ChunkReader(file.getvalue())
    assert [reader.seek(frame) for frame in (4, 6, far, far - 1)] == [0, 1, 2, 1]
