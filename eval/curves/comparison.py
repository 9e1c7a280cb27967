"""One codec against another over one or more sequences: BD-rates, their average, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kodec.eval.metrics.metric_names import find_metric
from kodec.native import InvalidInputError

from .bdrate import BDQuality, BDResult, Method, bd_quality, bd_rate, describe, in_one_unit
from .bootstrap import RESAMPLES, Interval, interval_of_mean, interval_over_members
from .curve import Curve
from .pooling import pair, pool

Average = Literal["sequences", "curves"]
"""`sequences`: BD-rates of each, then their mean. `curves`: the mean curves, then one BD-rate."""


@dataclass(frozen=True)
class SequenceResult:
    """The BD-rate and BD-quality of one sequence or picture."""

    sequence: str
    rate: BDResult
    quality: BDQuality | None
    """None where the curves have no rates in common."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line each: reasons to trust the two numbers less."""
        return (*self.rate.warnings, *(self.quality.warnings if self.quality else ()))


@dataclass(frozen=True)
class Comparison:
    """BD-rate and BD-quality of one codec against another, and what they rest on."""

    value_percent: float
    """BD-rate of the one pair of curves, or the mean of the sequences'."""
    quality_difference: float | None
    """BD-quality in the metric's unit, likewise."""
    metric: str
    method: Method
    average: Average | None
    """How several sequences were averaged; None for one pair of curves as they were read."""
    results: tuple[SequenceResult, ...]
    """Of every sequence, or of the one pair of curves."""
    interval: Interval | None
    test: tuple[Curve, ...]
    anchor: tuple[Curve, ...]
    notes: tuple[str, ...]
    """One line each, from curves and from pairing them; the results' own warnings are in them."""


def compare(
    tests: Sequence[Curve],
    anchors: Sequence[Curve],
    method: Method = "pchip",
    average: Average | None = None,
    force: bool = False,
    resamples: int = RESAMPLES,
) -> Comparison:
    """BD-rate and BD-quality of `tests` against `anchors`, sequences matched by their names.

    Several sequences are compared one by one and averaged (`sequences`, the default), or their mean
    curves are compared (`curves`). One pair of mean curves with members of their own is compared as
    it is, or, with `sequences`, member by member. The interval is over pictures or sequences;
    `resamples` 0 leaves it out.

    Raises InvalidInputError as `bd_rate`, `pair` and `pool` do, and for `sequences` of curves that
    have no members.
    """
    if average is not None and average not in get_args(Average):
        raise InvalidInputError(f"unknown average {average!r}: {' or '.join(get_args(Average))}")
    pairs, notes = pair(tests, anchors)
    if len(pairs) == 1 and average == "sequences":
        test, anchor = pairs[0]
        if test.members or anchor.members:
            for curve in pairs[0]:
                if not curve.members:
                    raise InvalidInputError(
                        f"{curve.name} has no data per picture, so there is only the BD-rate of "
                        "the mean curves: leave --average out"
                    )
            pairs, more = pair(test.members, anchor.members)
            notes += more
    elif len(pairs) == 1:
        average = None
    elif average is None:
        average = "sequences"
    if average == "curves":
        pairs = [in_one_unit(*one) for one in pairs]
        names = [_common_name([curve for curve in side]) for side in zip(*pairs, strict=True)]
        ours, theirs = (
            pool(list(side), name)
            for side, name in zip(zip(*pairs, strict=True), names, strict=True)
        )
        pairs = [(ours, theirs)]
    results = tuple(_compared(test, anchor, method, force) for test, anchor in pairs)
    tested, anchored = (tuple(side) for side in zip(*pairs, strict=True))
    for curve in (*tests, *anchors, *tested, *anchored):
        notes += curve.notes
    interval = None
    if resamples:
        try:
            interval = (
                interval_of_mean([result.rate.value_percent for result in results], resamples)
                if average == "sequences"
                else interval_over_members(*pairs[0], method=method, resamples=resamples)
            )
        except InvalidInputError as reason:
            # One sequence's curve has no pictures to draw from, and nobody expects any.
            if average or any(c.members or "images" in c.averaging for c in pairs[0]):
                notes.append(f"no bootstrap interval: {reason}")
    differences = [result.quality.value for result in results if result.quality is not None]
    complete = len(differences) == len(results)
    return Comparison(
        value_percent=sum(result.rate.value_percent for result in results) / len(results),
        quality_difference=sum(differences) / len(differences) if complete else None,
        metric=results[0].rate.metric,
        method=method,
        average=average,
        results=results,
        interval=interval,
        test=tested,
        anchor=anchored,
        notes=tuple(dict.fromkeys(notes)),
    )


def describe_comparison(comparison: Comparison) -> str:
    """A comparison in words: the numbers, then what they rest on, then a line per note."""
    metric = find_metric(comparison.metric)
    first = comparison.results[0].rate
    several = comparison.average == "sequences"
    if several:
        points = "; ".join(
            sorted(
                {f"{r.rate.test_points} against {r.rate.anchor_points}" for r in comparison.results}
            )
        )
        lines = [
            f"BD-rate {comparison.value_percent:+.2f} % ({metric.name}, {comparison.method}; "
            f"mean of {len(comparison.results)} sequences' BD-rates; {points} points)"
        ]
    else:
        lines = [describe(first).splitlines()[0]]
    kind = "BD-PSNR" if metric.name.startswith("psnr") else "BD-quality"
    if comparison.quality_difference is not None:
        sign = "" if metric.higher_is_better else "; lower is better"
        unit = f" {metric.unit}" if metric.unit else ""
        decimals = max(metric.decimals, 3)
        over = ""
        quality = comparison.results[0].quality
        if not several and quality is not None:
            low, high = quality.overlap
            over = f" over {low:.4g}..{high:.4g} {quality.rate_unit}"
        number = f"{comparison.quality_difference:+.{decimals}f}"
        lines.append(f"{kind} {number}{unit} (at equal rate{over}{sign})")
    else:
        lines.append(f"{kind}: none, the curves have no rates in common")
    if comparison.interval is not None:
        found = comparison.interval
        what = "sequences" if several else "pictures or sequences"
        lines.append(
            f"{100 * found.level:g} % interval {found.low_percent:+.2f}..{found.high_percent:+.2f} "
            f"% (bootstrap over {found.items} {what}, {found.resamples} resamples, seed "
            f"{found.seed})"
        )
    if several:
        lines += _table(comparison)
    else:
        shape = "rises" if first.monotonic else "does not always rise"
        lines.append(
            f"overlap: {100 * first.test_fraction:.0f} % of the test's range, "
            f"{100 * first.anchor_fraction:.0f} % of the anchor's; rate {shape} with quality"
        )
    lines += [_rests_on("test", comparison.test), _rests_on("anchor", comparison.anchor)]
    warnings = [w for result in comparison.results for w in result.warnings]
    if comparison.interval is not None:
        warnings += comparison.interval.warnings
    lines += [f"note: {note}" for note in dict.fromkeys([*warnings, *comparison.notes])]
    return "\n".join(lines)


def _compared(test: Curve, anchor: Curve, method: Method, force: bool) -> SequenceResult:
    rate = bd_rate(test, anchor, method, force)
    try:
        quality = bd_quality(test, anchor, method)
    except InvalidInputError:
        quality = None
    return SequenceResult(test.sequence or test.name, rate, quality)


def _table(comparison: Comparison) -> list[str]:
    metric = find_metric(comparison.metric)
    width = max(len("sequence"), *(len(result.sequence) for result in comparison.results))
    title = "BD-PSNR" if metric.name.startswith("psnr") else "BD-quality"
    lines = [f"{'sequence':<{width}}{'BD-rate %':>11}{title:>12}{'overlap %':>16}"]
    for result in comparison.results:
        quality = "-" if result.quality is None else f"{result.quality.value:+.3f}"
        overlap = f"{100 * result.rate.test_fraction:.0f} / {100 * result.rate.anchor_fraction:.0f}"
        rises = "" if result.rate.monotonic else "  rate does not always rise"
        lines.append(
            f"{result.sequence:<{width}}{result.rate.value_percent:>+11.2f}{quality:>12}"
            f"{overlap:>16}{rises}"
        )
    return lines


def _rests_on(side: str, curves: Sequence[Curve]) -> str:
    first = curves[0]
    name = first.name if len(curves) == 1 else f"{len(curves)} curves, the first {first.name}"
    averaging = ", ".join(sorted({curve.averaging for curve in curves}))
    units = ", ".join(sorted({curve.rate_unit for curve in curves}))
    files = list(dict.fromkeys(source for curve in curves for source in curve.source))
    where = "" if not files else f"; {files[0]}" if len(files) == 1 else f"; {len(files)} files"
    return f"{side}: {name} ({units}; averaging: {averaging}{where})"


def _common_name(curves: Sequence[Curve]) -> str:
    """A name for the mean of curves: what their own names begin with."""
    names = [curve.name for curve in curves]
    start = names[0]
    for name in names[1:]:
        while not name.startswith(start):
            start = start[:-1]
    start = start.rstrip(" ,_-.")
    return f"{start or 'mean'} ({len(curves)} sequences)"
