"""A report's content: which curves are compared by which metrics, and the BD-rates among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kodec.eval.bdrate import BDResult, Method, bd_rate
from kodec.eval.metrics import ms_ssim_db
from kodec.eval.results import Curve, ImageRow
from kodec.native import InvalidInputError

from .entries import Entry


@dataclass(frozen=True)
class Comparison:
    """The BD-rate of one entry against the anchor, or why there is none."""

    entry: Entry
    metric: str
    result: BDResult | None
    reason: str
    """Empty where there is a result."""
    remarks: tuple[str, ...] = ()
    """One line each: reasons to trust the number less."""


@dataclass(frozen=True)
class Report:
    """What every format of a report is made from."""

    title: str
    entries: tuple[Entry, ...]
    """The anchor, if there is one, is the last."""
    anchor: Entry | None
    metrics: tuple[str, ...]
    method: Method
    comparisons: tuple[Comparison, ...]
    """Per metric, per entry that is not the anchor; empty without an anchor."""

    def shown(self, metric: str) -> list[Entry]:
        """The entries that have a curve of `metric`."""
        return [entry for entry in self.entries if metric in entry.curves]


def build_report(
    entries: Sequence[Entry],
    anchor: Entry | None = None,
    metrics: Sequence[str] = (),
    method: Method = "pchip",
    title: str = "",
) -> Report:
    """Compare entries by `metrics`, or by every metric that allows a comparison.

    A BD-rate that cannot be computed stays in the report with its reason. Raises InvalidInputError
    without entries, when a metric that was asked for is nowhere, or when an entry shares no metric
    with any other (with the anchor, if there is one).
    """
    others = [entry for entry in entries if anchor is None or entry.name != anchor.name]
    if not others:
        raise InvalidInputError("a report needs at least one results file besides the anchor")
    everything = (*others, *([anchor] if anchor else []))
    chosen = tuple(dict.fromkeys(metrics)) or _common_metrics(others, anchor)
    for metric in chosen:
        if not any(metric in entry.curves for entry in everything):
            known = dict.fromkeys(name for entry in everything for name in entry.curves)
            raise InvalidInputError(f"no result has {metric}, only {', '.join(known)}")
    for entry in everything:
        if not any(metric in entry.curves for metric in chosen):
            raise InvalidInputError(
                f"{entry.name} has {', '.join(entry.curves)}, the report compares by "
                f"{', '.join(chosen)}: leave it out or name another --metric"
            )
    comparisons = [
        _compare(entry, anchor, metric, method)
        for metric in chosen
        for entry in others
        if anchor is not None
    ]
    return Report(
        title=title or _default_title(others, anchor),
        entries=everything,
        anchor=anchor,
        metrics=chosen,
        method=method,
        comparisons=tuple(comparisons),
    )


def picture_comparisons(
    entry: Entry, anchor: Entry, metric: str, method: Method
) -> dict[str, float | None]:
    """Per picture that both entries have rows of, its own BD-rate in percent; None where there is
    none."""
    values: dict[str, float | None] = {}
    for image in dict.fromkeys(row.image for row in entry.rows):
        pair = [_picture_curve(side, image, metric) for side in (entry, anchor)]
        if pair[0] is None or pair[1] is None:
            continue
        try:
            value = bd_rate(pair[0], pair[1], method).value_percent
        except InvalidInputError:
            value = math.nan
        values[image] = value if math.isfinite(value) else None
    return values


def row_value(row: ImageRow, metric: str) -> float | None:
    """A picture's value of a metric; MS-SSIM in decibels is derived."""
    if metric not in row.metrics and metric == "ms-ssim-db-rgb" and "ms-ssim-rgb" in row.metrics:
        return ms_ssim_db(row.metrics["ms-ssim-rgb"])
    return row.metrics.get(metric)


def _picture_curve(entry: Entry, image: str, metric: str) -> Curve | None:
    points = [(row.bpp, row_value(row, metric)) for row in entry.rows if row.image == image]
    # A picture that came back without loss has no finite PSNR, so no place on a curve.
    whole = [(rate, value) for rate, value in points if value is not None and math.isfinite(value)]
    if not whole:
        return None
    rates, values = zip(*whole, strict=True)
    return Curve(f"{entry.name}, {image}", rates, values, metric)


def _compare(entry: Entry, anchor: Entry, metric: str, method: Method) -> Comparison:
    for side in (entry, anchor):
        if metric not in side.curves:
            reason = side.missing.get(metric, f"{side.name} has no {metric}")
            return Comparison(entry, metric, None, reason)
    try:
        result = bd_rate(entry.curves[metric], anchor.curves[metric], method)
    except InvalidInputError as error:
        return Comparison(entry, metric, None, str(error))
    if not math.isfinite(result.value_percent):
        return Comparison(entry, metric, None, "not a finite number; check the points")
    return Comparison(entry, metric, result, "", (*result.warnings, *_unlike(entry, anchor)))


def _unlike(entry: Entry, anchor: Entry) -> list[str]:
    """A remark where the two are means over different pictures, as far as their files say."""
    pictures, anchors = ({row.image for row in side.rows} for side in (entry, anchor))
    if not pictures or not anchors or pictures == anchors:
        return []
    shared = len(pictures & anchors)
    return [
        f"means over different pictures: {len(pictures)} here, {len(anchors)} in the anchor, "
        f"{shared} in both"
    ]


def _common_metrics(others: Sequence[Entry], anchor: Entry | None) -> tuple[str, ...]:
    """The metrics that the anchor and at least one other have, or two entries where there is no
    anchor, or whatever a single entry has; PSNR first."""
    everything = [*others, *([anchor] if anchor else [])]
    names = dict.fromkeys(metric for entry in everything for metric in entry.curves)
    enough = 1 if len(everything) == 1 else 2
    common = [
        metric
        for metric in names
        if sum(metric in entry.curves for entry in everything) >= enough
        and (anchor is None or metric in anchor.curves)
    ]
    if not common:
        held = "; ".join(f"{entry.name} has {', '.join(entry.curves)}" for entry in everything)
        against = f"with the anchor {anchor.name}" if anchor else "with each other"
        raise InvalidInputError(f"the results share no metric {against}: {held}")
    return tuple(sorted(common, key=lambda metric: not metric.startswith("psnr")))


def _default_title(others: Sequence[Entry], anchor: Entry | None) -> str:
    names = [entry.name for entry in others]
    few = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    codecs = few if len(names) <= 3 else f"{len(names)} codecs"
    return f"{codecs} against {anchor.name}" if anchor else codecs
