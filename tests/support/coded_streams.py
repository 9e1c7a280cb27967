"""Tables, symbols and streams for the tests of the rANS coder."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.native import Decoder, Encoder, InvalidInputError, Tables, simd

NO_OVERRIDES = np.zeros(0, np.uint32)


def runs_here(kernel: str) -> bool:
    """Whether this machine can run the coder with KODEC_SIMD set so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KODEC_SIMD", kernel)
        try:
            return simd() == kernel
        except InvalidInputError:
            return False


KERNELS = [kernel for kernel in ("scalar", "avx2", "avx512") if runs_here(kernel)]


def quantised(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Integer frequencies >= 1 with sum 2**14, the rounding error on the largest."""
    room = 2**14 - len(probabilities)
    frequencies = 1 + np.floor(probabilities / probabilities.sum() * room).astype(np.int64)
    frequencies[np.argmax(frequencies)] += 2**14 - frequencies.sum()
    narrow: NDArray[np.uint16] = frequencies.astype(np.uint16)
    return narrow


def make_tables(
    sizes: list[int], offsets: list[int] | None = None, shifts: list[int] | None = None
) -> Tables:
    """Bell-shaped tables of the given sizes, centred on 0 unless offsets are given."""
    frequencies = []
    for size in sizes:
        codes = np.arange(size - 1)
        bell = np.exp(-0.5 * ((codes - (size - 2) / 2) / (0.2 * size + 0.3)) ** 2)
        frequencies.append(quantised(np.append(bell, 1e-6)))
    shifts = [0] * len(sizes) if shifts is None else shifts
    if offsets is None:
        offsets = [-((size - 1) << k) // 2 for size, k in zip(sizes, shifts, strict=True)]
    return Tables(
        np.concatenate(frequencies),
        np.array(sizes, np.uint16),
        np.array(offsets, np.int32),
        np.array(shifts, np.uint8),
    )


def encode(
    symbols: NDArray[np.int32],
    indexes: NDArray[np.uint8],
    tables: Tables,
    segments: int = 0,
    lanes: int = 0,
) -> bytes:
    encoder = Encoder()
    encoder.add(symbols, indexes, tables, NO_OVERRIDES)
    return encoder.finish(segments, lanes)


def decode(data: bytes, indexes: NDArray[np.uint8], tables: Tables) -> NDArray[np.int32]:
    decoder = Decoder(data)
    symbols = decoder.decode(indexes, tables)
    decoder.finish()
    return symbols


def sample(
    rng: np.random.Generator, count: int, scales: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Zero-mean Gaussian symbols; index 0 (skip) for a tenth, else index i has scales[i - 1]."""
    indexes = rng.integers(1, len(scales) + 1, count).astype(np.uint8)
    indexes[rng.random(count) < 0.1] = 0
    deviations = np.append(0.0, scales)[indexes]
    return np.rint(rng.standard_normal(count) * deviations).astype(np.int32), indexes


def small_stream(segments: int) -> tuple[bytes, NDArray[np.uint8], Tables]:
    tables = make_tables([2, 9, 100], shifts=[0, 0, 2])
    symbols, indexes = sample(np.random.default_rng(7), 90, np.array([0.7, 2.0, 60.0]))
    encoder = Encoder()
    encoder.add(symbols, indexes, tables, np.array([3, 4, 80], np.uint32))
    return encoder.finish(segments), indexes, tables
