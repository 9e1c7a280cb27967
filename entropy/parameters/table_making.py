"""Makes the packaged tables: `python -m kodec.entropy.parameters.table_making FILE`.

What is in the package is what counts: files are decoded by it, and nothing computes it again.
"""

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.entropy.integer_tables import quantise_pmf
from kodec.native import InvalidInputError

# Scales grow by the same factor from level to level.
LEVELS = 128
SMALLEST, LARGEST = 0.05, 2048.0
# Means lie between integers by eighths of a step; of wide tables, on integers alone.
EIGHTHS = 5
NARROW = 8.0
ORDERS = 14
CHANCES = 64
MOST_CODES = 254
REACH = {"gaussian": 4.5, "laplace": 11.0}

Table = tuple[NDArray[np.uint16], int, int]
"""Frequencies (the last is the escape's), first symbol, raw low bits."""


def scale_of(level: int) -> float:
    """Standard deviation, or mean absolute value of the Laplace family."""
    step = math.log(LARGEST / SMALLEST) / (LEVELS - 1)
    return SMALLEST * math.exp(level * step)


def fractions_at(level: int) -> int:
    """How many fractions of a mean a level has tables for."""
    return EIGHTHS if scale_of(level) < NARROW else 1


def _below(family: str, x: float) -> float:
    if family == "gaussian":
        return 0.5 * math.erfc(-x / math.sqrt(2))
    return 0.5 * math.exp(x) if x < 0 else 1 - 0.5 * math.exp(-x)


def location_table(family: str, level: int, eighths: int) -> Table:
    """Integers around a mean of `eighths` / 8."""
    scale, mean = scale_of(level), eighths / 8
    reach = math.ceil(REACH[family] * scale)
    shift = 0
    while (2 * reach + 1) >> shift >= MOST_CODES:
        shift += 1
    width = 1 << shift
    side = -(-reach // width)
    first = -side * width - (width >> 1)
    edges = [first + width * i - 0.5 for i in range(2 * side + 2)]
    below = [_below(family, (edge - mean) / scale) for edge in edges]
    inside = np.diff(np.array(below))
    outside = max(below[0] + 1 - below[-1], 0.0)
    return quantise_pmf(np.append(np.maximum(inside, 0), outside)), first, shift


def exp_golomb_table(order: int) -> Table:
    """Integers by the length of their code: 0, 1, -1, 2, ... numbered, order `order`."""
    shift = max(0, order - 5)
    width = 1 << shift
    side = (MOST_CODES - 1) // 2
    first = -side * width - (width >> 1)
    mass = []
    for bucket in range(2 * side + 1):
        low = first + bucket * width
        values = range(low, low + width)
        mass.append(math.fsum(2.0 ** -_exp_golomb_bits(v, order) for v in values))
    return quantise_pmf(np.array([*mass, max(1 - math.fsum(mass), 0.0)])), first, shift


def _exp_golomb_bits(value: int, order: int) -> int:
    number = 2 * value - 1 if value > 0 else -2 * value
    return 2 * ((number >> order) + 1).bit_length() - 1 + order


def chance_table(place: int) -> Table:
    """A bit that is 1 with a chance of (place + 1/2) / 64."""
    one = (place + 0.5) / CHANCES
    return quantise_pmf(np.array([1 - one, one, 0.0])), 0, 0


def all_tables() -> list[Table]:
    """Gaussian, Laplace (by level, then fraction), Exp-Golomb, chances."""
    located = [
        location_table(family, level, eighths)
        for family in ("gaussian", "laplace")
        for level in range(LEVELS)
        for eighths in range(fractions_at(level))
    ]
    orders = [exp_golomb_table(order) for order in range(ORDERS)]
    return [*located, *orders, *(chance_table(place) for place in range(CHANCES))]


def main(path: Path) -> None:
    """Write the file."""
    tables = all_tables()
    np.savez_compressed(
        path,
        frequencies=np.concatenate([table for table, _, _ in tables]),
        sizes=np.array([len(table) for table, _, _ in tables], np.uint16),
        offsets=np.array([first for _, first, _ in tables], np.int32),
        shifts=np.array([shift for _, _, shift in tables], np.uint8),
        fractions=np.array([fractions_at(level) for level in range(LEVELS)], np.uint8),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise InvalidInputError("name the file to write")
    main(Path(sys.argv[1]))
