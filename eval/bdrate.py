"""BD-rate: the average difference in rate of two codecs at equal quality."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kodec.native import InvalidInputError

from .results import Curve

Method = Literal["pchip", "akima", "cubic"]

_FEWEST_POINTS: dict[str, int] = {"pchip": 2, "akima": 3, "cubic": 4}
_USUAL_POINTS = 4
_SMALL_OVERLAP = 0.5


@dataclass(frozen=True)
class BDResult:
    """A BD-rate and what it rests on."""

    value_percent: float
    """Mean rate difference of the test codec; negative: the test codec needs fewer bits."""
    test: str
    anchor: str
    metric: str
    method: Method
    test_points: int
    anchor_points: int
    overlap: tuple[float, float]
    """The range of quality both curves cover, over which the difference is averaged."""
    test_fraction: float
    """That range as a fraction of the test curve's own, in (0, 1]."""
    anchor_fraction: float
    """The same of the anchor's."""
    warnings: tuple[str, ...]
    """One line each: reasons to trust the number less."""


def bd_rate(test: Curve, anchor: Curve, method: Method = "pchip") -> BDResult:
    """The BD-rate of `test` against `anchor`.

    Interpolates log10(rate) over quality, by piecewise cubic Hermite polynomials (`pchip`, as the
    VVC common test conditions do), Akima's, or one cubic polynomial fitted to the whole curve, and
    averages the difference over the range of quality that both curves cover; nothing is
    extrapolated. The points may come in any order and number. "Calculation of average PSNR
    differences between RD-curves" (Bjøntegaard, VCEG-M33, 2001); "Beyond Bjøntegaard: limits of
    video compression performance comparisons" (Herglotz et al., 2022).

    Raises InvalidInputError when the metrics differ, the method is unknown, a curve has too few
    points for it, or the curves share no range of quality.
    """
    # The library loads matplotlib's pyplot, a second that commands without a BD-rate need not wait.
    from bjontegaard import bd_rate as library_bd_rate

    if method not in get_args(Method):
        raise InvalidInputError(
            f"unknown method {method!r}: BD-rate is computed by {', '.join(get_args(Method))}"
        )
    if test.metric != anchor.metric:
        raise InvalidInputError(
            f"BD-rate needs one metric: {test.name} has {test.metric}, {anchor.name} has "
            f"{anchor.metric}"
        )
    warnings: list[str] = []
    test_rates, test_values = _prepared(test, method, warnings.append)
    anchor_rates, anchor_values = _prepared(anchor, method, warnings.append)
    low = float(max(test_values[0], anchor_values[0]))
    high = float(min(test_values[-1], anchor_values[-1]))
    if low >= high:
        raise InvalidInputError(
            f"no BD-rate: {test.name} covers {_span(test_values, test.metric)}, {anchor.name} "
            f"{_span(anchor_values, anchor.metric)}; measure qualities that overlap"
        )
    value = library_bd_rate(
        anchor_rates,
        anchor_values,
        test_rates,
        test_values,
        method=method,
        require_matching_points=False,
        min_overlap=0,
    )
    test_fraction = (high - low) / float(test_values[-1] - test_values[0])
    if test_fraction < _SMALL_OVERLAP:
        warnings.append(f"{test.name}: only {100 * test_fraction:.0f} % of its range is compared")
    return BDResult(
        value_percent=float(value),
        test=test.name,
        anchor=anchor.name,
        metric=test.metric,
        method=method,
        test_points=len(test_rates),
        anchor_points=len(anchor_rates),
        overlap=(low, high),
        test_fraction=test_fraction,
        anchor_fraction=(high - low) / float(anchor_values[-1] - anchor_values[0]),
        warnings=tuple(warnings),
    )


def describe(result: BDResult) -> str:
    """A BD-rate in words: the value and what it rests on, then a line per warning."""
    low, high = result.overlap
    form, unit = _form(result.metric)
    of_range = f"{100 * result.test_fraction:.0f} % of the test's range"
    line = (
        f"BD-rate {result.value_percent:+.2f} % ({result.metric}, {result.method}; "
        f"{result.test_points} against {result.anchor_points} points; overlap "
        f"{low:{form}}..{high:{form}}{unit} = {of_range})"
    )
    return "\n".join([line, *(f"note: {warning}" for warning in result.warnings)])


def _prepared(
    curve: Curve, method: Method, warn: Callable[[str], None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and values in strictly rising order of value, which interpolation needs."""
    points: list[tuple[float, float]] = []
    for value, rate in sorted(zip(curve.values, curve.rates, strict=True)):
        if points and value == points[-1][0]:
            where = _with_unit(value, curve.metric)
            warn(f"{curve.name}: two points at {where}, the dearer left out")
        else:
            points.append((value, rate))
    if len(points) < _FEWEST_POINTS[method]:
        raise InvalidInputError(
            f"{curve.name}: BD-rate by {method} needs {_FEWEST_POINTS[method]} points of different "
            f"quality at least, not {len(points)}: measure more"
        )
    if len(points) < _USUAL_POINTS:
        warn(f"{curve.name}: {len(points)} points; {_USUAL_POINTS} or more are usual")
    values, rates = np.array(points, dtype=np.float64).T
    for i in np.flatnonzero(np.diff(rates) <= 0):
        warn(
            f"{curve.name}: the rate does not rise from {_with_unit(values[i], curve.metric)} to "
            f"{_with_unit(values[i + 1], curve.metric)}"
        )
    return rates, values


def _form(metric: str) -> tuple[str, str]:
    """Number format and unit of a metric."""
    return (".2f", " dB") if metric.startswith(("psnr", "ms-ssim-db")) else (".4f", "")


def _with_unit(value: float, metric: str) -> str:
    form, unit = _form(metric)
    return f"{value:{form}}{unit}"


def _span(values: NDArray[np.float64], metric: str) -> str:
    form, unit = _form(metric)
    return f"{values[0]:{form}}..{values[-1]:{form}}{unit}"
