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
_MEAN_ORDER, _FIRST_ORDER, _SPAN_ORDER = 2, 6, 8
_LARGEST_SIDE = 2**26
MOST_CODES = 255
_MOST_SHIFT = 8
_TURNED = _MOST_SHIFT + 1
"""Said in the place of a shift."""
# Counts are sent as levels: 1, 2 or 4 of them an octave. In 2^16ths, an octave's levels.
_GRAINS = ((65536,), (65536, 92682), (65536, 77936, 92682, 110218))
_MOST_LEVEL = 4 * 30

SIDE_SYMBOLS = range(2, 10 + MOST_CODES)
"""How many symbols stand in front of a list."""


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """How integers are coded: value v as sign x (v - origin), by one table of a set.

    side: what is sent of it, by kind. span: where it is not 0, integers are origin to origin +
    span - 1, and come `turn` later in turn, so that the rarest may be last: of 256 of them one must
    escape.
    """

    kind: int
    side: tuple[int, ...]
    tables: TableSet
    table: int
    sign: int = 1
    origin: int = 0
    span: int = 0
    turn: int = 0

    def symbols(self, values: Integers64) -> Integers64:
        """What is coded for integers."""
        found: Integers64 = self.sign * (values - self.origin)
        return (found - self.turn) % self.span if self.span else found

    def values(self, symbols: Integers64) -> Integers64:
        """The integers; raises `BitstreamError` where they are beyond `LARGEST`."""
        turned = (symbols + self.turn) % self.span if self.span else symbols
        found = self.sign * turned + self.origin
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
        if self.span:
            told += _golomb_bits([self.span, self.turn], golomb + _SPAN_ORDER)
        steps = [int(n) for n in np.diff([0, *levels])]
        return found + 4 + 8 + 2 + 4 + told + _golomb_bits(steps, golomb + order)


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


def histogram(
    first: int,
    shift: int,
    grain: int,
    order: int,
    levels: list[int],
    span: int = 0,
    turn: int = 0,
) -> IntegerModel:
    """A table of its own: levels of the counts of 2^shift integers each, and of the escape.

    span, turn: see `IntegerModel`; shift is then 0.
    """
    frequencies = _frequencies([_weight(level, grain) for level in levels])
    side = (first, _TURNED if span else shift, len(levels), grain, order, *levels)
    tables = table_set([(frequencies, 0, shift)])
    return IntegerModel(_HISTOGRAM, side, tables, 0, 1, first, span, turn)


def _weight(level: int, grain: int) -> int:
    """What a level counts for, in whole numbers: 0, then powers of two and those between."""
    if not level:
        return 0
    return _GRAINS[grain][(level - 1) % (1 << grain)] << ((level - 1) >> grain)


def _frequencies(weights: list[int]) -> NDArray[np.uint16]:
    """Frequencies of weights, by whole numbers alone: each at least 1."""
    spare, total = (1 << PRECISION) - len(weights), sum(weights)
    if not total:
        raise BitstreamError("a histogram has no counts: a damaged stream")
    found = [1 + weight * spare // total for weight in weights]
    left = (1 << PRECISION) - sum(found)
    # What rounding leaves goes to the largest, one each.
    largest = sorted(range(len(weights)), key=lambda i: -weights[i])
    for i in range(left):
        found[largest[i % len(largest)]] += 1
    return np.array(found, np.uint16)


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
    span, shift = int(distinct[-1]) - int(distinct[0]) + 1, 0
    while span > MOST_CODES << shift:
        shift += 1
    found: list[IntegerModel] = []
    # Everything in a table, or with half as many integers a code what is outside escapes: the ends,
    # or the rarest of a turn.
    for width in {shift, max(0, shift - 1)}:
        if width > _MOST_SHIFT or abs(int(distinct[0])) >= _LARGEST_SIDE:
            continue
        buckets = np.bincount((distinct - distinct[0]) >> width, weights=counts)
        size = min(len(buckets), MOST_CODES)
        turned = width == 0 and len(buckets) > size
        twice = np.append(buckets, buckets) if turned else buckets
        within = np.cumsum(np.append(0, twice))
        begin = int(np.argmax(within[size:] - within[: len(within) - size]))
        kept = np.append(twice[begin : begin + size], 0)
        kept[-1] = buckets.sum() - kept.sum()
        first = int(distinct[0]) + (0 if turned else begin << width)
        turn = (len(buckets), begin % len(buckets)) if turned else (0, 0)
        if abs(first) < _LARGEST_SIDE:
            found += [_of_counts(first, width, grain, kept, *turn) for grain in range(len(_GRAINS))]
    return found


def _of_counts(
    first: int, shift: int, grain: int, counts: NDArray[np.float64], span: int, turn: int
) -> IntegerModel:
    logs = np.rint((1 << grain) * np.log2(np.maximum(counts, 1))).astype(int) + 1
    levels = [int(level) if count else 0 for level, count in zip(logs, counts, strict=True)]
    steps = [int(n) for n in np.diff([0, *levels])]
    order = min(range(8), key=lambda k: _golomb_bits(steps, packaged().orders + k))
    return histogram(first, shift, grain, order, levels, span, turn)


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
        return exp_golomb(_number(port, name, None if told is None else told[0], ORDERS))
    if kind < _GOLOMB:
        level = _number(port, name, None if told is None else told[0], LEVELS)
        (mean,) = _golomb(port, name, None if told is None else told[1:], 1, _MEAN_ORDER)
        return located(KINDS[kind], level, mean)
    (first,) = _golomb(port, name, None if told is None else told[:1], 1, _FIRST_ORDER)
    highs = (_TURNED + 1, MOST_CODES, len(_GRAINS), ORDERS)
    fixed = [
        _number(port, name, None if told is None else told[1 + i] - 2 * (i == 1), high)
        for i, high in enumerate(highs)
    ]
    shift, size, grain, order = fixed[0], fixed[1] + 2, fixed[2], fixed[3]
    span = turn = 0
    if shift == _TURNED:
        turns = None if chosen is None else [chosen.span, chosen.turn]
        span, turn = _golomb(port, name, turns, 2, _SPAN_ORDER)
        shift = 0
        if not 0 <= turn < span:
            raise BitstreamError("a histogram is turned beyond its span: a damaged stream")
    steps = None if told is None else [int(n) for n in np.diff([0, *told[5:]])]
    levels = np.cumsum(_golomb(port, name, steps, size, order))
    if not 0 <= levels.min() <= levels.max() <= _MOST_LEVEL:
        raise BitstreamError("a histogram has counts that are none: a damaged stream")
    return histogram(first, shift, grain, order, [int(n) for n in levels], span, turn)


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
