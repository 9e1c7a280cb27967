"""Integers under Laplace distributions whose means are no integers: packaged tables, and what picks one.

A mean counts to the nearest multiple of 2^-bits, more bits where scales are small; the integer next to
the multiple shifts the symbol and its side mirrors it, so that a level of scale needs 2^(bits - 1) + 1
tables. Means and natural logarithms of scales are integers, in units of 1/256: no floating-point number
decides anything.

The tables are integers in `located_laplace.npz`, which `python -m kodec.entropy.located_laplace` makes.
"""

import sys
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import Tables

from .integer_tables import PRECISION, IntegerTables, quantise_pmf

FRACTION = 8
"""Fraction bits of means and log scales."""

FILE = Path(__file__).with_suffix(".npz")

LEVELS = 64
LOWEST, HIGHEST = -4 << FRACTION, 3 << FRACTION
MEAN_STEPS = 6.0
"""Multiples of a mean's step in a scale, where 4 to 64 of them in 1 allow it."""
FEWEST_BITS, MOST_BITS = 2, 6
REACH = 12
"""Scales either way within which a symbol has a code of its own, and `LEAST_REACH` symbols at least."""
LEAST_REACH = 4
ESCAPE_BITS = 8.0
"""Of an escape that its table does not know: a byte, mostly."""


@dataclass(frozen=True)
class LocatedScales:
    """Levels of scale between two log scales: (n, 2) int32, (bits of means, index of first table)."""

    lowest: int
    highest: int
    levels: NDArray[np.int32]


@dataclass(frozen=True)
class PackagedTables:
    """What the file holds."""

    scales: LocatedScales
    tables: IntegerTables
    costs: Tensor
    """Bits (tables, 256) of codes; of the escape, `ESCAPE_BITS` more, for all that lies outside."""
    offsets: Tensor
    sizes: Tensor


@cache
def packaged_tables() -> PackagedTables:
    """The package's tables."""
    with np.load(FILE) as file:
        arrays = {name: file[name].astype(np.int32) for name in file.files}
    levels = arrays.pop("mean_bits")
    firsts = 1 + np.concatenate([[0], np.cumsum((1 << (levels - 1)) + 1)[:-1]])
    tables = IntegerTables()
    tables.load_arrays(arrays)
    costs = np.full((len(arrays["sizes"]), 256), np.inf)
    ends = np.cumsum(arrays["sizes"])
    for row, end, size in zip(costs, ends, arrays["sizes"], strict=True):
        row[:size] = PRECISION - np.log2(arrays["frequencies"][end - size : end])
        row[size - 1] += ESCAPE_BITS
    return PackagedTables(
        LocatedScales(LOWEST, HIGHEST, np.stack([levels, firsts], axis=1).astype(np.int32)),
        tables,
        torch.from_numpy(costs),
        torch.from_numpy(arrays["offsets"].astype(np.int64)),
        torch.from_numpy(arrays["sizes"].astype(np.int64)),
    )


class LocatedLaplace:
    """Integers of means and log scales (N, ...), int64 in units of 1/256, within [`least`, `most`]."""

    def __init__(self, mean: Tensor, log_scale: Tensor, least: int, most: int) -> None:
        packaged = packaged_tables()
        scales = packaged.scales
        count, span = len(scales.levels), scales.highest - scales.lowest
        above = log_scale.clamp(scales.lowest, scales.highest) - scales.lowest
        # Nearest, halves up, here and below.
        level = (2 * above * (count - 1) + span) // (2 * span)
        bits, first = torch.from_numpy(scales.levels.astype(np.int64)).to(level.device)[level].unbind(-1)
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
        packaged = packaged_tables()
        table = self.index - 1
        code = self.quantise(y).long() - packaged.offsets.to(table.device)[table]
        last = packaged.sizes.to(table.device)[table] - 1
        code = torch.where((code < 0) | (code > last), last, code)
        return packaged.costs.to(table.device)[table, code]

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """The bits of the symbols: integers have no gradients."""
        return self.bits(self.dequantise(symbols))

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Table indexes, none of them close to another."""
        return self.index.to(torch.uint16).contiguous(), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """The package's."""
        return packaged_tables().tables.native


def _cumulative(x: Decimal, scale: Decimal) -> Decimal:
    tail = (-abs(x) / scale).exp() / 2
    return tail if x < 0 else 1 - tail


def make_tables() -> dict[str, NDArray[np.int32]]:
    """The file's arrays, from decimal arithmetic: no library's exponential decides a frequency."""
    bits, tables, offsets = [], [], []
    with localcontext(prec=40):
        half, span = Decimal("0.5"), Decimal(HIGHEST - LOWEST) / (1 << FRACTION)
        for level in range(LEVELS):
            log_scale = Decimal(LOWEST) / (1 << FRACTION) + span * level / (LEVELS - 1)
            scale = log_scale.exp()
            mean_bits = round(float((Decimal(MEAN_STEPS) / scale).ln() / Decimal(2).ln()))
            mean_bits = min(max(mean_bits, FEWEST_BITS), MOST_BITS)
            bits.append(mean_bits)
            for distance in range((1 << mean_bits - 1) + 1):
                mean = Decimal(distance) / (1 << mean_bits)
                reach = max(REACH * scale, Decimal(LEAST_REACH))
                first = max(-127, -int(reach - mean))
                last = min(127, int(reach + mean))
                edges = [_cumulative(s - half - mean, scale) for s in range(first, last + 2)]
                pmf = [b - a for a, b in zip(edges[:-1], edges[1:], strict=True)]
                pmf.append(1 - edges[-1] + edges[0])
                tables.append(quantise_pmf(np.array([float(p) for p in pmf])))
                offsets.append(first)
    return {
        "mean_bits": np.array(bits, np.int32),
        "frequencies": np.concatenate(tables).astype(np.int32),
        "sizes": np.array([len(t) for t in tables], np.int32),
        "offsets": np.array(offsets, np.int32),
        "shifts": np.zeros(len(tables), np.int32),
    }


def main(path: Path = FILE) -> None:
    """Write the file, in as few bytes a number as it needs."""
    arrays = make_tables()
    narrow = {"frequencies": np.uint16, "sizes": np.uint16, "offsets": np.int8}
    stored = {name: a.astype(narrow.get(name, np.uint8)) for name, a in arrays.items()}
    assert all(np.array_equal(stored[name], arrays[name]) for name in arrays)
    np.savez_compressed(path, allow_pickle=False, **stored)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
