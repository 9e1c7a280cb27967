"""Wrong arguments are refused one by one, in words."""

import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coded_streams import NO_OVERRIDES, decode, encode, make_tables, small_stream
from kodec.native import (
    BitstreamError,
    Decoder,
    Encoder,
    InvalidInputError,
)


def misaligned(kind: type, count: int) -> NDArray[Any]:
    """Zeros that begin one byte behind a multiple of their size."""
    size = count * np.dtype(kind).itemsize
    aligned = np.zeros(size // 8 + 2, np.int64)
    return np.frombuffer(aligned.data, kind, offset=1, count=count)


def test_use_after_finish_is_refused() -> None:
    stream, indexes, tables = small_stream(1)
    decoder = Decoder(stream)
    decoder.decode(indexes, tables)
    decoder.finish()
    with pytest.raises(InvalidInputError, match="finished"):
        decoder.decode(indexes, tables)
    with pytest.raises(InvalidInputError, match="finished"):
        decoder.finish()
    encoder = Encoder()
    encoder.finish()
    with pytest.raises(InvalidInputError, match="finished"):
        encoder.finish()
    with pytest.raises(InvalidInputError, match="finished"):
        encoder.add(indexes.astype(np.int32), indexes, tables, NO_OVERRIDES)


@pytest.mark.parametrize(
    ("symbols", "indexes", "overrides", "message"),
    [
        ([0.0, 1.0], [1, 1], [], "symbols must be of type int16 or int32"),
        (np.zeros(2, np.int64), [1, 1], [], "symbols must be of type"),
        (np.zeros((1, 2), np.int32), [1, 1], [], "symbols must have one dimension, not 2"),
        (np.zeros(4, np.int32)[::2], [1, 1], [], "symbols must be contiguous"),
        ("ab", [1, 1], [], "symbols must be an array of int16 or int32, not str"),
        (None, [1, 1], [], "symbols must be an array"),
        (misaligned(np.int32, 2), [1, 1], [], "symbols must lie at a multiple"),
        ([0, 0], np.zeros(2, np.int32), [], "indexes must be of type uint8 or uint16"),
        ([0, 0], np.zeros(4, np.uint8)[::2], [], "indexes must be contiguous"),
        ([0, 0], np.zeros((2, 1), np.uint8), [], "indexes must have one dimension"),
        ([0, 0], [1], [], "2 symbols, but 1 indexes"),
        ([0, 0], [1, 3], [], "index 3 at position 1 names no table"),
        ([0, 5], [1, 0], [], "position 1 is 5, but index 0"),
        ([0, 0], [1, 1], [2], "override position 2 lies outside"),
        ([0, 0], [1, 1], [1, 0], "ascend"),
        ([0, 0], [1, 1], [1, 1], "ascend"),
        ([0, 0], [1, 1], np.zeros(1, np.int64), "overrides must be of type uint32"),
    ],
)
def test_bad_blocks_are_refused_and_leave_the_encoder_as_it_was(
    symbols: object, indexes: object, overrides: object, message: str
) -> None:
    def array(value: object, kind: type) -> object:
        integers = isinstance(value, list) and all(isinstance(v, int) for v in value)
        return np.array(value, kind if integers else None) if isinstance(value, list) else value

    tables = make_tables([5, 5])
    encoder = Encoder()
    with pytest.raises(InvalidInputError, match=message):
        encoder.add(
            array(symbols, np.int32),  # type: ignore[arg-type]
            array(indexes, np.uint8),  # type: ignore[arg-type]
            tables,
            array(overrides, np.uint32),  # type: ignore[arg-type]
        )
    assert encoder.finish() == b"\0"


@pytest.mark.parametrize(
    ("segments", "lanes", "message"),
    [
        (-1, 0, "segments"),
        (1025, 0, "segments"),
        (0, 2, "lanes"),
        (0, 64, "lanes"),
        (0, -1, "lanes"),
    ],
)
def test_bad_layouts_are_refused(segments: int, lanes: int, message: str) -> None:
    encoder = Encoder()
    with pytest.raises(InvalidInputError, match=message):
        encoder.finish(segments, lanes)
    with pytest.raises(InvalidInputError, match="integer"):
        encoder.finish("all")  # type: ignore[arg-type]
    assert encoder.finish() == b"\0"


@pytest.mark.parametrize(
    ("indexes", "message"),
    [
        (np.zeros(90, np.int64), "indexes must be of type"),
        (np.zeros((9, 10), np.uint8), "one dimension"),
        (np.zeros(180, np.uint8)[::2], "contiguous"),
        (misaligned(np.uint16, 90), "indexes must lie at a multiple"),
        ([1, 2], "must be an array"),
    ],
)
def test_bad_indexes_are_refused_by_the_decoder(indexes: object, message: str) -> None:
    stream, _, tables = small_stream(1)
    with pytest.raises(InvalidInputError, match=message):
        Decoder(stream).decode(indexes, tables)  # type: ignore[arg-type]


def test_streams_come_as_any_bytes_and_nothing_else() -> None:
    stream, indexes, tables = small_stream(1)
    expected = decode(stream, indexes, tables)
    for data in (bytearray(stream), memoryview(stream)):
        np.testing.assert_array_equal(Decoder(data).decode(indexes, tables), expected)
    for wrong in ("text", None, 7):
        with pytest.raises(InvalidInputError, match="must be contiguous bytes"):
            Decoder(wrong)  # type: ignore[arg-type]
    with pytest.raises(BitstreamError, match="empty"):
        Decoder(b"")


def test_the_encoder_keeps_copies() -> None:
    tables = make_tables([9])
    symbols, indexes = np.ones(40, np.int32), np.ones(40, np.uint8)
    overrides = np.array([1], np.uint32)
    encoder = Encoder()
    encoder.add(symbols, indexes, tables, overrides)
    symbols[:], indexes[:], overrides[:] = 3, 0, 9
    decoded = decode(encoder.finish(), np.ones(40, np.uint8), tables)
    assert (decoded == 1).all()


def test_tables_of_another_kind_are_refused() -> None:
    stream, indexes, _ = small_stream(1)
    with pytest.raises(InvalidInputError, match="must be a Tables"):
        Decoder(stream).decode(indexes, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="must be a Tables"):
        Encoder().add(indexes.astype(np.int32), indexes, [], NO_OVERRIDES)  # type: ignore[arg-type]


def test_read_only_arrays_are_welcome() -> None:
    stream, indexes, tables = small_stream(1)
    expected = decode(stream, indexes, tables)
    indexes.flags.writeable = False
    np.testing.assert_array_equal(decode(stream, indexes, tables), expected)


def test_a_coder_at_work_without_the_gil_is_refused_to_other_threads() -> None:
    tables = make_tables([9])
    ones = np.ones(2_000_000, np.uint8)
    decoder = Decoder(encode(ones.astype(np.int16), ones, tables))
    nothing = ones[:0]
    decoded: list[NDArray[np.int32]] = []
    worker = threading.Thread(target=lambda: decoded.append(decoder.decode(ones, tables)))
    refused = 0
    worker.start()
    while worker.is_alive():
        try:
            decoder.decode(nothing, tables)
        except InvalidInputError as error:
            assert "another thread" in str(error)
            refused += 1
    worker.join()
    assert refused > 0
    assert (decoded[0] == 1).all()
    decoder.finish()
