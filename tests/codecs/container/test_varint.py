import pytest

from kodec.codecs.container.varint import MAX_VARINT, read_varint, write_varint
from kodec.native import BitstreamError, InvalidInputError


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 1), (1, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), (1 << 28, 5), (MAX_VARINT, 5)],
)
def test_round_trip_and_size(value: int, size: int) -> None:
    data = write_varint(value)
    assert len(data) == size
    assert read_varint(b"?" + data + b"?", 1) == (value, 1 + size)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\xff\x80\x00", b"\x80" * 5, b"\xff" * 5 + b"\x01"]
)
def test_truncated_over_long_and_over_large_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        read_varint(data, 0)


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1])
def test_values_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(InvalidInputError):
        write_varint(value)
