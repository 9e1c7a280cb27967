"""BD-rate and BD-quality: the mean difference of two codecs, in rate or in quality."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kodec.eval.metrics.metric_names import Metric, find_metric
from kodec.native import InvalidInputError

from .curve import UNKNOWN, Curve

Method = Literal["pchip", "akima", "cubic"]
Array = NDArray[np.float64]

LEAST_OVERLAP = 0.2
"""Of the narrower curve's range; below it a BD-rate says little and is refused unless forced."""

_FEWEST_POINTS: dict[str, int] = {"pchip": 2, "akima": 3, "cubic": 4}
_USUAL_POINTS = 4
_SMALL_OVERLAP = 0.5
_SAMPLES = 1001
_LEAST_TURN = 0.005
"""Of the range that the points span: a shallower fall of the fitted function says nothing."""


# The library's own checks are made here, and its fits looked at.
_AS_THEY_ARE: dict[str, Any] = {
    "require_matching_points": False,
    "interpolators": True,
    "min_overlap": 0,
}


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
    monotonic: bool = True
    """Whether the rate rises with quality from point to point in both curves."""


@dataclass(frozen=True)
class BDQuality:
    """A BD-quality (BD-PSNR where the metric is one) and what it rests on."""

    value: float
    """Mean difference in the metric at equal rate, in its unit: test minus anchor."""
    metric: str
    method: Method
    overlap: tuple[float, float]
    """The range of rates both curves cover, over which the difference is averaged."""
    rate_unit: str
    warnings: tuple[str, ...] = ()
    """One line each: reasons to trust the number less."""


def bd_rate(test: Curve, anchor: Curve, method: Method = "pchip", force: bool = False) -> BDResult:
    """The BD-rate of `test` against `anchor`.

    Interpolates log10(rate) over quality, by piecewise cubic Hermite polynomials (`pchip`, as the
    VVC common test conditions do), Akima's, or one cubic polynomial fitted to the whole curve, and
    averages the difference over the range of quality that both curves cover; nothing is
    extrapolated. The points may come in any order and number. "Calculation of average PSNR
    differences between RD-curves" (Bjøntegaard, VCEG-M33, 2001); "Beyond Bjøntegaard: limits of
    video compression performance comparisons" (Herglotz et al., 2022).

    Raises InvalidInputError when the metrics or rate units differ, the method is unknown, a curve
    has too few points for it, or the curves share no range of quality; or, unless `force`, less
    than 20 % of the narrower one's.
    """
    # The library loads matplotlib's pyplot, a second that commands without a BD-rate need not wait.
    from bjontegaard import bd_rate as library_bd_rate

    warnings: list[str] = []
    test, anchor = comparable(test, anchor, method, warnings.append)
    metric = find_metric(test.metric)
    test_rates, test_values = by_quality(test, method, warnings.append)
    anchor_rates, anchor_values = by_quality(anchor, method, warnings.append)
    low = float(max(test_values[0], anchor_values[0]))
    high = float(min(test_values[-1], anchor_values[-1]))
    if low >= high:
        raise InvalidInputError(
            f"no BD-rate: {test.name} covers {_span(test_values, metric)}, {anchor.name} "
            f"{_span(anchor_values, metric)}; measure qualities that overlap"
        )
    test_fraction = (high - low) / float(test_values[-1] - test_values[0])
    anchor_fraction = (high - low) / float(anchor_values[-1] - anchor_values[0])
    overlap = (low, high) if metric.higher_is_better else (-high, -low)
    if max(test_fraction, anchor_fraction) < LEAST_OVERLAP:
        if not force:
            raise InvalidInputError(
                f"no BD-rate: {test.name} and {anchor.name} overlap in "
                f"{metric.show_range(*overlap)} only, {100 * test_fraction:.0f} % of the one's "
                f"range and {100 * anchor_fraction:.0f} % of the other's, less than "
                f"{100 * LEAST_OVERLAP:.0f} %: measure qualities that overlap, or give --force"
            )
        warnings.append(f"forced: the curves overlap in {metric.show_range(*overlap)} only")
    value, of_anchor, of_test = library_bd_rate(
        anchor_rates, anchor_values, test_rates, test_values, method=method, **_AS_THEY_ARE
    )
    value = _finite(float(value), "BD-rate", test, anchor)
    for curve, found, values, rates in (
        (test, of_test, test_values, test_rates),
        (anchor, of_anchor, anchor_values, anchor_rates),
    ):
        turn = _turn(found, np.log10(rates), low, high)
        if turn is not None:
            where = sorted(turn if metric.higher_is_better else (-turn[0], -turn[1]))
            warnings.append(
                f"{curve.name}: the {method} fitted to its points turns: the rate falls within "
                f"{metric.show_range(*where)}, where its points' does not. Don't trust the BD-rate"
                + ("" if method == "pchip" else "; pchip does not turn")
            )
    if test_fraction < _SMALL_OVERLAP:
        warnings.append(f"{test.name}: only {100 * test_fraction:.0f} % of its range is compared")
    return BDResult(
        value_percent=value,
        test=test.name,
        anchor=anchor.name,
        metric=test.metric,
        method=method,
        test_points=len(test_rates),
        anchor_points=len(anchor_rates),
        overlap=overlap,
        test_fraction=test_fraction,
        anchor_fraction=anchor_fraction,
        warnings=tuple(warnings),
        monotonic=bool(np.all(np.diff(test_rates) > 0) and np.all(np.diff(anchor_rates) > 0)),
    )


def bd_quality(test: Curve, anchor: Curve, method: Method = "pchip") -> BDQuality:
    """The BD-quality of `test` against `anchor`: BD-PSNR, for a PSNR.

    Interpolates quality over log10(rate) and averages the difference over the range of rates that
    both curves cover; sources as for `bd_rate`.

    Raises InvalidInputError when the metrics or rate units differ, the method is unknown, a curve
    has too few points for it, or the curves share no range of rates.
    """
    from bjontegaard import bd_psnr as library_bd_psnr

    test, anchor = comparable(test, anchor, method, lambda _: None)
    test_rates, test_values = _by_rate(test, method)
    anchor_rates, anchor_values = _by_rate(anchor, method)
    low = float(max(test_rates[0], anchor_rates[0]))
    high = float(min(test_rates[-1], anchor_rates[-1]))
    if low >= high:
        raise InvalidInputError(
            f"no BD-quality: {test.name} and {anchor.name} have no rates in common; measure rates "
            "that overlap"
        )
    value, of_anchor, of_test = library_bd_psnr(
        anchor_rates, anchor_values, test_rates, test_values, method=method, **_AS_THEY_ARE
    )
    value = _finite(float(value), "BD-quality", test, anchor)
    sign = 1 if find_metric(test.metric).higher_is_better else -1
    warnings = []
    for curve, found, values in (
        (test, of_test, test_values),
        (anchor, of_anchor, anchor_values),
    ):
        turn = _turn(found, values, math.log10(low), math.log10(high), sign)
        if turn is not None:
            warnings.append(
                f"{curve.name}: the {method} fitted to its points over rate turns within "
                f"{10 ** turn[0]:.4g}..{10 ** turn[1]:.4g} {curve.rate_unit}, where its points do "
                "not: the difference at equal rate is not to be trusted"
            )
    return BDQuality(value, test.metric, method, (low, high), test.rate_unit, tuple(warnings))


def _finite(value: float, what: str, test: Curve, anchor: Curve) -> float:
    """The value; raises `InvalidInputError` where it is none."""
    if not math.isfinite(value):
        raise InvalidInputError(
            f"no {what}: that of {test.name} against {anchor.name} is not finite; check their "
            "points"
        )
    return value


def describe(result: BDResult) -> str:
    """A BD-rate in words: the value and what it rests on, then a line per warning."""
    overlap = find_metric(result.metric).show_range(*result.overlap)
    of_range = f"{100 * result.test_fraction:.0f} % of the test's range"
    line = (
        f"BD-rate {result.value_percent:+.2f} % ({result.metric}, {result.method}; "
        f"{result.test_points} against {result.anchor_points} points; overlap {overlap} = "
        f"{of_range})"
    )
    return "\n".join([line, *(f"note: {warning}" for warning in result.warnings)])


def comparable(
    test: Curve, anchor: Curve, method: str, warn: Callable[[str], None]
) -> tuple[Curve, Curve]:
    """The two curves with rates of one unit, if they can be compared at all.

    Raises InvalidInputError for an unknown method, different metrics, and rates that can't be
    brought to one unit.
    """
    if method not in get_args(Method):
        raise InvalidInputError(
            f"unknown method {method!r}: BD-rate is computed by {', '.join(get_args(Method))}"
        )
    if test.metric != anchor.metric:
        raise InvalidInputError(
            f"BD-rate needs one metric: {test.name} has {test.metric}, {anchor.name} has "
            f"{anchor.metric}"
        )
    for what, ours, theirs in (
        ("frames", test.frames, anchor.frames),
        ("picture size", test.size, anchor.size),
    ):
        if ours and theirs and ours != theirs:
            warn(f"{test.name} and {anchor.name} differ in {what}: {ours} and {theirs}")
    if test.averaging != anchor.averaging and UNKNOWN not in (test.averaging, anchor.averaging):
        warn(
            f"averaged differently: {test.name}: {test.averaging}; {anchor.name}: "
            f"{anchor.averaging}"
        )
    test, anchor = in_one_unit(test, anchor)
    if test.rate_unit == "kbps":
        if test.fps and anchor.fps and abs(test.fps / anchor.fps - 1) > 1e-3:
            if test.size is None or anchor.size is None:
                raise InvalidInputError(
                    f"{test.name} runs at {test.fps:g} frames a second, {anchor.name} at "
                    f"{anchor.fps:g}: their kbps do not compare; give --size WxH for bits per pixel"
                )
            return test.in_bpp(), anchor.in_bpp()
        if not (test.fps and anchor.fps):
            warn("rates in kbps, taken to be at one frame rate: not both sources state it")
    return test, anchor


def by_quality(curve: Curve, method: Method, warn: Callable[[str], None]) -> tuple[Array, Array]:
    """Rates and qualities in strictly rising order of quality, which interpolation needs.

    Qualities are the values, or their negatives where lower is better. Raises InvalidInputError for
    too few points.
    """
    metric = find_metric(curve.metric)
    sign = 1 if metric.higher_is_better else -1
    points: list[tuple[float, float]] = []
    for quality, rate in sorted(
        (sign * value, rate) for value, rate in zip(curve.values, curve.rates, strict=True)
    ):
        if points and quality == points[-1][0]:
            where = metric.show(sign * quality)
            warn(f"{curve.name}: two points at {where}, the dearer left out")
        else:
            points.append((quality, rate))
    _check_number(curve, len(points), "quality", method)
    if len(points) < _USUAL_POINTS:
        warn(f"{curve.name}: {len(points)} points; {_USUAL_POINTS} or more are usual")
    qualities, rates = np.array(points, dtype=np.float64).T
    for i in np.flatnonzero(np.diff(rates) <= 0):
        warn(
            f"{curve.name}: the rate does not rise from {metric.show(sign * qualities[i])} to "
            f"{metric.show(sign * qualities[i + 1])}"
        )
    return rates, qualities


def _by_rate(curve: Curve, method: Method) -> tuple[Array, Array]:
    """Rates, strictly rising, and values, of the points that the BD-rate uses.

    Of two points of one rate the better stays.
    """
    sign = 1 if find_metric(curve.metric).higher_is_better else -1
    best: dict[float, float] = {}
    for rate, quality in zip(*by_quality(curve, method, lambda _: None), strict=True):
        best[float(rate)] = max(float(quality), best.get(float(rate), -math.inf))
    _check_number(curve, len(best), "rate", method)
    rates, qualities = np.array(sorted(best.items()), dtype=np.float64).T
    return rates, sign * qualities


def _check_number(curve: Curve, points: int, what: str, method: Method) -> None:
    if points < _FEWEST_POINTS[method] and len(curve.members) > 1:
        names = [member.sequence or member.name for member in curve.members]
        raise InvalidInputError(
            f"{curve.name}: its {len(names)} pictures or frames ({', '.join(names[:2])}, ...) make "
            f"{_counted(points)}, a mean each quality, and BD-rate by {method} needs "
            f"{_FEWEST_POINTS[method]} of different {what} at least: measure more qualities, and "
            "say in a column (quality, qp) or in files' names (_q3) which is which"
        )
    if points < _FEWEST_POINTS[method]:
        raise InvalidInputError(
            f"{curve.name}: BD-rate by {method} needs {_FEWEST_POINTS[method]} points of different "
            f"{what} at least, not {points}: measure more"
        )


def _counted(points: int) -> str:
    return "one point" if points == 1 else f"{points} points"


def _turn(
    fitted: Callable[[Array], Array], points: Array, low: float, high: float, sign: int = 1
) -> tuple[float, float] | None:
    """Where a fitted function falls within a range, from where to where, if its points do not.

    With a `sign` of -1: where it rises. A cubic through points that rise may go up, down and up
    again between them, and Akima's interpolation overshoot.
    """
    at = np.linspace(low, high, _SAMPLES)
    values, points = sign * np.asarray(fitted(at)), sign * points
    depths = np.maximum.accumulate(values) - values
    own = float(np.max(np.maximum.accumulate(points) - points))
    deepest = int(np.argmax(depths))
    if depths[deepest] <= own + _LEAST_TURN * float(np.ptp(points)):
        return None
    return float(at[np.argmax(values[: deepest + 1])]), float(at[deepest])


def in_one_unit(test: Curve, anchor: Curve) -> tuple[Curve, Curve]:
    """Both in bits per pixel, or both in kbps, whichever can be had; as they are if they agree.

    What one of them does not say of its pictures' size or rate is taken from the other: they are
    of one sequence. Raises InvalidInputError where neither can be had.
    """
    if test.rate_unit == anchor.rate_unit:
        return test, anchor
    size, fps = test.size or anchor.size, test.fps or anchor.fps
    both = [
        replace(curve, size=curve.size or size, fps=curve.fps or fps) for curve in (test, anchor)
    ]
    try:
        return both[0].in_bpp(), both[1].in_bpp()
    except InvalidInputError as error:
        try:
            return test.in_kbps(), anchor.in_kbps()
        except InvalidInputError:
            raise InvalidInputError(
                f"the rates of {test.name} are in {test.rate_unit}, those of {anchor.name} in "
                f"{anchor.rate_unit}: {error}"
            ) from None


def _span(qualities: Array, metric: Metric) -> str:
    if metric.higher_is_better:
        return metric.show_range(float(qualities[0]), float(qualities[-1]))
    return metric.show_range(float(-qualities[-1]), float(-qualities[0]))
