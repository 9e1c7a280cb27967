"""Which numbers of a picture's levels are drawn together, as blocks of samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kodec.entropy.philox import Philox
from kodec.entropy.relative_entropy import SampleBlock, blocks_of

COST_UNIT = 1024
"""Costs of numbers are in parts of a bit: 1/1024."""
# Blocks fill with a fixed shuffle, so that neighbours of one layer don't share one.
_SHUFFLE_SEED = 0

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """So many vectors (rows) of numbers whose average costs are known.

    costs: of a vector's numbers, in `COST_UNIT`ths of a bit, from the shared prior.
    """

    rows: int
    costs: NDArray[np.int64]


@dataclass(frozen=True)
class SamplePlan:
    """The blocks of all levels, one after the other; a function of seed, bits and levels.

    A level's numbers are shuffled once, then filled into blocks of at most `bits` on average, the
    same for every row; each number has its own order of the rows, so that a row that needs more
    shares its cost with others. All numbers stand in one flat vector: level after level, row by
    row.
    """

    seed: int
    bits: int
    places: Places
    """Where the numbers of the blocks are in the flat vector, block after block."""
    starts: Places
    """Where each block begins in `places`, and where the last one ends."""
    firsts: tuple[int, ...]
    """The number of each level's first block, and of all blocks."""

    @classmethod
    def of(cls, levels: Sequence[Level], bits: int, seed: int) -> "SamplePlan":
        """The plan of such levels."""
        places, sizes, firsts = [], [], [0]
        start = 0
        for i, level in enumerate(levels):
            n = len(level.costs)
            shuffled = Philox(_SHUFFLE_SEED, i).orders(np.zeros(1, np.int64), n)[0]
            own = blocks_of(level.costs[shuffled], bits * COST_UNIT)
            rows = Philox(seed, i).orders(shuffled, level.rows).T
            places.append((start + rows * n + shuffled).reshape(-1))
            sizes += own * level.rows
            firsts.append(len(sizes))
            start += level.rows * n
        starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        return cls(seed, bits, np.concatenate(places), starts, tuple(firsts))

    @property
    def blocks(self) -> int:
        """How many there are."""
        return self.firsts[-1]

    def members(self, block: int) -> Places:
        """Where a block's numbers are in the flat vector."""
        return self.places[self.starts[block] : self.starts[block + 1]]

    def block_of(self) -> Places:
        """The block of each number of the flat vector."""
        found = np.empty(len(self.places), np.int64)
        found[self.places] = np.repeat(np.arange(self.blocks), np.diff(self.starts))
        return found

    def samples(self, block: int) -> SampleBlock:
        """What a block's index chooses from."""
        return SampleBlock(self.seed, block, self.bits, len(self.members(block)))

    def normals(self, indexes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The flat vector of standard normals that all blocks' indexes stand for."""
        flat = np.empty(len(self.places), np.float32)
        for block, index in enumerate(np.asarray(indexes).tolist()):
            flat[self.members(block)] = self.samples(block).normals(index)
        return flat
