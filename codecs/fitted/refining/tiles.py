"""Tiles of latents, for gradients of pictures whose whole graph would not fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True)
class Tile:
    """A tile and the window around it that its loss is computed in; spans of latent positions.

    rows, columns: of the window. own_rows, own_columns: of the tile, within the window. seen_rows,
    seen_columns: of what the window's edges do not reach, within the window.
    """

    rows: Span
    columns: Span
    own_rows: Span
    own_columns: Span
    seen_rows: Span
    seen_columns: Span


def tiles(height: int, width: int, side: int, reach: int, unit: int) -> Iterator[Tile]:
    """The tiles of height x width latent positions, row by row.

    side: of a tile. reach: how far a position's change is seen; a window goes twice as far, and
    what is within `reach` of its edges, but for the picture's own, is not looked at. unit: windows
    begin at its multiples.
    """
    for rows in _spans(height, side, reach, unit):
        for columns in _spans(width, side, reach, unit):
            yield Tile(rows[0], columns[0], rows[1], columns[1], rows[2], columns[2])


def _spans(length: int, side: int, reach: int, unit: int) -> list[tuple[Span, Span, Span]]:
    """Window, tile and what is seen, one way."""
    found = []
    for start in range(0, length, side):
        end = min(start + side, length)
        first = max(0, start - 2 * reach) // unit * unit
        last = min(length, end + 2 * reach)
        seen = (reach if first else 0, last - first - (reach if last < length else 0))
        found.append(((first, last), (start - first, end - first), seen))
    return found
