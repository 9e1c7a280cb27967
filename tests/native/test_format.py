"""The stream format, pinned: an independent decoder (support/independent_reader.py), and bytes."""

import numpy as np
import pytest

from independent_reader import Choices, reference_decode
from kodec.native import (
    BitstreamError,
    Decoder,
    Encoder,
    InvalidInputError,
    MismatchError,
    Tables,
    crc32c,
)

# (frequencies, offset, shift)
TABLES = [
    ([16383, 1], 0, 0),
    ([1000, 3000, 8384, 3000, 1000], -3, 0),
    ([2000] * 8 + [384], -32, 3),
    ([64] * 255 + [64], -512, 2),
]


def kodec_tables() -> Tables:
    return Tables(
        np.concatenate([table[0] for table in TABLES]).astype(np.uint16),
        np.array([len(table[0]) for table in TABLES], np.uint16),
        np.array([table[1] for table in TABLES], np.int32),
        np.array([table[2] for table in TABLES], np.uint8),
    )


def example_blocks() -> list[tuple[list[int], list[int]]]:
    """Two blocks of 100 and 41 symbols with skips, raw bits and escapes on both sides."""
    blocks = []
    for count, seed in ((100, 1), (41, 5)):
        symbols, indexes = [], []
        for i in range(count):
            seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
            index = (seed >> 8) % 5
            spread = (0, 1, 7, 64, 1100)[index]
            indexes.append(index)
            symbols.append((seed >> 16) % spread - spread // 2 if index else 0)
            if index == 4 and i % 7 == 0:
                symbols[-1] = -(2**31) if i % 2 else 2**31 - 1
        blocks.append((symbols, indexes))
    return blocks


def example_stream(segments: int, lanes: int) -> bytes:
    encoder = Encoder()
    for symbols, indexes in example_blocks():
        encoder.add(
            np.array(symbols, np.int32),
            np.array(indexes, np.uint8),
            kodec_tables(),
            np.array([0, 33, 40], np.uint32),
        )
    return encoder.finish(segments, lanes)


@pytest.mark.parametrize("lanes", [0, 1, 4, 8, 16, 32])
@pytest.mark.parametrize("segments", [0, 2, 3, 6])
def test_a_decoder_written_from_the_document_agrees(segments: int, lanes: int) -> None:
    blocks = example_blocks()
    theirs = [list(indexes) for _, indexes in blocks]
    for indexes in theirs:
        for position in (0, 33, 40):
            indexes[position] = 1
    decoded = reference_decode(example_stream(segments, lanes), theirs, [TABLES] * 2)
    assert decoded == [symbols for symbols, _ in blocks]


@pytest.mark.parametrize("segments", [1, 2, 6])
def test_the_document_s_decoder_reads_choices(segments: int) -> None:
    """Signalled ones come back; they take no part in the rANS and cost their overrides alone."""
    (first, _), (second, theirs_of_second) = example_blocks()
    chosen = [(i * 7919) % 65536 for i in range(90)]
    encoder, plain = Encoder(), Encoder()
    for number, (symbols, indexes) in enumerate(example_blocks()):
        block = (np.array(symbols, np.int32), np.array(indexes, np.uint8), kodec_tables())
        for each in (encoder, plain):
            each.add(*block, np.zeros(0, np.uint32))
        if number == 0:
            encoder.choose(np.array(chosen, np.uint16), np.array([2, 70], np.uint32))
    stream = encoder.finish(segments)
    theirs = Choices(chosen)
    theirs[2] += 1
    theirs[70] -= 1
    blocks = [example_blocks()[0][1], theirs, theirs_of_second]
    assert reference_decode(stream, blocks, [TABLES] * 3) == [first, chosen, second]
    # Two overrides of two to four bytes each, and the symbol count and section length.
    assert len(stream) <= len(plain.finish(segments)) + 2 * 5 + 2 * segments

    decoder = Decoder(stream)
    decoder.decode(np.array(blocks[0], np.uint8), kodec_tables())
    assert decoder.choose(np.array(theirs, np.uint16)).tolist() == chosen
    decoder.decode(np.array(blocks[2], np.uint8), kodec_tables())
    decoder.finish()


def test_choices_that_differ_unsignalled_are_a_mismatch() -> None:
    encoder = Encoder()
    encoder.choose(np.arange(50, dtype=np.uint16), np.array([5], np.uint32))
    stream = encoder.finish()
    for place, fine in ((5, True), (6, False)):
        theirs = np.arange(50, dtype=np.uint16)
        theirs[place] += 1
        decoder = Decoder(stream)
        decoder.choose(theirs)
        if fine:
            decoder.finish()
        else:
            with pytest.raises(MismatchError):
                decoder.finish()
    with pytest.raises(BitstreamError, match="more symbols"):
        Decoder(stream).choose(np.arange(51, dtype=np.uint16))
    with pytest.raises(InvalidInputError, match="uint16"):
        Encoder().choose(np.arange(5), np.zeros(0, np.uint32))  # type: ignore[arg-type]


PINNED = {
    (0, 0): (
        "648d0116193a0c94dc607000f03394b9ffdf74da98bfacc823fc77b3b1fb34343bd54661044b5bad"
        "8edbc371066802bd810913860ddd2b4af1867bbd928e7d417d001b42007f7508f32bcd26fd8381dc"
        "3ad40a433e309580feffff0380feffff030480feffff030002fffdffff0304040280feffff030002"
        "fffdffff0300040880feffff03fffdffff030204fffdffff030004200106043b0420020604"
    ),
    (1, 32): (
        "748d0181010a3a0c94dc607094ec28f4b06662fdb043e63f774ab878d43886bec03ff54dbe0049c6"
        "521e83bd0620fc041805644686a36500c20077ad80f107e2fc00be6f80e615ced0ff1be8a08080fb"
        "1b0c3d13fcec9bb2f503800900a8711e38a438e00c1900ff03944c53e00d38403880c63d2081a607"
        "dde3156eab2b306dcc5f56e411febbd9d87d1a9a9d6aa33002c143cc0dc03ff83f001ac01b700340"
        "788013000680feffff0380feffff030480feffff030002fffdffff0304040280feffff030002fffd"
        "ffff0300040880feffff03fffdffff030204fffdffff030004200106043b0420020604"
    ),
    (2, 4): (
        "e8601c0e23080b4456cbb854db97682d13071704bf7bc83b365ad5ea77e7fabf1ff8a629a2f2afdd"
        "5e489936e62f2bf208ffa7a1d9a9360a7c8d8139edbfa7e2c04352000849dcf86463de2e5d38c015"
        "f8db841380feffff0380feffff030480feffff030002fffdffff030480feffff03fffdffff030200"
        "04200106041704ba776dbc4b40fdb6c386b8fea77cea66633723828554fe4cc0e8c0b04b5078c43f"
        "040280feffff030002fffdffff0300040804fffdffff0325020604"
    ),
}


@pytest.mark.parametrize(("segments", "lanes"), list(PINNED))
def test_streams_never_change(segments: int, lanes: int) -> None:
    """The format is settled; a change of these bytes needs a new format version."""
    assert example_stream(segments, lanes).hex() == PINNED[segments, lanes]


def test_the_fingerprint_of_tables_never_changes() -> None:
    sizes = np.array([len(table[0]) for table in TABLES], "<u2")
    offsets = np.array([table[1] for table in TABLES], "<i4")
    shifts = np.array([table[2] for table in TABLES], "u1")
    frequencies = np.concatenate([table[0] for table in TABLES]).astype("<u2")
    data = b"".join(array.tobytes() for array in (sizes, offsets, shifts, frequencies))
    assert kodec_tables().fingerprint == crc32c(data)
