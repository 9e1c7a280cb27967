"""Damaged, forged and mismatched streams: always an error, never other symbols."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coded_streams import decode, encode, make_tables, sample, small_stream
from kodec.native import (
    BitstreamError,
    Decoder,
    InvalidInputError,
    MismatchError,
    UnsupportedError,
    crc32c,
)


@pytest.mark.parametrize("segments", [1, 3])
def test_every_changed_byte_and_every_truncation_is_refused(segments: int) -> None:
    stream, indexes, tables = small_stream(segments)
    decode(stream, indexes, tables)
    for position in range(len(stream)):
        for change in range(1, 256):
            damaged = bytearray(stream)
            damaged[position] ^= change
            with pytest.raises(BitstreamError):
                decode(bytes(damaged), indexes, tables)
        with pytest.raises(BitstreamError):
            decode(stream[:position], indexes, tables)
    with pytest.raises(BitstreamError, match="follow"):
        Decoder(stream + b"\0")


def test_swapped_segments_are_refused() -> None:
    tables = make_tables([9])
    rng = np.random.default_rng(2)
    symbols = np.rint(rng.standard_normal(64)).astype(np.int32)
    first, second = symbols[:32], symbols[32:]
    ones = np.ones(64, np.uint8)
    stream = bytearray(encode(np.concatenate([first, second]), ones, tables, segments=2, lanes=1))
    size = 12  # of a header here: four fields of a byte each and two checksums
    assert len(stream) > 2 * size and stream[0] == 0x84 and stream[size] == 0x04
    heads = bytes(stream[size : 2 * size]), bytes(stream[:size])
    length = heads[1][2] + 2 * heads[1][3]
    bodies = bytes(stream[2 * size + length :]) + bytes(stream[2 * size : 2 * size + length])
    swapped = bytearray(heads[0] + heads[1] + bodies)
    swapped[0] ^= 0x80
    swapped[size] ^= 0x80
    with pytest.raises(BitstreamError):
        Decoder(bytes(swapped))


def forged(kind: int, fields: bytes, body: bytes, indexes: NDArray[np.uint16]) -> bytes:
    """A stream of one segment with valid checksums and whatever else."""
    header = bytes([kind]) + fields + struct.pack("<I", crc32c(indexes.tobytes()))
    return header + struct.pack("<I", crc32c(b"\0\0" + header + body)) + body


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=80), data=st.data())
def test_forged_streams_with_valid_checksums_end_in_an_error_or_in_symbols(
    body: bytes, data: st.DataObject
) -> None:
    """No crash, no endless loop, whatever lies behind the checksums."""
    tables = make_tables([2, 30, 256], shifts=[0, 3, 8])
    cuts = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 3)))
    bits, escapes = cuts[0], cuts[2] - cuts[1]
    words = (cuts[1] - cuts[0]) // 2
    overrides = len(body) - bits - 2 * words - escapes
    kind = data.draw(st.sampled_from([1, 2, 3, 4, 5])) << 2
    kind |= (escapes > 0) << 5 | (overrides > 0) << 6
    sections = [bits, words] + [size for size in (escapes, overrides) if size > 0]
    indexes = np.random.default_rng(0).integers(0, 4, 100).astype(np.uint16)
    try:
        decoder = Decoder(forged(kind, bytes([100, *sections]), body, indexes))
        symbols = decoder.decode(indexes, tables)
        assert symbols.shape == (100,)
        decoder.finish()
    except BitstreamError:
        pass


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    if data != b"\0":
        with pytest.raises(BitstreamError):
            Decoder(data)


def test_enormous_lengths_are_refused_before_anything_is_allocated() -> None:
    huge = b"\xff\xff\xff\xff\x7f"
    for fields in (b"\x01" + huge + b"\0", b"\x01\0" + huge, huge + huge + huge):
        with pytest.raises(BitstreamError):
            Decoder(b"\x04" + fields + bytes(20))
    one = np.ones(1, np.uint16)
    stream = forged(0x04, huge + b"\x03\x00", b"\0\0\0", one)
    decoder = Decoder(stream)
    with pytest.raises(BitstreamError, match="34359738367"):
        decoder.finish()


def test_overlong_varints_are_refused() -> None:
    tables = make_tables([2], [0])
    symbols, one = np.array([300], np.int32), np.ones(1, np.uint8)
    stream = encode(symbols, one, tables)
    escape = b"\xd6\x04"  # 2 * (300 - 1)
    assert stream.endswith(escape)
    fields, body = stream[1 : len(stream) - stream[2] - 2 * stream[3] - 2 - 8], stream[13:]
    wide = forged(0x24, fields, body, one.astype(np.uint16))
    np.testing.assert_array_equal(decode(wide, one, tables), symbols)
    longer = forged(0x24, fields[:-1] + b"\x03", body[:-2] + b"\xd6\x84\0", one.astype(np.uint16))
    with pytest.raises(BitstreamError, match="too many bytes"):
        decode(longer, one, tables)
    beyond = body[:-2] + b"\xff\xff\xff\xff\x7f"
    outside = forged(0x24, fields[:-1] + b"\x05", beyond, one.astype(np.uint16))
    with pytest.raises(BitstreamError, match="32 bits"):
        decode(outside, one, tables)


def test_other_coders_are_refused_by_name() -> None:
    nothing = np.zeros(0, np.uint16)
    with pytest.raises(UnsupportedError, match="coder 1"):
        Decoder(forged(0x01, b"\0", b"", nothing))


def test_any_other_index_is_a_mismatch() -> None:
    tables = make_tables([2, 9, 100], shifts=[0, 0, 2])
    symbols, indexes = sample(np.random.default_rng(1), 80, np.array([0.7, 2.0, 60.0]))
    stream = encode(symbols, indexes, tables)
    for position in range(80):
        other = indexes.copy()
        other[position] = (other[position] + 1) % 4
        with pytest.raises(MismatchError):
            decode(stream, other, tables)


def test_overrides_make_up_for_other_indexes_at_their_positions_only() -> None:
    stream, indexes, tables = small_stream(1)
    other = indexes.copy()
    other[[3, 4, 80]] = (other[[3, 4, 80]] + 2) % 4
    np.testing.assert_array_equal(decode(stream, other, tables), decode(stream, indexes, tables))
    other[5] = (other[5] + 2) % 4
    with pytest.raises(MismatchError):
        decode(stream, other, tables)


def test_other_tables_never_pass_as_the_encoders() -> None:
    symbols, indexes = sample(np.random.default_rng(1), 200, np.array([2.0, 3.0]))
    stream = encode(symbols, indexes, make_tables([20, 30]))
    with pytest.raises(BitstreamError):
        decode(stream, indexes, make_tables([30, 20]))


def test_more_or_fewer_symbols_than_encoded_are_refused() -> None:
    tables = make_tables([9])
    ones = np.ones(50, np.uint8)
    stream = encode(ones.astype(np.int32), ones, tables)
    with pytest.raises(BitstreamError, match="more symbols"):
        Decoder(stream).decode(np.ones(51, np.uint8), tables)
    decoder = Decoder(stream)
    decoder.decode(ones[:49], tables)
    with pytest.raises(BitstreamError, match="49 of the 50"):
        decoder.finish()
    assert Decoder(stream).symbols == 50
    assert Decoder(b"\0").symbols == 0
    with pytest.raises(BitstreamError, match="no symbols"):
        Decoder(b"\0").decode(ones, tables)


def test_a_decoder_goes_on_after_a_refused_argument_but_not_after_damage() -> None:
    stream, indexes, tables = small_stream(1)
    decoder = Decoder(stream)
    with pytest.raises(InvalidInputError, match="index 9"):
        decoder.decode(np.full(90, 9, np.uint8), tables)
    decoder.decode(indexes, tables)
    with pytest.raises(BitstreamError):
        decoder.decode(indexes, tables)
    with pytest.raises(InvalidInputError, match="stopped by an error"):
        decoder.finish()
