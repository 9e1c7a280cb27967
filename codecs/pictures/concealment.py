"""What stands in the place of lost tiles: their neighbours' pixels, faded into each other."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from .picture import Samples
from .tile_grid import Box, TileGrid

_Line = NDArray[np.float64]


def conceal(samples: Samples, at: Box, grid: TileGrid, lost: Collection[int]) -> None:
    """Fill lost tiles in samples (H, W, C), which lie at `at` in the picture, in place.

    A pixel is the mean of the nearest ones in its row and column that border on the tile, weighted
    by one over their distance. Tiles without a sound neighbour follow those that have one. Leaves
    samples as they are where no tile is sound.
    """
    missing = {tile for tile in lost if grid.box(tile).meets(at)}
    sound = {tile for tile in grid.meeting(at) if tile not in missing}
    while missing and sound:
        filled = [tile for tile in sorted(missing) if _neighbours(tile, grid) & sound]
        if not filled:
            return
        known = set(sound)
        for tile in filled:
            _fill(samples, at, grid, tile, known)
        sound |= set(filled)
        missing -= set(filled)


def _neighbours(tile: int, grid: TileGrid) -> set[int]:
    return set(_around(tile, grid).values())


def _around(tile: int, grid: TileGrid) -> dict[str, int]:
    """The tiles beside one, by where they are."""
    row, column = divmod(tile, grid.columns)
    found = {}
    if row:
        found["above"] = tile - grid.columns
    if row + 1 < grid.rows:
        found["below"] = tile + grid.columns
    if column:
        found["left"] = tile - 1
    if column + 1 < grid.columns:
        found["right"] = tile + 1
    return found


def _fill(samples: Samples, at: Box, grid: TileGrid, tile: int, known: Collection[int]) -> None:
    box = grid.box(tile).common(at).within(at)
    height, width = box.height, box.width
    rows, columns = np.arange(1, height + 1)[:, None], np.arange(1, width + 1)[None]
    total = np.zeros((height, width, samples.shape[2]))
    weights = np.zeros((height, width, 1))
    for where, neighbour in _around(tile, grid).items():
        if neighbour not in known:
            continue
        line, distance = _border(samples, box, where, rows, columns)
        if line is None:
            continue
        weight = np.broadcast_to(1.0 / distance, (height, width))[..., None]
        total += weight * line
        weights += weight
    if weights.any():
        samples[box.slices] = np.rint(total / np.maximum(weights, 1e-9)).astype(samples.dtype)


def _border(
    samples: Samples, box: Box, where: str, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[_Line | None, NDArray[np.int64]]:
    """The line of pixels on one side of a box, and how far the box's pixels are from it."""
    height, width = samples.shape[:2]
    y, x = box.slices
    if where == "above" and box.top:
        return samples[box.top - 1, x][None].astype(np.float64), rows
    if where == "below" and box.bottom < height:
        return samples[box.bottom, x][None].astype(np.float64), rows[::-1]
    if where == "left" and box.left:
        return samples[y, box.left - 1][:, None].astype(np.float64), columns
    if where == "right" and box.right < width:
        return samples[y, box.right][:, None].astype(np.float64), columns[:, ::-1]
    return None, rows
