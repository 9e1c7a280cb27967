"""Light that changes: a reference that is weighted and lifted as a whole before blocks are moved.

As weighted prediction of H.264 (2003), with one weight for all of a frame. All in integers.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kodec.entropy import CountedBlock, CountedTables, SymbolPort
from kodec.native import BitstreamError

_Bytes = NDArray[np.uint8]
_MOST = 255
"""Of a weight beside 1, in 256ths, and of what is added, in grey levels."""
_USUAL = 60
_CELL = 16
# Cells' mean squared errors: what must be gained at least, and as a share.
_LEAST_GAIN, _SHARE = 0.25, 0.5


class Brightness(nn.Module):
    """Codes weights and offsets; learns by counting."""

    exact = True
    symbols = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = CountedTables(1, -_USUAL, _USUAL)
        self.offset = CountedTables(1, -_USUAL, _USUAL)

    def code(self, light: Tensor | None, items: int, port: SymbolPort) -> Tensor:
        """Pass `items` pairs (N, 2), int64, as `brightness_between` gives them, through the port.

        Raises `BitstreamError` for what no frame has.
        """
        found = []
        for number, (name, table) in enumerate((("weight", self.weight), ("offset", self.offset))):
            given = None if light is None else light[:, number : number + 1]
            block = CountedBlock(table, torch.zeros(items, 1, dtype=torch.int64))
            found.append(port.code(name, given, block).long())
        coded = torch.cat(found, dim=1)
        if coded.numel() and int(coded.abs().max()) > _MOST:
            raise BitstreamError("a frame's light is none that can be: a damaged file")
        return coded


def lit(reference: _Bytes, weight: int, offset: int) -> _Bytes:
    """(1 + `weight` / 256) x reference + `offset`, rounded and within a byte."""
    if weight == offset == 0:
        return reference
    # Of every value at once.
    values = ((np.arange(256) * (256 + weight) + 128) >> 8) + offset
    return np.asarray(values.clip(0, 255).astype(np.uint8)[reference])


def brightness_between(current: _Bytes, reference: _Bytes) -> tuple[int, int]:
    """Weight and offset that make one luma (H, W) of the other; zeros unless they tell much.

    By least squares of the means of 16x16 cells, which small motion changes little.
    """
    new, old = (_cells(plane) for plane in (current, reference))
    spread = old - old.mean()
    slope = float((spread * (new - new.mean())).sum() / max(float((spread**2).sum()), 1e-9))
    weight = round(256 * (slope - 1)) if spread.any() else 0
    offset = round(float((new - old * (256 + weight) / 256).mean()))
    if max(abs(weight), abs(offset)) > _MOST:
        return 0, 0
    as_it_is = float(((new - old) ** 2).mean())
    changed = float(((new - old * (256 + weight) / 256 - offset) ** 2).mean())
    if changed > _SHARE * as_it_is or as_it_is - changed < _LEAST_GAIN:
        return 0, 0
    return weight, offset


def _cells(plane: _Bytes) -> NDArray[np.float64]:
    """Means of whole cells; of a small plane, its own."""
    height, width = (side // _CELL * _CELL for side in plane.shape)
    if not height or not width:
        return np.array([plane.mean()])
    cells = plane[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    return np.asarray(cells.mean((1, 3)))
