"""The packaged tables of parameter models, and integers coded by one of a set of tables."""

import atexit
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.distributions import Integers
from kodec.entropy.integer_tables import PRECISION, IntegerTables
from kodec.native import Tables

FILE = Path(__file__).with_name("tables.npz")
FAMILIES = ("gaussian", "laplace")


@dataclass(frozen=True, eq=False)
class TableSet:
    """Tables of integers, and code lengths by them. first: where each begins in `frequencies`."""

    frequencies: NDArray[np.int32]
    first: NDArray[np.int64]
    sizes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    shifts: NDArray[np.int64]
    native: Tables

    def bits(self, values: NDArray[np.int64], tables: NDArray[np.int64]) -> NDArray[np.float64]:
        """Code length of each value by its table; escapes as the coder sends them."""
        codes = (values - self.offsets[tables]) >> self.shifts[tables]
        last = self.sizes[tables] - 1
        inside = (codes >= 0) & (codes < last)
        places = self.first[tables] + np.where(inside, codes, last)
        found = PRECISION - np.log2(self.frequencies[places]) + self.shifts[tables]
        beyond = np.where(codes >= last, 2 * (codes - last), 2 * (-1 - codes) + 1)
        length = np.maximum(1, np.ceil(np.log2(np.maximum(beyond, 1) + 1) / 7))
        return np.asarray(np.where(inside, found, found + 8 * length))


def table_set(tables: list[tuple[NDArray[np.uint16], int, int]]) -> TableSet:
    """A set of tables: frequencies (last the escape's), first symbol, raw low bits."""
    holder = IntegerTables()
    holder.fill([t for t, _, _ in tables], [o for _, o, _ in tables], [s for _, _, s in tables])
    return _set_of(holder)


def _set_of(holder: IntegerTables) -> TableSet:
    arrays = holder.arrays()
    sizes = arrays["sizes"].astype(np.int64)
    return TableSet(
        arrays["frequencies"],
        np.cumsum(sizes) - sizes,
        sizes,
        arrays["offsets"].astype(np.int64),
        arrays["shifts"].astype(np.int64),
        holder.native,
    )


@dataclass(frozen=True, eq=False)
class Packaged:
    """The packaged set, and where its kinds of tables begin."""

    tables: TableSet
    fractions: NDArray[np.int64]
    """How many eighths of a mean each level has tables for."""
    levels: dict[str, NDArray[np.int64]]
    """By family, the table of each level at mean 0."""
    orders: int
    chances: int

    def located(self, family: str, level: int, eighths: int) -> tuple[int, int, int]:
        """Table, sign and origin of integers around a mean of so many eighths.

        A value v is coded as sign x (v - origin).
        """
        origin, fraction = divmod(eighths + 3, 8)
        fraction -= 3
        if self.fractions[level] == 1:
            origin, fraction = (eighths + 4) // 8, 0
        table = int(self.levels[family][level]) + abs(fraction)
        return table, -1 if fraction < 0 else 1, origin


@cache
def packaged() -> Packaged:
    """The packaged tables, read once."""
    with np.load(FILE, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    fractions = arrays.pop("fractions").astype(np.int64)
    holder = IntegerTables()
    holder.load_arrays({name: values.astype(np.int32) for name, values in arrays.items()})
    begins = np.cumsum(fractions) - fractions
    count = int(fractions.sum())
    levels = {family: begins + i * count for i, family in enumerate(FAMILIES)}
    chances = len(arrays["sizes"]) - 64
    return Packaged(_set_of(holder), fractions, levels, len(FAMILIES) * count, chances)


# What a cache still holds when Python ends, the binding would report as leaked.
atexit.register(packaged.cache_clear)


class TableBlock(Integers):
    """Integers (N, ...), each coded by a table of the set: one for all, or one each (N, ...)."""

    def __init__(self, shape: torch.Size, tables: TableSet, chosen: int | Tensor) -> None:
        self.shape = shape
        self.set = tables
        self.chosen = chosen

    def _indexes(self) -> Tensor:
        if isinstance(self.chosen, int):
            return torch.tensor(self.chosen).expand(self.shape)
        return self.chosen.expand(self.shape)

    def bits(self, y: Tensor) -> Tensor:
        """By the tables' integers."""
        values = y.detach().cpu().long().numpy()
        return torch.from_numpy(self.set.bits(values, self._indexes().numpy())).reshape(y.shape)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """The tables; nothing is close."""
        kind = torch.uint8 if len(self.set.sizes) <= 255 else torch.uint16
        none = torch.empty(0, dtype=torch.int64)
        if isinstance(self.chosen, int):
            return torch.full(self.shape, self.chosen + 1, dtype=kind), none
        return (self._indexes() + 1).to(kind).contiguous(), none

    @property
    def tables(self) -> Tables:
        """The set."""
        return self.set.native
