"""Wrong arguments are refused one by one, in words."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coded_streams import KERNELS, NO_OVERRIDES, decode, encode, make_tables, small_stream
from kodec.native import (
    BitstreamError,
    Decoder,
    Encoder,
    InvalidInputError,
    Tables,
    set_threads,
    simd,
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
        (np.zeros(2, ">i4"), [1, 1], [], "symbols must be an array"),
        (misaligned(np.int32, 2), [1, 1], [], "symbols must lie at a multiple"),
        (np.zeros(2, np.int32)[::-1], [1, 1], [], "symbols must be contiguous"),
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
        ([0, 0], [1, 1], np.zeros((1, 1), np.uint32), "overrides must have one dimension"),
        ([0, 0], [1, 1], np.zeros(4, np.uint32)[::2], "overrides must be contiguous"),
        ([0, 0], [1, 1], None, "overrides must be an array of uint32, not NoneType"),
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
        (np.full(90, 4, np.uint8), "index 4 names no table: the set has 3"),
        (np.full(90, 65535, np.uint16), "index 65535 names no table: the set has 3"),
    ],
)
def test_bad_indexes_are_refused_by_the_decoder(indexes: Any, message: str) -> None:
    stream, _, tables = small_stream(1)
    with pytest.raises(InvalidInputError, match=message):
        Decoder(stream).decode(indexes, tables)


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
        Decoder(stream).decode(indexes, None)  # type: ignore[call-overload]
    with pytest.raises(InvalidInputError, match="must be a Tables"):
        Encoder().add(indexes.astype(np.int32), indexes, [], NO_OVERRIDES)  # type: ignore[arg-type]


def test_read_only_arrays_are_welcome() -> None:
    stream, indexes, tables = small_stream(1)
    expected = decode(stream, indexes, tables)
    indexes.flags.writeable = False
    np.testing.assert_array_equal(decode(stream, indexes, tables), expected)


@pytest.mark.parametrize("name", ["frequencies", "sizes", "offsets", "shifts"])
def test_tables_of_arrays_that_are_no_plain_vectors_are_refused(name: str) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "frequencies": np.array([16000, 384], np.uint16),
        "sizes": np.array([2], np.uint16),
        "offsets": np.array([0], np.int32),
        "shifts": np.array([0], np.uint8),
    }
    for wrong, message in (
        (arrays[name][None], "one dimension"),
        (np.repeat(arrays[name], 4)[::2], "contiguous"),
        (arrays[name].tolist(), "be an array"),
    ):
        with pytest.raises(InvalidInputError, match=f"{name} must .*{message}"):
            Tables(**{**arrays, name: wrong})


def test_empty_arrays_are_as_good_as_others() -> None:
    stream, indexes, tables = small_stream(1)
    decoder = Decoder(stream)
    for nothing in (indexes[:0], indexes[::2][:0], indexes[:0].astype(np.uint16)):
        assert decoder.decode(nothing, tables).shape == (0,)
        assert decoder.decode(nothing, tables, np.zeros(0, np.int32)).shape == (0,)
    np.testing.assert_array_equal(decoder.decode(indexes, tables), decode(stream, indexes, tables))
    encoder = Encoder()
    encoder.add(np.zeros(0, np.int32), indexes[:0], tables, NO_OVERRIDES)
    assert encoder.finish() == b"\0"


def read_only(array: NDArray[np.int32]) -> NDArray[np.int32]:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros(90, np.int64), "out must be of type int32"),
        (np.zeros(90, np.int16), "out must be of type int32"),
        (torch.zeros(90), "out must be of type int32"),
        (np.zeros(89, np.int32), "out has room for 89 symbols, but there are 90 indexes"),
        (np.zeros(91, np.int32), "out has room for 91 symbols, but there are 90 indexes"),
        (np.zeros(180, np.int32)[::2], "out must be contiguous"),
        (torch.zeros(180, dtype=torch.int32)[::2], "out must be contiguous"),
        (np.zeros((9, 10), np.int32), "out must have one dimension, not 2"),
        (np.zeros((), np.int32), "out must have one dimension, not 0"),
        (read_only(np.zeros(90, np.int32)), "out is read-only"),
        (misaligned(np.int32, 90), "out must lie at a multiple"),
        ([0] * 90, "out must be an array of int32, not list"),
        (torch.zeros(90, dtype=torch.int32, device="meta"), "out must be an array of int32"),
    ],
)
def test_bad_places_for_symbols_are_refused_and_cost_nothing(out: Any, message: str) -> None:
    stream, indexes, tables = small_stream(1)
    decoder = Decoder(stream)
    with pytest.raises(InvalidInputError, match=message):
        decoder.decode(indexes, tables, out)
    expected = decode(stream, indexes, tables)
    np.testing.assert_array_equal(decoder.decode(indexes, tables), expected)
    decoder.finish()


def test_symbols_are_written_where_the_caller_wants_them() -> None:
    stream, indexes, tables = small_stream(1)
    expected = decode(stream, indexes, tables)
    array, tensor = np.zeros(90, np.int32), torch.zeros(90, dtype=torch.int32)
    for out in (array, tensor):
        assert Decoder(stream).decode(indexes, tables, out=out) is out
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    middle = np.full(100, 7, np.int32)
    Decoder(stream).decode(indexes, tables, middle[5:95])
    np.testing.assert_array_equal(middle, np.concatenate([[7] * 5, expected, [7] * 5]))


def test_tensors_are_taken_as_arrays_are() -> None:
    stream, indexes, tables = small_stream(1)
    expected = decode(stream, indexes, tables)
    for kind in (torch.uint8, torch.uint16):
        given = torch.from_numpy(indexes).to(kind)
        np.testing.assert_array_equal(Decoder(stream).decode(given, tables), expected)
    for kind in (torch.int16, torch.int32):
        encoder = Encoder()
        encoder.add(
            torch.ones(40, dtype=kind), torch.ones(40, dtype=torch.uint8), tables, NO_OVERRIDES
        )
        ones = np.ones(40, np.uint8)
        assert encoder.finish() == encode(ones.astype(np.int32), ones, tables)


@pytest.mark.parametrize("name", ["neon", "AVX2", "avx", " "])
def test_an_unknown_kernel_is_refused_with_those_that_are_possible(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KODEC_SIMD", name)
    message = f"KODEC_SIMD is '{name}'; on this machine it can be {', '.join(KERNELS)}$"
    for use in (simd, Encoder, lambda: Decoder(b"\0")):
        with pytest.raises(InvalidInputError, match=message):
            use()


@pytest.mark.skipif("avx512" in KERNELS, reason="this machine runs all kernels")
def test_a_kernel_that_the_machine_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KODEC_SIMD", "avx512")
    with pytest.raises(InvalidInputError, match="avx512'; on this machine it can be scalar"):
        Encoder()


def test_the_fastest_kernel_is_used_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for nothing in (None, ""):
        if nothing is None:
            monkeypatch.delenv("KODEC_SIMD", raising=False)
        else:
            monkeypatch.setenv("KODEC_SIMD", nothing)
        assert simd() == KERNELS[-1]
    for kernel in KERNELS:
        monkeypatch.setenv("KODEC_SIMD", kernel)
        assert simd() == kernel


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (-1, "count must be a number of threads, or 0 for all"),
        (2.0, "count must be an integer, not float"),
        ("2", "count must be an integer, not str"),
        (None, "count must be an integer, not NoneType"),
        (2**70, "count is out of range"),
    ],
)
def test_bad_numbers_of_threads_are_refused(count: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        set_threads(count)


def test_a_coder_at_work_without_the_gil_is_refused_to_other_threads() -> None:
    tables = make_tables([9])
    ones = np.ones(2_000_000, np.uint8)
    stream = encode(ones.astype(np.int16), ones, tables)
    nothing = ones[:0]
    refusals: list[str] = []

    def decoded_while_another_thread_tries(decoder: Decoder) -> NDArray[np.int32]:
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(decoder.decode, ones, tables)
            while not work.done():
                try:
                    decoder.decode(nothing, tables)
                except InvalidInputError as error:
                    refusals.append(str(error))
            return work.result()

    # Whether the two meet within a decoder's few milliseconds is the scheduler's to say:
    # tried until they did. Where it was the long one that was refused, nothing was decoded.
    for _ in range(1000):
        decoder = Decoder(stream)
        try:
            decoded = decoded_while_another_thread_tries(decoder)
        except InvalidInputError as error:
            refusals.append(str(error))
            continue
        assert (decoded == 1).all()
        decoder.finish()
        if refusals:
            break
    assert refusals
    assert all("another thread" in message for message in refusals)
