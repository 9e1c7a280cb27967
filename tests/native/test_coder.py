"""The rANS coder as a caller sees it: what goes in comes out, and nothing wrong is accepted."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from coded_streams import NO_OVERRIDES, decode, encode, make_tables, quantised, sample
from kodec.native import (
    Decoder,
    Encoder,
    Tables,
    set_threads,
)

INT32 = np.iinfo(np.int32)
LANES = (1, 4, 8, 16, 32)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("segments", [1, 3])
def test_many_small_blocks_share_a_stream(lanes: int, segments: int) -> None:
    rng = np.random.default_rng(3)
    tables = make_tables([3, 40, 256], shifts=[0, 0, 4])
    scales = np.array([0.5, 6.0, 700.0])
    blocks = [sample(rng, int(n), scales) for n in rng.integers(0, 200, 40)]
    encoder = Encoder()
    for symbols, indexes in blocks:
        encoder.add(symbols.astype(np.int16), indexes, tables, NO_OVERRIDES)
    decoder = Decoder(encoder.finish(segments, lanes))
    for symbols, indexes in blocks:
        decoded = decoder.decode(indexes, tables)
        assert decoded.dtype == np.int32
        np.testing.assert_array_equal(decoded, symbols)
    decoder.finish()


def test_symbols_at_the_ends_of_the_range_escape() -> None:
    symbols = np.array([INT32.min, INT32.max, -1, 0, 1, INT32.min + 1], np.int32)
    for shift in (0, 3, 8):
        tables = make_tables([2, 4], [0, -7], [shift, shift])
        indexes = np.array([1, 2, 1, 2, 1, 2], np.uint8)
        np.testing.assert_array_equal(
            decode(encode(symbols, indexes, tables), indexes, tables), symbols
        )


def scale_tables(scales: NDArray[np.float64]) -> tuple[Tables, list[NDArray[np.uint16]]]:
    """Gaussian tables over -r..r and the escape."""
    frequencies = []
    for scale in scales:
        reach = max(1, int(np.ceil(6 * scale)))
        codes = np.arange(-reach, reach + 1)
        fine = (codes[:, None] + np.linspace(-0.5, 0.5, 33)[None]) / scale
        frequencies.append(quantised(np.append(np.exp(-0.5 * fine**2).mean(1), 0.0)))
    sizes = np.array([len(f) for f in frequencies], np.uint16)
    offsets = -(sizes.astype(np.int32) // 2 - 1)
    shifts = np.zeros(len(scales), np.uint8)
    return Tables(np.concatenate(frequencies), sizes, offsets, shifts), frequencies


def ideal_bits(
    symbols: NDArray[np.int32], indexes: NDArray[np.uint8], tables: list[NDArray[np.uint16]]
) -> float:
    bits = 0.0
    for index, frequencies in enumerate(tables, 1):
        codes = symbols[indexes == index] + len(frequencies) // 2 - 1
        inside = (codes >= 0) & (codes < len(frequencies) - 1)
        codes = np.where(inside, codes, len(frequencies) - 1)
        bits += float(-np.log2(frequencies[codes] / 2**14).sum()) + 8 * int((~inside).sum())
    return bits


LOW_RATE_SCALES = np.geomspace(0.11, 256, 64)[:21]


def test_a_million_symbols_are_within_a_thousandth_of_the_ideal() -> None:
    tables, frequencies = scale_tables(LOW_RATE_SCALES)
    rng = np.random.default_rng(5)
    indexes = rng.integers(1, 22, 1_000_000).astype(np.uint8)
    deviations = LOW_RATE_SCALES[indexes - 1]
    symbols = np.rint(rng.standard_normal(1_000_000) * deviations).astype(np.int32)
    stream = encode(symbols, indexes, tables)
    assert 8 * len(stream) <= 1.001 * ideal_bits(symbols, indexes, frequencies)
    np.testing.assert_array_equal(decode(stream, indexes, tables), symbols)


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_symbols_cost_at_most_sixteen_bytes_more_than_the_ideal(seed: int) -> None:
    tables, frequencies = scale_tables(LOW_RATE_SCALES)
    symbols, indexes = sample(np.random.default_rng(seed), 100, LOW_RATE_SCALES)
    stream = encode(symbols, indexes, tables)
    assert len(stream) - ideal_bits(symbols, indexes, frequencies) / 8 <= 16


def test_raw_bits_cost_no_more_than_their_number() -> None:
    tables = make_tables([256], [0], [8])
    indexes = np.ones(100, np.uint8)
    plain = make_tables([256], [0], [0])
    codes = np.arange(100, dtype=np.int32)
    difference = len(encode(codes * 256 + 77, indexes, tables)) - len(encode(codes, indexes, plain))
    assert 99 <= difference <= 101


def test_streams_without_coded_symbols_are_a_few_bytes() -> None:
    tables = make_tables([3])
    assert Encoder().finish() == b"\0"
    assert encode(np.zeros(0, np.int32), np.zeros(0, np.uint8), tables, 5, 32) == b"\0"
    decoder = Decoder(b"\0")
    assert decoder.decode(np.zeros(0, np.uint8), tables).shape == (0,)
    decoder.finish()
    skips = np.zeros(10_000, np.uint8)
    stream = encode(skips.astype(np.int32), skips, tables)
    assert len(stream) <= 12
    assert not decode(stream, skips, tables).any()


def test_lanes_and_segments_are_chosen_by_compressed_size() -> None:
    tables, _ = scale_tables(np.array([0.5, 4.0]))
    rng = np.random.default_rng(11)
    lanes_of = {}
    for count in (100, 10_000, 20_000, 40_000, 80_000):
        stream = encode(*sample(rng, count, np.array([0.5, 4.0])), tables)
        lanes_of[count] = LANES[(stream[0] >> 2 & 7) - 1]
        assert stream[0] < 128  # no further segment
    assert lanes_of == {100: 1, 10_000: 4, 20_000: 8, 40_000: 16, 80_000: 32}
    symbols, indexes = sample(rng, 600_000, np.array([0.5, 4.0]))
    stream = encode(symbols, indexes, tables)
    assert stream[0] >= 128
    assert len(stream) < 1.002 * len(encode(symbols, indexes, tables, segments=1))


def test_twenty_blocks_take_at_most_twice_the_time_of_one() -> None:
    """The least CPU time of a few turns: what lies beyond it is other programs' doing."""
    tables, _ = scale_tables(LOW_RATE_SCALES)
    whole = sample(np.random.default_rng(3), 400_000, LOW_RATE_SCALES)
    twenty = list(zip(*(np.array_split(array, 20) for array in whole), strict=True))
    seconds: dict[tuple[str, int], float] = {}
    set_threads(1)
    try:
        for _ in range(7):
            for blocks in ([whole], twenty):
                start = time.thread_time()
                encoder = Encoder()
                for symbols, indexes in blocks:
                    encoder.add(symbols, indexes, tables, NO_OVERRIDES)
                stream = encoder.finish()
                middle = time.thread_time()
                decoder = Decoder(stream)
                for _, indexes in blocks:
                    decoder.decode(indexes, tables)
                decoder.finish()
                for name, spent in (
                    ("encode", middle - start),
                    ("decode", time.thread_time() - middle),
                ):
                    key = name, len(blocks)
                    seconds[key] = min(spent, seconds.get(key, spent))
    finally:
        set_threads(0)
    for name in ("encode", "decode"):
        assert seconds[name, 20] <= 2 * seconds[name, 1], seconds
