"""Files as docs/bitstream.md has them: a reader that knows nothing else gets the same symbols."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from independent_reader import read_picture_file, reference_decode
from kodec.codecs import load, picture_of_array
from kodec.codecs.pictures.picture import Picture
from kodec.entropy import HostCoders, integer_tables
from kodec.entropy.ports import item_coders
from kodec.native import Encoder, Tables
from photos import photo_like


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_symbols_of_whole_files(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int] | None
) -> None:
    known: dict[int, list[tuple[list[int], int, int]]] = {}
    streams: list[tuple[bytes, list[tuple[list[int], list[int], int]]]] = []

    def tables(frequencies: Any, sizes: Any, offsets: Any, shifts: Any) -> Tables:
        made = Tables(frequencies, sizes, offsets, shifts)
        parts = np.split(frequencies, np.cumsum(sizes)[:-1])
        known[made.fingerprint] = [
            (part.tolist(), int(offset), int(shift))
            for part, offset, shift in zip(parts, offsets, shifts, strict=True)
        ]
        return made

    class Recording:
        def __init__(self) -> None:
            self.inner = Encoder()
            self.blocks: list[tuple[list[int], list[int], int]] = []

        def add(self, symbols: Any, indexes: Any, own: Tables, overrides: Any) -> None:
            self.blocks.append((symbols.tolist(), indexes.tolist(), own.fingerprint))
            self.inner.add(symbols, indexes, own, overrides)

        def finish(self, *how: Any) -> bytes:
            streams.append((self.inner.finish(*how), self.blocks))
            return streams[-1][0]

    monkeypatch.setattr(integer_tables, "Tables", tables)
    recording: Any = Recording
    monkeypatch.setattr(item_coders, "HOST", HostCoders(recording))
    codec = load(tiny_model)
    samples = np.dstack([photo_like(80, 100), np.full((80, 100), 200, np.uint8)])
    given = picture_of_array(samples)
    picture = Picture(given.pixels, b"icc", b"II*\0", given.alpha, b"<x/>", {"gAMA": bytes(4)})
    data = codec.code_picture(picture, 20, tile=tile).data

    file = read_picture_file(data)
    assert (file.width, file.height, file.components, file.bit_depth) == (100, 80, 3, 8)
    assert (file.quality, file.planes, file.tile) == (20, 2, tile)
    assert file.model_id == codec.info.model_id
    assert file.metadata == {"c": b"icc", "e": b"II*\0", "k": b"gAMA" + bytes(4), "x": b"<x/>"}
    assert file.packets[1::2] == [bytes([0, 200])] * (1 if tile is None else 4)
    assert sorted(file.packets[0::2]) == sorted(stream for stream, _ in streams)
    for stream, blocks in streams:
        indexes = [block[1] for block in blocks]
        symbols = reference_decode(stream, indexes, [known[block[2]] for block in blocks])
        assert symbols == [block[0] for block in blocks]
