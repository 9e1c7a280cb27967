"""Which blocks of a difference are coded at all: flags through a port, under counted tables.

whether all blocks of the frame are coded; if not,
for each of six phases of blocks, coarse to fine:
    context: flags of coded blocks around, whether something was coded here in the frame before,
             whether the block moves as it did, a class of quality
"""

import torch
from torch import Tensor, nn

from kodec.entropy import CountedBlock, CountedTables, SymbolPort, phase_positions
from kodec.native import BitstreamError

from .motion_fields import AROUND, PHASES, QUALITY_CLASSES

UNKNOWN = 2
"""In place of a flag where there was no frame before."""
_BEFORE = 3
# Around: none known, none coded, less than half, more, all.
_NEAR = 5


class CodedBlocks(nn.Module):
    """Codes flags of blocks, 1 where there is something to code; learns by counting."""

    exact = True

    def __init__(self) -> None:
        super().__init__()
        self.every = CountedTables(_BEFORE * QUALITY_CLASSES, 0, 1)
        self.flags = CountedTables(_NEAR * _BEFORE * 2 * QUALITY_CLASSES, 0, 1, QUALITY_CLASSES)

    def symbols(self, rows: int, columns: int) -> int:
        """Symbols of an item's flags of so many blocks."""
        return 1 + rows * columns

    def code(
        self,
        flags: Tensor | None,
        before: Tensor,
        all_before: Tensor,
        steady: Tensor,
        quality_class: Tensor,
        port: SymbolPort,
    ) -> Tensor:
        """Pass flags (N, rows, columns), int64, through the port; where all are 1, they take a bit.

        before: 1 where something was coded in the frame before, or `UNKNOWN`. all_before: (N,) 1 if
        all its flags were, or `UNKNOWN`. steady: whether blocks move as they did, bool.
        quality_class: (N,) 0 to `QUALITY_CLASSES` - 1. Raises `BitstreamError` for what is no flag.
        """
        n, rows, columns = before.shape
        classes = quality_class[:, None]
        context = all_before[:, None] * QUALITY_CLASSES + classes
        every = None if flags is None else (flags == 1).all(2).all(1)[:, None].long()
        every = _checked(port.code("every", every, CountedBlock(self.every, context)))
        found = torch.zeros_like(before)
        for phase, places in enumerate(phase_positions(rows, columns, PHASES)):
            if not len(places):
                continue
            row, column = torch.div(places, columns, rounding_mode="floor"), places % columns
            coded, known = torch.zeros(n, len(places)).long(), torch.zeros(len(places)).long()
            for down, right in AROUND[phase]:
                y, x = row + down, column + right
                here = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
                coded += found[:, y.clamp(0, rows - 1), x.clamp(0, columns - 1)] * here
                known += here
            # 0 with none known; of the others a class by the share that is coded.
            near = (coded > 0).long() + (2 * coded >= known) + (coded == known)
            near = torch.where(known > 0, 1 + near.clamp(max=3), 0)
            context = (near * _BEFORE + before[:, row, column]) * 2 + steady[:, row, column].long()
            context = torch.where(every > 0, -1, context * QUALITY_CLASSES + classes)
            given = None
            if flags is not None:
                given = torch.where(every > 0, 0, flags[:, row, column])
            own = port.code("flags", given, CountedBlock(self.flags, context))
            found[:, row, column] = torch.where(every > 0, 1, _checked(own))
        return found


def _checked(flags: Tensor) -> Tensor:
    flags = flags.long()
    if flags.numel() and not 0 <= int(flags.min()) <= int(flags.max()) <= 1:
        raise BitstreamError("a block is coded as none can be: a damaged file")
    return flags
