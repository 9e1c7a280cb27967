import io
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fifo import Fifo
from forging import Chunk, frames, seal, split
from kodec.codecs import (
    ChunkReader,
    ChunkWriter,
    FittedHeader,
    Lost,
    Packet,
    PictureHeader,
    read_container,
    write_container,
)
from kodec.codecs.container import Header
from kodec.codecs.container.varint import write_varint
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError
from sequences import HEADER, data_of, sequence_file, steps_of

COUNT = 11
FILE = sequence_file(COUNT)
FRONTS = 3
"""The preamble, the head and the profile stand before the packets."""
PICTURE = PictureHeader(9, 7, 3, 20, bytes(8), "guarded", planes=2, tile=(5, 4))
FITTED = FittedHeader(1, 0, 9, 7, 5, 3, (16, 3, 500), "exact")


def kept(data: bytes, seekable: bool = True) -> tuple[list[Packet | Lost], ChunkReader]:
    reader = ChunkReader(data if seekable else pipe(data), damaged="keep")
    return list(reader), reader


def pipe(data: bytes) -> BinaryIO:
    fifo = Fifo()
    fifo.write(data)
    return fifo.file


def numbers(items: list[Packet | Lost]) -> tuple[list[int], list[int]]:
    """Which packets came, and which were lost; every packet is right and in its place."""
    came: list[int] = []
    lost: list[int] = []
    place = 0
    for item in items:
        if isinstance(item, Lost):
            assert item.first == place and item.count > 0
            lost += range(place, min(place + item.count, 100))
            place += item.count
        else:
            assert item.number == place
            assert (item.data, item.steps) == (data_of(item.number), steps_of(item.number))
            came.append(place)
            place += 1
    return came, lost


@pytest.mark.parametrize("damaged", ["refuse", "keep"])
def test_sequences_from_memory_files_and_pipes(damaged: str) -> None:
    whole = [Packet(n, data_of(n), steps_of(n)) for n in range(COUNT)]
    behind = io.BytesIO(b"before" + FILE)
    behind.seek(6)
    for source in (FILE, memoryview(FILE), io.BytesIO(FILE), pipe(FILE), behind):
        reader = ChunkReader(source, damaged=damaged)  # type: ignore[arg-type]
        assert (reader.header, reader.metadata) == (HEADER, {"icc": b"profile"})
        assert list(reader) == whole
        assert reader.cut is None


@pytest.mark.parametrize(
    ("header", "count"),
    [(PICTURE, PICTURE.packets), (FITTED, 0), (FITTED, 8), (HEADER, 0), (HEADER, 8)],
)
def test_all_kinds_through_a_real_pipe(header: Header, count: int) -> None:
    read, write = os.pipe()
    with open(read, "rb", buffering=0) as source, open(write, "wb", buffering=0) as sink:
        with ChunkWriter(sink, header) as writer:
            for number in range(count):
                writer.write(data_of(number), steps_of(number) if header == HEADER else ())
        sink.close()
        reader = ChunkReader(source)
        assert reader.header == header
        assert [item.data for item in reader if isinstance(item, Packet)] == [
            data_of(number) for number in range(count)
        ]


def test_a_packet_can_be_read_before_the_next_is_written() -> None:
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb", buffering=0) as sink:
        writer = ChunkWriter(sink, HEADER)
        writer.write(data_of(0), steps_of(0))
        reader = ChunkReader(source)
        for number in range(1, 5):
            assert next(reader) == Packet(number - 1, data_of(number - 1), steps_of(number - 1))
            writer.write(data_of(number), steps_of(number))


def test_every_change_of_one_byte_is_an_error_or_costs_one_packet() -> None:
    starts = [sum(map(len, frames(FILE)[:n])) for n in range(len(frames(FILE)) + 1)]
    for position in range(len(FILE)):
        for change in (1, 0x15, 0x80, 0xFF):
            data = FILE[:position] + bytes([FILE[position] ^ change]) + FILE[position + 1 :]
            with pytest.raises(KodecError):
                list(ChunkReader(data))
            if position < starts[FRONTS - 1]:
                with pytest.raises(KodecError):
                    ChunkReader(data, damaged="keep")
                continue
            if position < starts[FRONTS]:
                if position >= starts[FRONTS - 1] + 2:
                    items, reader = kept(data)
                    assert numbers(items) == (list(range(COUNT)), [])
                    assert (reader.metadata, reader.lost_metadata) == ({}, ["icc"])
                continue
            items, reader = kept(data)
            came, lost = numbers(items)
            hit = next(n for n in range(len(starts) - 1) if starts[n + 1] > position) - FRONTS
            if hit >= COUNT:
                assert came == list(range(COUNT))
                continue
            # Behind a damaged length the next packet can't be found, but the next refresh can;
            # behind a damaged refresh nothing can be placed before the next one.
            intact = position >= starts[FRONTS + hit] + 2
            refresh = -(-(hit + 1) // 4) * 4
            after = hit + 1 if intact and hit % 4 else refresh
            assert set(came) >= {n for n in range(COUNT) if n < hit or n >= after}, position
            if intact:
                assert lost == list(range(hit, min(after, COUNT)))
                assert reader.cut is None
            assert hit in lost or (reader.cut and hit not in came)


def test_truncations() -> None:
    ends = [sum(map(len, frames(FILE)[: n + 1])) for n in range(len(frames(FILE)))]
    for length in range(len(FILE)):
        with pytest.raises(BitstreamError):
            list(ChunkReader(FILE[:length]))
        with pytest.raises(BitstreamError):
            list(ChunkReader(pipe(FILE[:length])))
        if length < ends[FRONTS - 1]:
            continue
        whole = sum(end <= length for end in ends[FRONTS:-2])
        for seekable in (True, False):
            items, reader = kept(FILE[:length], seekable)
            assert numbers(items) == (list(range(whole)), [])
            assert "truncated" in str(reader.cut)


@pytest.mark.parametrize(
    ("order", "came"),
    [
        ([0, 2, 1, 3, 4, 5], [0, 2, 3, 4, 5]),
        ([0, 1, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ([0, 1, 3, 4, 5], [0, 1, 3, 4, 5]),
        ([0, 1, 2, 3, 5], [0, 1, 2, 3]),
        ([1, 2, 3, 4, 5], [4, 5]),
        ([4, 5, 0, 1, 2, 3], [4, 5]),
        ([], []),
    ],
)
def test_swapped_repeated_and_removed_packets(order: list[int], came: list[int]) -> None:
    pieces = frames(sequence_file(6))
    packets = pieces[FRONTS : FRONTS + 6]
    data = b"".join((*pieces[:FRONTS], *(packets[n] for n in order), *pieces[-2:]))
    with pytest.raises(BitstreamError):
        list(ChunkReader(data))
    items, reader = kept(data)
    assert numbers(items) == (came, [n for n in range(6) if n not in came])
    assert reader.cut is None


@pytest.mark.parametrize("change", range(8))
def test_no_packet_is_taken_for_another_where_metadata_and_their_checksum_are_damaged(
    change: int,
) -> None:
    """Numbers enter checksums by XOR, and so does what damage does to where they begin."""
    whole = frames(FILE)
    profile = bytearray(whole[FRONTS - 1])
    profile[4] ^= 1
    profile[-4] ^= change
    items, reader = kept(b"".join((*whole[: FRONTS - 1], profile, *whole[FRONTS:])))
    assert numbers(items) == (list(range(COUNT)) if change == 0 else [], [])
    assert (reader.cut is None) == (change == 0)
    assert reader.lost_metadata == ["icc"]


def test_packets_of_another_file_are_lost() -> None:
    other = frames(sequence_file(COUNT, header=replace(HEADER, quality=21)))
    mine = frames(FILE)
    mine[FRONTS + 2] = other[FRONTS + 2]
    with pytest.raises(BitstreamError, match="checksum of chunk 'P'"):
        list(ChunkReader(b"".join(mine)))
    assert numbers(kept(b"".join(mine))[0])[1] == [2]


def test_damaged_tiles_of_pictures_are_told_by_number() -> None:
    packets = [bytes([n]) * 9 for n in range(PICTURE.packets)]
    data = write_container(PICTURE, packets)
    begin = data.index(packets[3])
    damaged = data[:begin] + b"x" + data[begin + 1 :]
    with pytest.raises(BitstreamError):
        read_container(damaged)
    items, _ = kept(damaged)
    assert items == [
        Lost(3, 1) if n == 3 else Packet(n, packets[n]) for n in range(PICTURE.packets)
    ]
    items, reader = kept(data[:begin])
    assert items == [*(Packet(n, packets[n]) for n in range(3)), Lost(3, 5)]
    assert "after 3 of 8 packets" in str(reader.cut) or "claims 9 bytes" in str(reader.cut)


def test_what_follows_a_loss_is_told_until_the_next_refresh() -> None:
    begin = FILE.index(data_of(5))
    items, _ = kept(FILE[:begin] + b"x" + FILE[begin + 1 :])
    assert [item.intact for item in items if isinstance(item, Packet)] == [True] * 5 + [
        False,
        False,
        True,
        True,
        True,
    ]


def chunks_with(place: int, chunk: Chunk) -> bytes:
    chunks = split(FILE)
    chunks[place] = chunk
    return seal(FILE[:5], chunks)


def test_the_seal_of_these_tests_is_right() -> None:
    assert seal(FILE[:5], split(FILE)) == FILE


@pytest.mark.parametrize("end", [(COUNT + 1, 25), (COUNT - 1, 25), (COUNT, 24), (COUNT, 0)])
def test_a_forged_count_is_an_error(end: tuple[int, int]) -> None:
    assert split(FILE)[-1][1] == write_varint(COUNT) + write_varint(len(frames(FILE)[-2]))
    with pytest.raises(BitstreamError):
        list(ChunkReader(chunks_with(-1, (ord("E"), b"".join(map(write_varint, end))))))


def test_a_count_of_billions_takes_no_time() -> None:
    chunks = split(FILE)[:2]
    end = write_varint((1 << 32) - 1) + b"\0"
    body = b"E" + write_varint(len(end)) + end
    from kodec.native import crc32c

    data = seal(FILE[:5], chunks)
    seed = int.from_bytes(data[-4:], "little")
    crc = crc32c(body, crc32c(((1 << 32) - 1).to_bytes(4, "little"), seed))
    data += body + crc.to_bytes(4, "little")
    with pytest.raises(BitstreamError, match="counts 4294967295 packets"):
        list(ChunkReader(data))
    assert kept(data)[0] == [Lost(0, (1 << 32) - 1)]


def test_claimed_lengths_allocate_nothing() -> None:
    front = b"".join(frames(FILE)[:FRONTS])
    files = [front + b"P" + write_varint(length) + b"x" * 50 for length in (1 << 30, 1 << 34)]
    files += [front + b"E" + write_varint(1 << 30), front + b"z" + write_varint(1 << 24)]
    tracemalloc.start()
    try:
        for data in files:
            for source in (data, io.BytesIO(data), pipe(data)):
                with pytest.raises(BitstreamError):
                    list(ChunkReader(source))
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()


def test_unknown_chunks_behind_the_packets() -> None:
    *chunks, index, _ = split(FILE)

    def file(kind: bytes) -> bytes:
        size = len(frames(FILE)[-2]) + 6 + 6
        end = write_varint(COUNT) + write_varint(size)
        return seal(FILE[:5], [*chunks, (kind[0], b"future"), index, (ord("E"), end)])

    items = list(ChunkReader(file(b"z")))
    assert numbers(items) == (list(range(COUNT)), [])
    with pytest.raises(UnsupportedError, match="chunk type 'Z'.*update kodec"):
        list(ChunkReader(file(b"Z")))
    for kind in (b"e", b"H"):
        with pytest.raises(BitstreamError, match="among the packets"):
            list(ChunkReader(file(kind)))


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="holds a video where a picture is asked for"):
        read_container(FILE)
    with pytest.raises(UnsupportedError, match="holds a picture where a video or a fitted"):
        ChunkReader(write_container(PICTURE, [b""] * 8), kinds=("fitted", "sequence"))
    with pytest.raises(InvalidInputError, match="refuse, keep"):
        ChunkReader(FILE, damaged="ignore")  # type: ignore[arg-type]


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_with_the_packets() -> None:
    fifo, count, data = Fifo(), 100_000, bytes(1000)

    def writing() -> Iterator[None]:
        with ChunkWriter(fifo.file, HEADER) as writer:
            for number in range(count):
                writer.write(data, steps_of(number, 8))
                if number % 64 == 0:
                    yield

    fifo.source = writing()
    before = most = 0
    last = -1
    for item in ChunkReader(fifo.file):
        assert isinstance(item, Packet) and len(item.data) == 1000
        last = item.number
        if last % 4096 == 0:
            most = max(most, resident())
            before = before or most
    assert last == count - 1
    # 100 MB went through; 12,500 refreshes are in the index.
    assert most - before < 4_000_000


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(FILE) - 1), st.integers(0, len(FILE) - 1), st.binary(max_size=9)
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_whatever_is_damaged_no_packet_is_wrong(
    changes: list[tuple[int, int, bytes]], seekable: bool
) -> None:
    data = FILE
    for a, b, new in changes:
        data = data[: min(a, b)] + new + data[max(a, b) :]
    try:
        items, _ = kept(data, seekable)
    except KodecError as error:
        assert len(str(error).splitlines()) == 1
    else:
        numbers(items)
    if data != FILE:
        with pytest.raises(KodecError):
            list(ChunkReader(data if seekable else pipe(data)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(split(FILE)) - 1), st.binary(max_size=40), st.booleans())
def test_forged_chunks_are_one_error_or_a_file(place: int, payload: bytes, front: bool) -> None:
    kind, old = split(FILE)[place]
    forged = chunks_with(place, (kind, payload + old if front else old[: len(payload)] + payload))
    for damaged in ("refuse", "keep"):
        try:
            items = list(ChunkReader(forged, damaged=damaged))
        except KodecError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert len(items) <= COUNT + 1
