"""Makes the tables of `kodec.entropy.LocatedLaplace`, which are part of the format.

    python benchmarks/located_tables.py [FILE]

From decimal arithmetic, so that no library's exponential decides a frequency. FILE: the package's.
"""

import sys
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.entropy.integer_tables import quantise_pmf
from kodec.entropy.located_laplace import FILE, FRACTION, HIGHEST, LOWEST

LEVELS = 64
MEAN_STEPS = 6.0
"""Multiples of a mean's step in a scale, where 4 to 64 of them in 1 allow it."""
FEWEST_BITS, MOST_BITS = 2, 6
REACH = 12
LEAST_REACH = 4
"""A symbol has a code of its own within so many scales, and within so many symbols in any case."""


def _cumulative(x: Decimal, scale: Decimal) -> Decimal:
    tail = (-abs(x) / scale).exp() / 2
    return tail if x < 0 else 1 - tail


def make_tables(
    levels: int = LEVELS,
    lowest: int = LOWEST,
    highest: int = HIGHEST,
    most_bits: int = MOST_BITS,
    fewest_bits: int = FEWEST_BITS,
) -> dict[str, NDArray[np.int32]]:
    """The file's arrays, from decimal arithmetic: no library's exponential decides a frequency."""
    bits, tables, offsets = [], [], []
    with localcontext(prec=40):
        half, span = Decimal("0.5"), Decimal(highest - lowest) / (1 << FRACTION)
        for level in range(levels):
            log_scale = Decimal(lowest) / (1 << FRACTION) + span * level / (levels - 1)
            scale = log_scale.exp()
            mean_bits = round(float((Decimal(MEAN_STEPS) / scale).ln() / Decimal(2).ln()))
            mean_bits = min(max(mean_bits, fewest_bits), most_bits)
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
