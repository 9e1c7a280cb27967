"""The CUDA coder: the CPU's bytes, the CPU's symbols, the CPU's errors.

All of it runs on a device where there is one, and on the CPU's emulation of one everywhere.
"""

import subprocess
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coded_streams import decode, encode, make_tables, sample
from cuda_backends import PROGRAMS, Device, Emulation, build_emulation
from kodec.native import (
    BitstreamError,
    Decoder,
    Encoder,
    InvalidInputError,
    MismatchError,
    Tables,
    cuda,
)

Backend = Any
"""`Emulation` or `Device`: either takes the tensors that it made."""


@pytest.fixture(params=[Emulation, Device], ids=["emulation", "device"], scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param()


@dataclass
class Block:
    """A block of several items."""

    symbols: NDArray[np.int32]
    indexes: NDArray[np.uint8]
    overridden: NDArray[np.bool_] | None
    tables: Tables


def random_blocks(items: int, sizes: list[int], seed: int = 11) -> list[Block]:
    """Wide and narrow tables, raw bits, skips, escapes, overrides in every second block."""
    rng = np.random.default_rng(seed)
    tables = make_tables([2, 9, 100, 256], shifts=[0, 0, 2, 5])
    blocks = []
    for number, size in enumerate(sizes):
        symbols, indexes = sample(rng, items * size, np.array([0.7, 2.0, 60.0, 1500.0]))
        symbols[(rng.random(items * size) < 0.01) & (indexes > 0)] = -(2**31)
        blocks.append(
            Block(
                symbols.reshape(items, size),
                indexes.reshape(items, size),
                rng.random((items, size)) < 0.02 if number % 2 else None,
                tables,
            )
        )
    return blocks


def encode_on(backend: Backend, blocks: list[Block], segments: int, lanes: int) -> list[bytes]:
    encoder = backend.module.CudaEncoder(len(blocks[0].symbols))
    for block in blocks:
        encoder.add(
            backend.tensor(block.symbols),
            backend.tensor(block.indexes),
            block.tables,
            None if block.overridden is None else backend.tensor(block.overridden),
            stream=backend.stream(),
        )
    streams: list[bytes] = encoder.finish(segments, lanes, stream=backend.stream())
    return streams


def decode_on(backend: Backend, streams: list[bytes], blocks: list[Block]) -> list[NDArray[Any]]:
    decoder = backend.module.CudaDecoder(streams, stream=backend.stream())
    decoded = []
    for block in blocks:
        out = backend.tensor(np.full(block.indexes.shape, 99, np.int32))
        indexes = backend.tensor(block.indexes)
        decoder.decode(indexes, block.tables, out, stream=backend.stream())
        decoded.append(out)
    decoder.finish(stream=backend.stream())
    return [backend.array(out) for out in decoded]


def encode_on_cpu(blocks: list[Block], item: int, segments: int, lanes: int) -> bytes:
    encoder = Encoder()
    for block in blocks:
        mask = np.zeros(0) if block.overridden is None else block.overridden[item]
        positions = np.flatnonzero(mask).astype(np.uint32)
        encoder.add(block.symbols[item], block.indexes[item], block.tables, positions)
    return encoder.finish(segments, lanes)


@pytest.mark.parametrize("lanes", [1, 8, 32])
@pytest.mark.parametrize("segments", [1, 3, 40])
def test_the_bytes_and_symbols_are_those_of_the_cpu(
    backend: Backend, segments: int, lanes: int
) -> None:
    blocks = random_blocks(3, [500, 0, 1, 33, 1000])
    streams = encode_on(backend, blocks, segments, lanes)
    assert streams == [encode_on_cpu(blocks, item, segments, lanes) for item in range(3)]
    for block, symbols in zip(blocks, decode_on(backend, streams, blocks), strict=True):
        np.testing.assert_array_equal(symbols, block.symbols)


def test_narrow_and_wide_types_give_the_same_bytes(backend: Backend) -> None:
    [block] = random_blocks(2, [300])
    block.symbols = np.clip(block.symbols, -999, 999)
    wide = encode_on(backend, [block], 2, 32)
    encoder = backend.module.CudaEncoder(2)
    encoder.add(
        backend.tensor(block.symbols.astype(np.int16)),
        backend.tensor(block.indexes.astype(np.uint16)),
        block.tables,
        stream=backend.stream(),
    )
    assert encoder.finish(2, 32, stream=backend.stream()) == wide


def test_the_choice_of_segments_costs_half_a_percent_and_the_cpu_reads_it(
    backend: Backend,
) -> None:
    tables = make_tables([60])
    symbols, indexes = sample(np.random.default_rng(4), 250_000, np.array([6.0]))
    block = Block(symbols[None], indexes[None], None, tables)
    [stream] = encode_on(backend, [block], 0, 0)
    assert stream[0] & 0x80, "several segments"
    assert len(stream) <= 1.005 * len(encode(symbols, indexes, tables, 1, 32))
    np.testing.assert_array_equal(decode(stream, indexes, tables), symbols)


def test_streams_of_the_cpu_are_read(backend: Backend) -> None:
    blocks = random_blocks(2, [700, 20])
    streams = [encode_on_cpu(blocks, 0, 0, 0), encode_on_cpu(blocks, 1, 5, 4)]
    decoder = backend.module.CudaDecoder(streams, stream=backend.stream())
    assert decoder.symbols == [Decoder(stream).symbols for stream in streams] == [720, 720]
    for block, symbols in zip(blocks, decode_on(backend, streams, blocks), strict=True):
        np.testing.assert_array_equal(symbols, block.symbols)


def test_nothing_and_skips_only_are_coded(backend: Backend) -> None:
    tables = make_tables([3])
    empty = Block(np.zeros((2, 0), np.int32), np.zeros((2, 0), np.uint8), None, tables)
    assert encode_on(backend, [empty], 0, 0) == [b"\0", b"\0"]
    skips = Block(np.zeros((2, 90), np.int32), np.zeros((2, 90), np.uint8), None, tables)
    streams = encode_on(backend, [skips], 2, 32)
    assert streams == [encode_on_cpu([skips], 0, 2, 32)] * 2
    [symbols] = decode_on(backend, streams, [skips])
    assert not symbols.any()
    assert backend.module.CudaEncoder(0).finish(stream=backend.stream()) == []


@pytest.mark.parametrize(
    ("symbols", "indexes", "overridden", "message"),
    [
        (np.zeros((1, 2), np.int64), None, None, "symbols must be of type int16 or int32"),
        (np.zeros((1, 2), np.float32), None, None, "symbols must be of type int16 or int32"),
        (np.zeros(2, np.int32), None, None, r"two dimensions \(items, symbols\), not 1"),
        (np.zeros((1, 4), np.int32)[:, ::2], None, None, "symbols must be contiguous"),
        (np.zeros((1, 3), np.int32), None, None, r"shape \(1, 3\), but indexes \(1, 2\)"),
        (np.zeros((2, 2), np.int32), np.ones((2, 2), np.uint8), None, "2 items, but .* for 1"),
        (None, np.zeros((1, 2), np.int32), None, "indexes must be of type uint8 or uint16"),
        (None, np.zeros((1, 4), np.uint8)[:, ::2], None, "indexes must be contiguous"),
        (None, None, np.zeros((1, 2), np.int32), "overridden must be of type bool or uint8"),
        (None, None, np.zeros((1, 1), np.bool_), r"overridden \(1, 1\)"),
    ],
)
def test_bad_blocks_are_refused_and_leave_the_encoder_as_it_was(
    backend: Backend,
    symbols: NDArray[Any] | None,
    indexes: NDArray[Any] | None,
    overridden: NDArray[Any] | None,
    message: str,
) -> None:
    tables = make_tables([3])
    good = np.zeros((1, 2), np.int32), np.ones((1, 2), np.uint8)
    encoder = backend.module.CudaEncoder(1)
    with pytest.raises(InvalidInputError, match=message):
        encoder.add(
            backend.tensor(good[0] if symbols is None else symbols),
            backend.tensor(good[1] if indexes is None else indexes),
            tables,
            None if overridden is None else backend.tensor(overridden),
            stream=backend.stream(),
        )
    encoder.add(backend.tensor(good[0]), backend.tensor(good[1]), tables, stream=backend.stream())
    assert encoder.finish(1, 1, stream=backend.stream()) == [
        encode(good[0][0], good[1][0], tables, 1, 1)
    ]


def test_what_does_not_lie_on_the_device_is_refused(backend: Backend) -> None:
    tables = make_tables([3])
    symbols, indexes = np.zeros((1, 2), np.int32), np.ones((1, 2), np.uint8)
    encoder, stream = backend.module.CudaEncoder(1), backend.stream()
    for wrong in (symbols, torch.zeros(1, 2, dtype=torch.int32)):
        with pytest.raises(InvalidInputError, match="symbols must lie on CUDA device 0"):
            encoder.add(wrong, backend.tensor(indexes), tables, stream=stream)
    with pytest.raises(InvalidInputError, match="symbols must be a tensor of"):
        encoder.add([[0, 0]], backend.tensor(indexes), tables, stream=stream)
    with pytest.raises(InvalidInputError, match="tables must be"):
        encoder.add(backend.tensor(symbols), backend.tensor(indexes), None, stream=stream)
    coded = encode(symbols[0], indexes[0], tables)
    decoder = backend.module.CudaDecoder([coded], stream=stream)
    with pytest.raises(InvalidInputError, match="out must lie on CUDA device 0"):
        decoder.decode(backend.tensor(indexes), tables, symbols, stream=stream)
    with pytest.raises(InvalidInputError, match="out must be of type int32"):
        out = backend.tensor(symbols.astype(np.int64))
        decoder.decode(backend.tensor(indexes), tables, out, stream=stream)
    with pytest.raises(InvalidInputError, match="no CUDA device 99"):
        backend.module.CudaEncoder(1, 99)
    with pytest.raises(InvalidInputError, match="no CUDA device 99"):
        backend.module.CudaDecoder([], 99, stream=stream)


def test_the_stream_has_to_be_named(backend: Backend) -> None:
    symbols, indexes = np.zeros((1, 2), np.int32), np.ones((1, 2), np.uint8)
    encoder = backend.module.CudaEncoder(1)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        encoder.add(backend.tensor(symbols), backend.tensor(indexes), make_tables([3]))
    with pytest.raises(TypeError, match="incompatible function arguments"):
        encoder.finish()


def test_misaligned_symbols_are_refused() -> None:
    backend = Emulation()  # torch has no such tensors
    symbols = np.zeros(9, np.uint8)[1:].view(np.int32).reshape(1, 2)
    indexes = np.ones((1, 2), np.uint8)
    with pytest.raises(InvalidInputError, match="symbols must be aligned to its type"):
        encode_on(backend, [Block(symbols, indexes, None, make_tables([3]))], 1, 1)


def test_wrong_values_are_told_of_at_the_end(backend: Backend) -> None:
    tables = make_tables([3, 5])
    symbols, indexes = np.zeros((2, 40), np.int32), np.ones((2, 40), np.uint8)
    indexes[1, 7] = 3
    with pytest.raises(InvalidInputError, match="index 3 at position 7 of item 1 names no table"):
        encode_on(backend, [Block(symbols, indexes, None, tables)], 1, 32)
    indexes[1, 7], symbols[1, 7] = 0, 5
    with pytest.raises(InvalidInputError, match="position 7 of item 1 is not 0, but index 0"):
        encode_on(backend, [Block(symbols, indexes, None, tables)], 1, 32)
    indexes[:], symbols[:] = 1, 0
    streams = encode_on(backend, [Block(symbols, indexes, None, tables)], 1, 32)
    indexes[1, 7] = 3
    with pytest.raises(InvalidInputError, match="an index of item 1 names no table"):
        decode_on(backend, streams, [Block(symbols, indexes, None, tables)])


def test_other_indexes_are_a_mismatch_that_leaves_the_other_item_alone(backend: Backend) -> None:
    [block] = random_blocks(2, [400])
    streams = encode_on(backend, [block], 3, 32)
    theirs = block.indexes.copy()
    theirs[0, 200] = 1 if theirs[0, 200] != 1 else 2
    decoder = backend.module.CudaDecoder(streams, stream=backend.stream())
    out = backend.tensor(np.zeros((2, 400), np.int32))
    decoder.decode(backend.tensor(theirs), block.tables, out, stream=backend.stream())
    with pytest.raises(MismatchError):
        decoder.finish(stream=backend.stream())
    np.testing.assert_array_equal(backend.array(out)[1], block.symbols[1])
    with pytest.raises(InvalidInputError, match="finished, or was stopped"):
        decoder.finish(stream=backend.stream())


def test_damage_and_wrong_sizes_are_bitstream_errors(backend: Backend) -> None:
    [block] = random_blocks(1, [200])
    [stream] = encode_on(backend, [block], 2, 32)
    for position in range(0, len(stream), 7):
        damaged = bytearray(stream)
        damaged[position] ^= 0x55
        with pytest.raises(BitstreamError):
            backend.module.CudaDecoder([stream, bytes(damaged)], stream=backend.stream())
    with pytest.raises(BitstreamError, match="more symbols are asked for"):
        twice = Block(block.symbols, block.indexes, None, block.tables)
        decode_on(backend, [stream], [block, twice])
    with pytest.raises(BitstreamError, match="only 0 of the"):
        decode_on(backend, [stream], [])
    with pytest.raises(BitstreamError, match="holds no symbols"):
        decode_on(backend, [b"\0"], [block])
    with pytest.raises(InvalidInputError, match="indexes of 1 items, but streams of 2"):
        decode_on(backend, [stream, stream], [block])
    with pytest.raises(InvalidInputError, match="sequence of bytes"):
        backend.module.CudaDecoder(stream, stream=backend.stream())


def test_the_order_of_streams_is_kept() -> None:
    """Work that is still going on in the current stream is waited for, and waited for by others."""
    backend = Device()
    [block] = random_blocks(1, [100_000])
    expected = [encode_on_cpu([block], 0, 4, 32)]
    symbols = torch.from_numpy(block.symbols).pin_memory()
    indexes = backend.tensor(block.indexes)
    work, other = torch.cuda.Stream(), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(work):
        torch.cuda._sleep(50_000_000)
        late = symbols.cuda(non_blocking=True)
        encoder = backend.module.CudaEncoder(1)
        encoder.add(late, indexes, block.tables, stream=work.cuda_stream)
        late.zero_()
    assert encoder.finish(4, 32, stream=other.cuda_stream) == expected
    decoder = backend.module.CudaDecoder(expected, stream=other.cuda_stream)
    with torch.cuda.stream(work):
        out = torch.empty(1, 100_000, dtype=torch.int32, device="cuda")
        decoder.decode(indexes, block.tables, out, stream=work.cuda_stream)
        copy = out.clone()
    decoder.finish(stream=work.cuda_stream)
    np.testing.assert_array_equal(copy.cpu().numpy(), block.symbols)


def test_the_module_says_that_there_is_no_device() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert cuda.device_count() == 0
    if not cuda.BUILT:
        pytest.skip("kodec was built without a CUDA compiler")
    with pytest.raises(InvalidInputError, match=r"no CUDA device 0 \(0 found\)"):
        cuda.CudaEncoder(1)
    with pytest.raises(InvalidInputError, match=r"no CUDA device 0 \(0 found\)"):
        cuda.CudaDecoder([b"\0"], stream=0)


def test_random_items_and_forged_streams_in_the_emulation() -> None:
    """native/tests/cuda_emulation.cpp: as many kinds of items as the CPU's own tests have."""
    build_emulation("cuda_emulation")
    program = PROGRAMS / "cuda_emulation"
    result = subprocess.run([program, "60"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "60 items" in result.stdout
