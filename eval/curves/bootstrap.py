"""How much a BD-rate depends on which pictures were measured: a bootstrap interval over them.

Pictures are drawn with replacement, the same ones for both codecs, and the BD-rate computed anew
from their means; the interval holds the middle share of the results. "Bootstrap methods: another
look at the jackknife" (Efron, 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kodec.eval.metrics.metric_names import find_metric, linear_form
from kodec.native import InvalidInputError

from .bdrate import Method
from .curve import Curve
from .pooling import by_sequence

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0

_FEW = 10

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of a BD-rate."""

    low_percent: float
    high_percent: float
    level: float
    """The share of resamples within, 0.95 for instance."""
    resamples: int
    """Those that gave a BD-rate, of all that were drawn."""
    drawn: int
    items: int
    """Pictures or sequences that were drawn from."""
    seed: int
    warnings: tuple[str, ...] = ()


def interval_over_members(
    test: Curve,
    anchor: Curve,
    method: Method = "pchip",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Interval:
    """The interval of the BD-rate of two mean curves, over the members that both average.

    Raises InvalidInputError, saying why there is none, when a curve has no members, they differ, or
    their mean is not the curve.
    """
    for curve in (test, anchor):
        if not curve.members:
            raise InvalidInputError(f"{curve.name} has no data per picture")
    ours, theirs = by_sequence(test.members, anchor.members, (test.name, anchor.name))
    if ours.keys() != theirs.keys():
        raise InvalidInputError(f"{test.name} and {anchor.name} average different pictures")
    if len(ours) < 2:
        raise InvalidInputError("one picture gives no interval")
    sides = [_Side(test, list(ours.values())), _Side(anchor, [theirs[key] for key in ours])]
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        chosen = random.integers(0, len(ours), len(ours))
        value = _bd_rate(*sides[0].mean(chosen), *sides[1].mean(chosen), method)
        if np.isfinite(value):
            found.append(value)
    return _interval(found, len(ours), resamples, level, seed)


def interval_of_mean(
    percents: Sequence[float], resamples: int = RESAMPLES, level: float = LEVEL, seed: int = SEED
) -> Interval:
    """The interval of the mean of sequences' BD-rates.

    Raises InvalidInputError for fewer than two.
    """
    if len(percents) < 2:
        raise InvalidInputError("one sequence gives no interval")
    random = np.random.default_rng(seed)
    values = np.asarray(percents)
    found = values[random.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
    return _interval(list(found), len(values), resamples, level, seed)


class _Side:
    """One codec's members as arrays (members, points), and their mean over a choice of them."""

    def __init__(self, curve: Curve, members: Sequence[Curve]) -> None:
        self._sign = 1 if find_metric(curve.metric).higher_is_better else -1
        self._decibels = linear_form(curve.metric) is not None
        self._rates = np.array([member.rates for member in members])
        values = np.array([member.values for member in members])
        # Decibels of a mean are not the mean of decibels: average what they are the decibels of.
        self._values = 10 ** (-values / 10) if self._decibels else values
        frames = [member.frames or 0 for member in members]
        self._weights = np.array(frames if all(frames) else [1] * len(members), dtype=np.float64)
        rates, qualities = self.mean(np.arange(len(members)))
        curve_rates, curve_qualities = np.array(curve.rates), self._sign * np.array(curve.values)
        order = np.lexsort((curve_rates, curve_qualities))
        own = curve_rates[order], curve_qualities[order]
        if not (
            np.allclose(rates, own[0], rtol=1e-5) and np.allclose(qualities, own[1], rtol=1e-5)
        ):
            raise InvalidInputError(f"{curve.name} is not the mean of its pictures")

    def mean(self, chosen: NDArray[np.int64]) -> tuple[Array, Array]:
        """Rates and qualities of the mean curve, in order of quality."""
        weights = self._weights[chosen]
        rates = np.average(self._rates[chosen], axis=0, weights=weights)
        values = np.average(self._values[chosen], axis=0, weights=weights)
        qualities = -10 * np.log10(values) if self._decibels else self._sign * values
        order = np.lexsort((rates, qualities))
        return rates[order], qualities[order]


def _bd_rate(
    test_rates: Array, test: Array, anchor_rates: Array, anchor: Array, method: Method
) -> float:
    """The BD-rate in percent, NaN where there is none."""
    from bjontegaard import bd_rate as library_bd_rate

    if max(test[0], anchor[0]) >= min(test[-1], anchor[-1]):
        return float("nan")
    kept_test, kept_anchor = (
        np.diff(test, prepend=-np.inf) > 0,
        np.diff(anchor, prepend=-np.inf) > 0,
    )
    try:
        return float(
            library_bd_rate(
                anchor_rates[kept_anchor],
                anchor[kept_anchor],
                test_rates[kept_test],
                test[kept_test],
                method=method,
                require_matching_points=False,
                min_overlap=0,
            )
        )
    except ValueError:  # Too few points of different quality are left.
        return float("nan")


def _interval(found: Sequence[float], items: int, drawn: int, level: float, seed: int) -> Interval:
    if len(found) < 0.9 * drawn:
        raise InvalidInputError(
            f"only {len(found)} of {drawn} resamples have curves that overlap: no interval"
        )
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    warnings = [f"the interval rests on {items} items only"] if items < _FEW else []
    return Interval(float(low), float(high), level, len(found), drawn, items, seed, tuple(warnings))
