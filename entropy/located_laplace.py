"""Integers under Laplace distributions whose means are no integers: packaged tables.

A mean counts to the nearest multiple of 2^-bits, more bits where scales are small; the integer next
to the multiple shifts the symbol and its side mirrors it, so that a level of scale needs
2^(bits - 1) + 1 tables. Means and natural logarithms of scales are integers, in units of 1/256: no
floating-point number decides anything.

The file of tables is all integers; `benchmarks/located_tables.py` makes it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import Tables

from .integer_tables import PRECISION, IntegerTables

FRACTION = 8
"""Fraction bits of means and log scales."""

FILE = Path(__file__).with_suffix(".npz")

LOWEST, HIGHEST = -4 << FRACTION, 3 << FRACTION
"""Log scales of the first and the last level."""
ESCAPE_BITS = 8.0
"""Of an escape that its table does not know: a byte, mostly."""


@dataclass(frozen=True)
class LocatedScales:
    """Levels between two log scales: (n, 2) int32, each (bits of means, index of first table)."""

    lowest: int
    highest: int
    levels: NDArray[np.int32]


@dataclass(frozen=True)
class PackagedTables:
    """What the file holds."""

    scales: LocatedScales
    levels: Tensor
    """Those of `scales`, int64."""
    tables: IntegerTables
    costs: Tensor
    """Bits (tables, 256) of codes; of the escape, `ESCAPE_BITS` more, for all that lies outside."""
    offsets: Tensor
    sizes: Tensor

    def bits(self, symbols: Tensor, indexes: Tensor) -> Tensor:
        """Code length in bit of each symbol (...), int64, under the tables of the indexes (...)."""
        table = indexes - 1
        code = symbols - self.offsets.to(table.device)[table]
        last = self.sizes.to(table.device)[table] - 1
        code = torch.where((code < 0) | (code > last), last, code)
        return self.costs.to(table.device)[table, code]


def with_costs(arrays: dict[str, NDArray[np.int32]], lowest: int, highest: int) -> PackagedTables:
    """The file's arrays, or others of the kind, ready for use."""
    levels = arrays["mean_bits"]
    firsts = 1 + np.concatenate([[0], np.cumsum((1 << (levels - 1)) + 1)[:-1]])
    tables = IntegerTables()
    tables.load_arrays({name: a for name, a in arrays.items() if name != "mean_bits"})
    costs = np.full((len(arrays["sizes"]), 256), np.inf)
    ends = np.cumsum(arrays["sizes"])
    for row, end, size in zip(costs, ends, arrays["sizes"], strict=True):
        row[:size] = PRECISION - np.log2(arrays["frequencies"][end - size : end])
        row[size - 1] += ESCAPE_BITS
    pairs = np.stack([levels, firsts], axis=1).astype(np.int32)
    return PackagedTables(
        LocatedScales(lowest, highest, pairs),
        torch.from_numpy(pairs.astype(np.int64)),
        tables,
        torch.from_numpy(costs),
        torch.from_numpy(arrays["offsets"].astype(np.int64)),
        torch.from_numpy(arrays["sizes"].astype(np.int64)),
    )


@cache
def packaged_tables() -> PackagedTables:
    """The package's tables."""
    with np.load(FILE) as file:
        arrays = {name: file[name].astype(np.int32) for name in file.files}
    return with_costs(arrays, LOWEST, HIGHEST)


class LocatedLaplace:
    """Integers from `least` to `most`, of means and log scales (N, ...): int64, in 1/256.

    packaged: other tables than the package's.
    """

    def __init__(
        self,
        mean: Tensor,
        log_scale: Tensor,
        least: int,
        most: int,
        packaged: PackagedTables | None = None,
    ) -> None:
        self.packaged = packaged = packaged or packaged_tables()
        scales = packaged.scales
        count, span = len(scales.levels), scales.highest - scales.lowest
        above = log_scale.clamp(scales.lowest, scales.highest) - scales.lowest
        # Nearest, halves up, here and below.
        level = (2 * above * (count - 1) + span) // (2 * span)
        bits, first = packaged.levels.to(level.device)[level].unbind(-1)
        drop = FRACTION - bits
        one = torch.ones_like(bits)
        mean = mean.clamp(least << FRACTION, ((most + 1) << FRACTION) - 1)
        multiple = (mean + ((one << drop) >> 1)) >> drop
        self.whole = (multiple + ((one << bits) >> 1)) >> bits
        rest = multiple - (self.whole << bits)
        self.sign = torch.where(rest < 0, -1, 1)
        self.index = first + rest.abs()
        self.least, self.most = least, most

    @property
    def shape(self) -> torch.Size:
        """Shape of the block, batch first."""
        return self.index.shape

    def quantise(self, y: Tensor) -> Tensor:
        """Symbols of the nearest integers within range."""
        values = torch.round(y.detach()).clamp(self.least, self.most)
        return (values - self.whole.to(values)) * self.sign.to(values)

    def dequantise(self, symbols: Tensor) -> Tensor:
        """The integers, float64."""
        return self.whole + self.sign * symbols.to(self.whole.device).double()

    def bits(self, y: Tensor) -> Tensor:
        """Code length of each integer in bit, as its table has it."""
        return self.packaged.bits(self.quantise(y).long(), self.index)

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """The bits of the symbols: integers have no gradients."""
        return self.bits(self.dequantise(symbols))

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Table indexes, none of them close to another."""
        return self.index.to(torch.uint16).contiguous(), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """Those of all means and scales."""
        return self.packaged.tables.native
