"""A list of integers by whichever model takes the fewest bits, said in front of it.

    kind --> its few numbers --> the integers, all by one table

Kinds: Gaussian and Laplace (packaged tables at a scale and a mean), Exp-Golomb (packaged, of an
order), and a histogram that is sent: of each integer the logarithm of its count, as differences.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.integer_tables import PRECISION
from kodec.entropy.ports.port import SymbolPort
from kodec.native import BitstreamError, InvalidInputError

from .packaged_tables import FAMILIES, TableBlock, TableSet, packaged, table_set
from .table_making import LEVELS, ORDERS, SMALLEST, scale_of

Integers64 = NDArray[np.int64]

KINDS = (*FAMILIES, "exp-golomb", "histogram")
LARGEST = 2**30 - 1
"""Integers are between its negative and it."""
_GOLOMB, _HISTOGRAM = KINDS.index("exp-golomb"), KINDS.index("histogram")
# Orders of the codes of side numbers, and what a number may be at most.
_MEAN_ORDER, _FIRST_ORDER, _LEVEL_ORDER = 2, 6, 0
_LARGEST_SIDE = 2**26
MOST_CODES = 254
_MOST_SHIFT = 8
# Counts are sent as levels: 1, 2 or 4 of them an octave. In 2^16ths, an octave's levels.
_GRAINS = ((65536,), (65536, 92682), (65536, 77936, 92682, 110218))
_MOST_LEVEL = 4 * 30

SIDE_SYMBOLS = range(4, 6 + MOST_CODES + 1)
"""How many symbols stand in front of a list."""


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """How integers are coded: value v as sign x (v - origin), by one table of a set.

    side: what is sent of it, by kind.
    """

    kind: int
    side: tuple[int, ...]
    tables: TableSet
    table: int
    sign: int = 1
    origin: int = 0

    def symbols(self, values: Integers64) -> Integers64:
        """What is coded for integers."""
        return self.sign * (values - self.origin)

    def values(self, symbols: Integers64) -> Integers64:
        """The integers; raises `BitstreamError` where they are beyond `LARGEST`."""
        found = self.sign * symbols + self.origin
        if found.size and np.abs(found).max() > LARGEST:
            raise BitstreamError("a parameter is out of range: a damaged stream")
        return found

    def bits(self, values: Integers64, counts: Integers64) -> float:
        """Of distinct integers that occur so often, without what is said in front."""
        tables = np.full(len(values), self.table)
        return float((self.tables.bits(self.symbols(values), tables) * counts).sum())

    def side_bits(self) -> float:
        """Of what is said in front."""
        golomb = packaged().orders
        found = 2.0
        if self.kind < _GOLOMB:
            level, mean = self.side
            return found + 7 + _golomb_bits([mean], golomb + _MEAN_ORDER)
        if self.kind == _GOLOMB:
            return found + 4
        first, _, _, _, order, *levels = self.side
        told = _golomb_bits([first], golomb + _FIRST_ORDER)
        return (
            found + 4 + 8 + 2 + 4 + told + _golomb_bits(list(np.diff([0, *levels])), golomb + order)
        )


def _golomb_bits(values: list[int], table: int) -> float:
    numbers = np.array(values, np.int64)
    return float(packaged().tables.bits(numbers, np.full(len(numbers), table)).sum())


def located(family: str, level: int, eighths: int) -> IntegerModel:
    """Gaussian or Laplace around a mean of so many eighths."""
    table, sign, origin = packaged().located(family, level, eighths)
    kind = KINDS.index(family)
    return IntegerModel(kind, (level, eighths), packaged().tables, table, sign, origin)


def exp_golomb(order: int) -> IntegerModel:
    """Exp-Golomb of an order, of the numbers 0, 1, -1, 2, ..."""
    return IntegerModel(_GOLOMB, (order,), packaged().tables, packaged().orders + order)


def histogram(first: int, shift: int, grain: int, order: int, levels: list[int]) -> IntegerModel:
    """A table of its own: levels (at most 254) of the counts of 2^shift integers each."""
    weights = [
        0 if not v else _GRAINS[grain][(v - 1) % (1 << grain)] << ((v - 1) >> grain) for v in levels
    ]
    table = _frequencies(weights)
    side = (first, shift, len(levels), grain, order, *levels)
    return IntegerModel(_HISTOGRAM, side, table_set([(table, 0, shift)]), 0, 1, first)


def _frequencies(weights: list[int]) -> NDArray[np.uint16]:
    """Frequencies of weights, and of the escape, by whole numbers alone: each at least 1."""
    spare = (1 << PRECISION) - len(weights) - 1
    total = sum(weights)
    if not total:
        raise BitstreamError("a histogram has no counts: a damaged stream")
    found = [1 + weight * spare // total for weight in weights]
    left = (1 << PRECISION) - 1 - sum(found)
    # What rounding leaves goes to the largest, one each.
    largest = sorted(range(len(weights)), key=lambda i: -weights[i])
    for i in range(left):
        found[largest[i % len(largest)]] += 1
    return np.array([*found, 1], np.uint16)


def choose_model(values: Integers64) -> tuple[IntegerModel, float]:
    """The model that takes the fewest bits for integers, its own included, and how many."""
    if not values.size:
        return exp_golomb(0), exp_golomb(0).side_bits()
    if np.abs(values).max() > LARGEST:
        raise InvalidInputError(f"parameters are whole numbers up to {LARGEST:,} either way")
    distinct, counts = np.unique(values, return_counts=True)
    best: tuple[IntegerModel, float] | None = None
    for model in _candidates(distinct, counts):
        bits = model.bits(distinct, counts) + model.side_bits()
        if best is None or bits < best[1]:
            best = model, bits
    assert best is not None
    return best


def _candidates(distinct: Integers64, counts: Integers64) -> list[IntegerModel]:
    found = [exp_golomb(order) for order in range(ORDERS)]
    total = counts.sum()
    mean = float((distinct * counts).sum() / total)
    spread = {
        "gaussian": float(np.sqrt((np.square(distinct - mean) * counts).sum() / total)),
        "laplace": float((np.abs(distinct - mean) * counts).sum() / total),
    }
    step = float(np.log(scale_of(1) / SMALLEST))
    for family, scale in spread.items():
        near = round(float(np.log(max(scale, SMALLEST) / SMALLEST)) / step)
        for level in range(max(0, near - 3), min(LEVELS, near + 3)):
            for eighths in {0, 8 * round(mean), round(8 * mean)}:
                if abs(eighths) < _LARGEST_SIDE:
                    found.append(located(family, level, eighths))
    return found + _histograms(distinct, counts)


def _histograms(distinct: Integers64, counts: Integers64) -> list[IntegerModel]:
    first, found = int(distinct[0]), list[IntegerModel]()
    span, shift = int(distinct[-1]) - first + 1, 0
    while span > MOST_CODES << shift:
        shift += 1
    if shift > _MOST_SHIFT or abs(first) >= _LARGEST_SIDE:
        return found
    buckets = np.bincount((distinct - first) >> shift, weights=counts)
    for grain in range(len(_GRAINS)):
        per = 1 << grain
        logs = np.rint(per * np.log2(np.maximum(buckets, 1))).astype(int) + 1
        levels = [int(level) if count else 0 for level, count in zip(logs, buckets, strict=True)]
        steps = list(np.diff([0, *levels]))
        order = min(range(8), key=lambda k: _golomb_bits(steps, packaged().orders + k))
        found.append(histogram(first, shift, grain, order, levels))
    return found


def code_integers(
    port: SymbolPort,
    name: str,
    values: Integers64 | None,
    count: int,
    model: IntegerModel | None = None,
) -> Integers64:
    """Pass `count` integers through the port by the model that takes the fewest bits.

    model: one that was coded before, whose numbers are not sent again. Raises `BitstreamError`
    where a stream says what no model is.
    """
    if model is None:
        model = code_model(port, values)
    given = None if values is None else torch.from_numpy(model.symbols(values)).reshape(1, -1)
    block = TableBlock(torch.Size((1, count)), model.tables, model.table)
    found = port.code(name, given, block)
    return model.values(found.reshape(-1).long().cpu().numpy())


def code_model(port: SymbolPort, values: Integers64 | None, name: str = "models") -> IntegerModel:
    """Pass what the integers are coded by through the port."""
    chosen = None if values is None else choose_model(values)[0]
    kind = _number(port, name, None if chosen is None else chosen.kind, len(KINDS))
    told = None if chosen is None else list(chosen.side)
    if kind == _GOLOMB:
        return exp_golomb(_number(port, name, told and told[0], ORDERS))
    if kind < _GOLOMB:
        level = _number(port, name, None if told is None else told[0], LEVELS)
        (mean,) = _golomb(port, name, None if told is None else told[1:], 1, _MEAN_ORDER)
        return located(KINDS[kind], level, mean)
    (first,) = _golomb(port, name, None if told is None else told[:1], 1, _FIRST_ORDER)
    highs = (_MOST_SHIFT + 1, MOST_CODES, len(_GRAINS), ORDERS)
    fixed = [
        _number(port, name, None if told is None else told[1 + i] - (i == 1), high)
        for i, high in enumerate(highs)
    ]
    shift, size, grain, order = fixed[0], fixed[1] + 1, fixed[2], fixed[3]
    steps = None if told is None else [int(n) for n in np.diff([0, *told[5:]])]
    levels = np.cumsum(_golomb(port, name, steps, size, order))
    if not 0 <= levels.min() <= levels.max() <= _MOST_LEVEL:
        raise BitstreamError("a histogram has counts that are none: a damaged stream")
    return histogram(first, shift, grain, order, [int(n) for n in levels])


def _number(port: SymbolPort, name: str, value: int | None, high: int) -> int:
    given = None if value is None else torch.tensor([[value]])
    return int(port.integers(name, given, high, torch.Size((1, 1)))[0, 0])


def _golomb(
    port: SymbolPort, name: str, values: list[int] | None, count: int, order: int
) -> list[int]:
    given = None if values is None else torch.tensor([values])
    table = TableBlock(torch.Size((1, count)), packaged().tables, packaged().orders + order)
    found = port.code(name, given, table).reshape(-1).long()
    if int(found.abs().max()) > _LARGEST_SIDE:
        raise BitstreamError(f"a number about {name!r} is out of range: a damaged stream")
    return [int(n) for n in found]


def as_integers(values: Tensor) -> Integers64:
    """A tensor of integers, flat."""
    found: Integers64 = values.detach().reshape(-1).long().cpu().numpy()
    return found
