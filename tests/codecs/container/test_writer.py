import io
from dataclasses import replace

import pytest

from kodec.codecs import (
    ChunkReader,
    ChunkWriter,
    FittedHeader,
    Packet,
    PictureHeader,
    Step,
    read_container,
    write_container,
)
from kodec.native import BitstreamError, InvalidInputError
from sequences import HEADER, data_of, sequence_file, steps_of

PICTURE = PictureHeader(9, 7, 3, 20, bytes(8), "guarded")
FITTED = FittedHeader(1, 0, 9, 7, 5, 3, (16, 3), "exact")


class Grudging(io.RawIOBase):
    """Takes three bytes at a time."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data[:3]
        return len(data[:3])


def test_a_file_that_takes_few_bytes_at_a_time_gets_all() -> None:
    file = Grudging()
    with ChunkWriter(file, PICTURE) as writer:  # type: ignore[arg-type]
        writer.write(b"some coded bytes")
    assert file.data == write_container(PICTURE, [b"some coded bytes"])
    assert writer.bytes_written == len(file.data)


def test_a_packet_costs_at_most_twelve_bytes_beside_its_data() -> None:
    def cost(count: int, size: int) -> int:
        file = io.BytesIO()
        with ChunkWriter(file, HEADER) as writer:
            for number in range(count):
                writer.write(bytes(size), steps_of(number, 32))
        return len(file.getvalue()) - count * size

    # One for the type, one to three for the length, one for the step, four for the checksum;
    # a refresh has its frame and an entry in the index.
    assert cost(2, 100) - cost(1, 100) == 7
    assert cost(2, 16000) - cost(1, 16000) == 8
    assert cost(2, 200_000) - cost(1, 200_000) == 9
    assert (cost(10_000, 1000) - cost(0, 1000)) / 10_000 < 8.5


def test_a_file_is_whole_only_after_it_was_closed() -> None:
    file = io.BytesIO()
    writer = ChunkWriter(file, HEADER)
    for number in range(3):
        assert writer.write(data_of(number), steps_of(number)) == number
    part = file.getvalue()
    with pytest.raises(BitstreamError, match="truncated: it ends after 3 packets"):
        list(ChunkReader(part))
    writer.close()
    writer.close()
    assert len(list(ChunkReader(file.getvalue()))) == 3
    with pytest.raises(InvalidInputError, match="closed"):
        writer.write(b"")


def test_an_exception_leaves_the_file_without_an_end() -> None:
    file = io.BytesIO()
    with pytest.raises(RuntimeError), ChunkWriter(file, HEADER) as writer:
        writer.write(data_of(0), steps_of(0))
        raise RuntimeError
    reader = ChunkReader(file.getvalue(), damaged="keep")
    assert list(reader) == [Packet(0, data_of(0), steps_of(0))]
    assert "truncated" in str(reader.cut)


class Full(io.BytesIO):
    """Takes half of the second packet."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() > 100:
            super().write(data[: len(data) // 2])
            raise OSError("no space left on device")
        return super().write(data)


def test_a_packet_that_was_not_written_whole_leaves_no_end() -> None:
    file = Full()
    writer = ChunkWriter(file, HEADER)
    writer.write(bytes(100), steps_of(0))
    with pytest.raises(OSError):
        writer.write(bytes(100), steps_of(1))
    with pytest.raises(InvalidInputError, match="incomplete"):
        writer.close()
    with pytest.raises(InvalidInputError, match="broken"):
        writer.write(bytes(100), steps_of(2))
    reader = ChunkReader(file.getvalue(), damaged="keep")
    assert list(reader) == [Packet(0, bytes(100), steps_of(0))]
    assert reader.cut is not None


def test_what_cannot_be_written_leaves_the_file_as_it_was() -> None:
    file = io.BytesIO()
    with ChunkWriter(file, HEADER, {"icc": b"profile"}) as writer:
        for number in range(11):
            with pytest.raises(InvalidInputError):
                writer.write(b"x")
            with pytest.raises(InvalidInputError):
                writer.write(b"x", (Step(number, references=(9,)),))
            writer.write(data_of(number), steps_of(number))
    assert file.getvalue() == sequence_file(11)


@pytest.mark.parametrize("header", [PICTURE, replace(PICTURE, planes=3), FITTED])
def test_counted_packets_and_steps(header: PictureHeader | FittedHeader) -> None:
    writer = ChunkWriter(io.BytesIO(), header)
    with pytest.raises(InvalidInputError, match="only a sequence's packets have steps"):
        writer.write(b"", (Step(0),))
    if isinstance(header, PictureHeader):
        with pytest.raises(InvalidInputError, match="of which 0 were written"):
            writer.close()
        for _ in range(header.packets):
            writer.write(b"")
        with pytest.raises(InvalidInputError, match="takes no more"):
            writer.write(b"")
    writer.close()


def test_a_picture_written_as_a_stream_is_the_same_file() -> None:
    header = replace(PICTURE, tile=(4, 4))
    packets = [data_of(number) for number in range(header.packets)]
    file = io.BytesIO()
    with ChunkWriter(file, header, {"exif": b"MM\0*"}) as writer:
        for packet in packets:
            writer.write(packet)
    assert file.getvalue() == write_container(header, packets, {"exif": b"MM\0*"})
    assert read_container(file.getvalue()).packets == tuple(packets)
