"""Tiles cover every latent once, and their windows are as wide as they must be."""

import pytest
import torch

from kodec.codecs.fitted.refining.tiles import tiles


@pytest.mark.parametrize("size", [(5, 7), (64, 64), (65, 130), (200, 3)])
def test_every_latent_is_in_one_tile(size: tuple[int, int]) -> None:
    height, width = size
    owned = torch.zeros(height, width, dtype=torch.int64)
    for tile in tiles(height, width, 32, 9, 4):
        assert tile.rows[0] % 4 == 0 and tile.columns[0] % 4 == 0
        for span, window, own, seen, length in (
            ("rows", tile.rows, tile.own_rows, tile.seen_rows, height),
            ("columns", tile.columns, tile.own_columns, tile.seen_columns, width),
        ):
            low, high = window[0] + own[0], window[0] + own[1]
            # As far as anything of the tile is seen, all that is seen there is in the window.
            assert window[0] + seen[0] <= max(0, low - 9), span
            assert window[0] + seen[1] >= min(length, high + 9), span
            assert seen[0] >= (9 if window[0] else 0), span
            assert window[1] - window[0] - seen[1] >= (9 if window[1] < length else 0), span
        rows, columns = tile.rows[0] + tile.own_rows[0], tile.columns[0] + tile.own_columns[0]
        owned[
            rows : tile.rows[0] + tile.own_rows[1], columns : tile.columns[0] + tile.own_columns[1]
        ] += 1
    assert (owned == 1).all()
