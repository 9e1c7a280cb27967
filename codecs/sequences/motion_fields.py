"""Vectors of blocks through a port: predicted from those around and before, under counted tables.

    for each of six phases of blocks, coarse to fine:
        candidates: vectors of coded blocks around, the vector here of the frame before
        division, first vector - median(candidates), other vectors - first vector

All in integers, contexts too: how far candidates are apart, the phase, a class of quality.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kodec.entropy import CountedBlock, CountedTables, SymbolPort, phase_positions
from kodec.native import BitstreamError

BLOCK = 16
CELL = 8
PHASES = 6
# Where a block of each phase finds blocks of earlier ones: rows and columns away.
_CROSS, _CORNERS = ((-1, 0), (1, 0), (0, -1), (0, 1)), ((-1, -1), (-1, 1), (1, -1), (1, 1))
_AROUND = tuple(
    tuple((scale * row, scale * column) for row, column in offsets)
    for scale, offsets in ((1, ()), (2, _CORNERS), (2, _CROSS), (1, _CORNERS), (1, _CROSS))
)
AROUND = (*_AROUND, (*_CROSS, *_CORNERS))
# No tensors here: what imports this may be building on the meta device.
# Bounds of the classes of how far candidates are apart, in eighths of a pixel.
_SPREADS = (1, 2, 5, 12, 40)
SPREAD_CLASSES = len(_SPREADS) + 1
QUALITY_CLASSES = 3
# Bounds of how many around are divided: 0, 1, more.
_MANY = (1, 2)
SIZES = (1, 5)
_SIZE_CLASSES = len(SIZES) + 1
REACH = 60
_LARGEST = 2**15 - 1
# Cells (row, column) of a divided block that have a vector of their own, besides the first.
CELLS = ((0, 1), (1, 0), (1, 1))
# Which of them each division has: none, upper and lower, left and right, quarters.
OWN_VECTORS = ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1))
# Where the four cells of a divided block have their vectors from: 0 the first, else `CELLS`.
_SOURCES = ((0, 0, 0, 0), (0, 0, 2, 2), (0, 1, 0, 1), (0, 1, 2, 3))
DIVISIONS = len(OWN_VECTORS)
SYMBOLS_OF_BLOCK = 1 + 2 + 2 * len(CELLS)


@dataclass(frozen=True)
class MotionField:
    """Vectors (N, 2 rows, 2 columns, 2) of 8x8 cells, down and right in quarters of a pixel, and
    divisions (N, rows, columns) of blocks of 16x16: int64, as `kodec.native.motion.search`'s."""

    vectors: Tensor
    divisions: Tensor


class MotionCoder(nn.Module):
    """Codes fields, predicted by the vectors of the frame before too; learns by counting."""

    exact = True

    def __init__(self) -> None:
        super().__init__()
        spreads = SPREAD_CLASSES * QUALITY_CLASSES
        of_first, of_others = PHASES * QUALITY_CLASSES, len(CELLS) * QUALITY_CLASSES
        first, others = spreads * PHASES, spreads * len(CELLS)
        self.divisions = CountedTables(3 * spreads, 0, DIVISIONS - 1, QUALITY_CLASSES)
        self.down = CountedTables(first, -REACH, REACH, of_first)
        self.right = CountedTables(_SIZE_CLASSES * first, -REACH, REACH, of_first)
        self.other_down = CountedTables(others, -REACH, REACH, of_others)
        self.other_right = CountedTables(_SIZE_CLASSES * others, -REACH, REACH, of_others)

    def symbols(self, rows: int, columns: int) -> int:
        """Symbols of an item's field of so many blocks."""
        return SYMBOLS_OF_BLOCK * rows * columns

    def code(
        self, field: MotionField | None, before: Tensor, quality_class: Tensor, port: SymbolPort
    ) -> MotionField:
        """Pass a field through the port.

        before: vectors of the frame before, shaped as the field's; zeros where it has none.
        quality_class: (N,) 0 to `QUALITY_CLASSES` - 1. Raises `BitstreamError` for what no field
        has.
        """
        n, height, width, _ = before.shape
        rows, columns = height // 2, width // 2
        vectors = torch.zeros_like(before)
        divisions = torch.zeros(n, rows, columns, dtype=torch.int64)
        for phase, places in enumerate(phase_positions(rows, columns, PHASES)):
            if not len(places):
                continue
            at = torch.div(places, columns, rounding_mode="floor"), places % columns
            predicted, spread, divided = predict_blocks(vectors, divisions, before, at, phase)
            given = None if field is None else _of_blocks(field, at)
            kind = spread * QUALITY_CLASSES + quality_class[:, None]
            own = self._division(None if given is None else given[0], divided, kind, port)
            wanted = None if given is None else given[1][:, :, 0]
            context = kind * PHASES + phase
            first = self._vector("first", wanted, predicted, context, (self.down, self.right), port)
            found = [first]
            for number in range(len(CELLS)):
                has = torch.tensor(OWN_VECTORS)[own][..., number] > 0
                context = torch.where(has, kind * len(CELLS) + number, -1)
                wanted = None if given is None else given[1][:, :, 1 + number]
                tables = self.other_down, self.other_right
                found.append(self._vector("other", wanted, first, context, tables, port))
            if max(int(part.abs().max()) for part in found) > _LARGEST:
                raise BitstreamError("a vector leads out of any picture: a damaged file")
            _put(vectors, divisions, at, own, torch.stack(found, dim=2))
        return MotionField(vectors, divisions)

    def _division(
        self, given: Tensor | None, divided: Tensor, kind: Tensor, port: SymbolPort
    ) -> Tensor:
        context = divided * (SPREAD_CLASSES * QUALITY_CLASSES) + kind
        own = port.code("divisions", given, CountedBlock(self.divisions, context)).long()
        if own.numel() and not 0 <= int(own.min()) <= int(own.max()) < DIVISIONS:
            raise BitstreamError("a block is divided as none can be: a damaged file")
        return own

    def _vector(
        self,
        name: str,
        given: Tensor | None,
        predicted: Tensor,
        context: Tensor,
        tables: tuple[CountedTables, CountedTables],
        port: SymbolPort,
    ) -> Tensor:
        """Vectors (N, P, 2) about what is predicted; in context -1 that itself."""
        down, right = tables
        wanted = None
        if given is not None:
            wanted = torch.where(context[..., None] >= 0, given - predicted, 0)
        d = port.code(
            f"{name} down", None if wanted is None else wanted[..., 0], CountedBlock(down, context)
        ).long()
        size = _class_of(d.abs(), SIZES)
        context = torch.where(context >= 0, size * len(down.counts) + context, -1)
        r = port.code(
            f"{name} right",
            None if wanted is None else wanted[..., 1],
            CountedBlock(right, context),
        ).long()
        return predicted + torch.stack([d, r], dim=-1)


def _class_of(sizes: Tensor, bounds: Sequence[int]) -> Tensor:
    """How many of the bounds each size has reached."""
    return torch.stack([sizes >= bound for bound in bounds]).sum(0)


def predict_blocks(
    vectors: Tensor,
    divisions: Tensor,
    before: Tensor,
    at: tuple[Tensor, Tensor],
    phase: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of blocks of one phase, by number: the candidates' median (N, P, 2), the class of how far
    they are apart (N, P), and how many of two or more around are divided (N, P), 0 to 2."""
    _, rows, columns = divisions.shape
    candidates, inside = [before[:, 2 * at[0], 2 * at[1]]], [torch.ones_like(at[0]).bool()]
    divided = torch.zeros_like(candidates[0][..., 0])
    for down, right in AROUND[phase]:
        row, column = at[0] + down, at[1] + right
        here = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        row, column = row.clamp(0, rows - 1), column.clamp(0, columns - 1)
        # The cell that is nearest.
        cell = vectors[:, 2 * row + int(down < 0), 2 * column + int(right < 0)]
        candidates.append(torch.where(here[:, None], cell, _LARGEST))
        inside.append(here)
        divided += (divisions[:, row, column] > 0) & here
    known = torch.stack(candidates, dim=-1).sort(dim=-1).values
    count = torch.stack(inside).sum(0)
    lower, upper = (count - 1) // 2, count // 2

    def of(rank: Tensor) -> Tensor:
        index = rank[None, :, None, None].expand(*known.shape[:-1], 1)
        return known.gather(-1, index)[..., 0]

    median = (of(lower) + of(upper)) >> 1
    apart = (known - median[..., None]).abs()
    apart = torch.where(torch.arange(known.shape[-1]) < count[:, None, None], apart, 0)
    spread = 2 * apart.sum((-1, -2)) // count
    return median, _class_of(spread, _SPREADS), _class_of(divided, _MANY)


def _of_blocks(field: MotionField, at: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of blocks: divisions (N, P), and vectors (N, P, 4, 2), first that of the first cell."""
    row, column = 2 * at[0], 2 * at[1]
    cells = [field.vectors[:, row + down, column + right] for down, right in ((0, 0), *CELLS)]
    return field.divisions[:, at[0], at[1]], torch.stack(cells, dim=2)


def _put(
    vectors: Tensor, divisions: Tensor, at: tuple[Tensor, Tensor], own: Tensor, found: Tensor
) -> None:
    """Keep blocks: divisions (N, P), vectors (N, P, 4, 2)."""
    divisions[:, at[0], at[1]] = own
    sources = torch.tensor(_SOURCES)[own]
    for down in (0, 1):
        for right in (0, 1):
            index = sources[..., 2 * down + right][..., None, None].expand(*own.shape, 1, 2)
            vectors[:, 2 * at[0] + down, 2 * at[1] + right] = found.gather(2, index)[:, :, 0]
