"""Whatever is encoded comes back, and every kernel of this machine writes the same bytes."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coded_streams import KERNELS, make_tables
from kodec.native import Decoder, Encoder, Tables, set_threads

INT32 = np.iinfo(np.int32)
ROOT = Path(__file__).resolve().parents[2]


@st.composite
def table_sets(draw: st.DrawFn) -> Tables:
    """Sets of one to five tables of any size, shift and offset, and now and then of 300."""
    if draw(st.integers(0, 9)) == 0:
        return make_tables([2, 3, 5] * 100)
    count = draw(st.integers(1, 5))
    sizes = [draw(st.sampled_from([2, 3, 255, 256]) | st.integers(2, 256)) for _ in range(count)]
    if draw(st.booleans()):
        return make_tables(sizes)  # centred on 0 and without raw bits: what models use
    shifts = [draw(st.integers(0, 8)) for _ in range(count)]
    offsets = []
    for size, shift in zip(sizes, shifts, strict=True):
        highest = int(INT32.max) - ((size - 1) << shift)
        ends = st.sampled_from([int(INT32.min), -(size << shift) // 2, -1, 0, highest])
        offsets.append(draw(ends | st.integers(int(INT32.min), highest)))
    return make_tables(sizes, offsets, shifts)


@dataclass
class Block:
    tables: Tables
    symbols: NDArray[Any]
    indexes: NDArray[Any]
    overrides: NDArray[np.uint32]
    theirs: NDArray[Any] = field(repr=False)  # the decoder's indexes: others where overridden


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    tables = draw(table_sets())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 70) | st.integers(0, 5000) | st.integers(0, 100_000))
    narrow = draw(st.booleans())
    ends = np.iinfo(np.int16 if narrow else np.int32)
    spread = draw(st.sampled_from([0.0, 0.3, 20.0, 1e4, 1e9]))
    symbols = np.clip(rng.standard_normal(count) * spread, ends.min, ends.max)
    symbols = np.rint(symbols).astype(ends.dtype)
    escaping = draw(st.sampled_from([0, 0.001, 0.1]))
    for end in (ends.min, ends.max):
        symbols[rng.random(count) < escaping] = end
    wide_indexes = len(tables) > 255 or draw(st.booleans())
    highest = draw(st.integers(0, len(tables)))
    indexes = rng.integers(0, highest + 1, count).astype(np.uint16 if wide_indexes else np.uint8)
    symbols[indexes == 0] = 0
    overridden = rng.random(count) < draw(st.sampled_from([0, 0.01, 0.5]))
    theirs = indexes.copy()
    theirs[overridden] = rng.integers(0, len(tables) + 1, overridden.sum())
    overrides = np.flatnonzero(overridden).astype(np.uint32)
    return Block(tables, symbols, indexes, overrides, theirs)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(blocks(), max_size=4),
    segments=st.sampled_from([0, 1, 2, 7, 1024]) | st.integers(1, 40),
    lanes=st.sampled_from([0, 1, 4, 8, 16, 32]),
)
def test_every_stream_comes_back_and_is_the_same_from_every_kernel(
    items: list[Block], segments: int, lanes: int
) -> None:
    streams = {}
    for kernel in KERNELS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KODEC_SIMD", kernel)
            encoder = Encoder()
            for block in items:
                encoder.add(block.symbols, block.indexes, block.tables, block.overrides)
            streams[kernel] = encoder.finish(segments, lanes)
            decoder = Decoder(streams[kernel])
        for block in items:
            decoded = decoder.decode(block.theirs, block.tables)
            np.testing.assert_array_equal(decoded, block.symbols)
        decoder.finish()
    assert all(stream == streams["scalar"] for stream in streams.values())


def test_streams_do_not_depend_on_the_number_of_threads() -> None:
    """The program round_trips varies it; this is a size at which several do run."""
    tables = make_tables([3, 200], shifts=[0, 3])
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 3, 1_200_000).astype(np.uint8)
    symbols = np.where(indexes == 0, 0, rng.integers(-90, 90, len(indexes))).astype(np.int16)
    streams = set()
    try:
        for threads in (1, 4):
            set_threads(threads)
            encoder = Encoder()
            encoder.add(symbols, indexes, tables, np.zeros(0, np.uint32))
            streams.add(encoder.finish(9))
            decoder = Decoder(next(iter(streams)))
            np.testing.assert_array_equal(decoder.decode(indexes, tables), symbols)
            decoder.finish()
    finally:
        set_threads(0)
    assert len(streams) == 1


def test_the_core_without_python_codes_random_items() -> None:
    """Builds native/tests/round_trips.cpp, in a folder that is kept for the next time."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    programs = [os.environ.get("CXX", "c++"), "cmake", "ninja"]
    if missing := [program for program in programs if shutil.which(program, path=path) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    build = ROOT / "build" / "native-tests"
    options = ["-DKODEC_EXTENSION=OFF", "-DKODEC_NATIVE_TESTS=ON", "-DKODEC_OPTIMISATION=-O1"]

    def run(*command: str | Path) -> str:
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("cmake", "-G", "Ninja", "-S", ROOT / "native", "-B", build, *options)
    run("cmake", "--build", build, "--target", "round_trips")
    printed = run(build / "tests" / "round_trips", "200")
    assert printed.endswith(f"the same with each of: {' '.join(KERNELS)}\n")
