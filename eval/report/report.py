"""A report's content: which curves are compared by which metrics, and the BD-rates among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kodec.eval.curves.bdrate import Method, bd_rate
from kodec.eval.curves.comparison import Comparison, compare
from kodec.eval.curves.curve import Curve
from kodec.eval.curves.pooling import sequence_key
from kodec.eval.metrics.metric_names import linear_form, preferred
from kodec.eval.metrics.picture_metrics import ms_ssim_db
from kodec.eval.running.results import ImageRow
from kodec.native import InvalidInputError

from .entries import Entry

_SHOWN_TOO = ("ms-ssim-db-rgb", "vmaf", "lpips")
_INSTEAD = {"ms-ssim-db-rgb": "ms-ssim-db-y"}


@dataclass(frozen=True)
class AgainstAnchor:
    """The comparison of one entry with the anchor, or why there is none."""

    entry: Entry
    metric: str
    comparison: Comparison | None
    reason: str
    """Empty where there is a comparison."""
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
    rate_unit: str
    """`bpp` or `kbps`, of all curves."""
    comparisons: tuple[AgainstAnchor, ...]
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
    """Compare entries by `metrics`; without them by PSNR (of RGB, or 6:1:1, or Y, whichever is
    shared) and by MS-SSIM, VMAF and LPIPS where they are shared, or by all that is shared.

    A BD-rate that cannot be computed stays in the report with its reason. Raises InvalidInputError
    without entries, when a metric that was asked for is nowhere, or when an entry shares no metric
    with any other (with the anchor, if there is one).
    """
    if not entries:
        raise InvalidInputError("a report needs at least one results file besides the anchor")
    everything = (*entries, *([anchor] if anchor else []))
    chosen = tuple(dict.fromkeys(metrics)) or _usual_metrics(everything, anchor)
    for metric in chosen:
        if not any(metric in entry.curves for entry in everything):
            known = dict.fromkeys(name for entry in everything for name in entry.curves)
            why = next((e.missing[metric] for e in everything if metric in e.missing), "")
            raise InvalidInputError(why or f"no result has {metric}, only {', '.join(known)}")
    for entry in everything:
        if not any(metric in entry.curves for metric in chosen):
            raise InvalidInputError(
                f"{entry.name} has {', '.join(entry.curves)}, the report compares by "
                f"{', '.join(chosen)}: leave it out or name another --metric"
            )
    return Report(
        title=title or _default_title(entries, anchor),
        entries=everything,
        anchor=anchor,
        metrics=chosen,
        method=method,
        rate_unit=next(iter(everything[0].curves.values())).rate_unit,
        comparisons=tuple(
            _compare(entry, anchor, metric, method)
            for metric in chosen
            for entry in entries
            if anchor is not None
        ),
    )


def picture_comparisons(
    entry: Entry, anchor: Entry, metric: str, method: Method
) -> dict[str, float | None]:
    """Per picture that the entry has rows of, and the anchor rows or a curve, its own BD-rate in
    percent; None where there is none."""
    values: dict[str, float | None] = {}
    for image in dict.fromkeys(row.image for row in entry.rows):
        test, theirs = (_picture_curve(side, image, metric) for side in (entry, anchor))
        if test is None or theirs is None:
            continue
        try:
            values[image] = bd_rate(test, theirs, method).value_percent
        except InvalidInputError:
            values[image] = None
    return values


def row_value(row: ImageRow, metric: str) -> float | None:
    """A picture's value of a metric; MS-SSIM in decibels is derived."""
    linear = linear_form(metric)
    if metric not in row.metrics and linear in row.metrics:
        return ms_ssim_db(row.metrics[linear])
    return row.metrics.get(metric)


def _picture_curve(entry: Entry, image: str, metric: str) -> Curve | None:
    if not entry.rows and metric in entry.curves:
        named = sequence_key(image)
        members = entry.curves[metric].members
        return next((m for m in members if sequence_key(m.sequence or "") == named), None)
    points = [(row.bpp, row_value(row, metric)) for row in entry.rows if row.image == image]
    # A picture that came back without loss has no finite PSNR, so no place on a curve.
    whole = [(rate, value) for rate, value in points if value is not None and math.isfinite(value)]
    if not whole:
        return None
    rates, values = zip(*whole, strict=True)
    return Curve(f"{entry.name}, {image}", rates, values, metric)


def _compare(entry: Entry, anchor: Entry, metric: str, method: Method) -> AgainstAnchor:
    for side in (entry, anchor):
        if metric not in side.curves:
            reason = side.missing.get(metric, f"{side.name} has no {metric}")
            return AgainstAnchor(entry, metric, None, reason)
    tests, anchors = entry.parts[metric], anchor.parts[metric]
    try:
        found = compare(tests, anchors, method)
    except InvalidInputError as error:
        return AgainstAnchor(entry, metric, None, str(error))
    # What sources say of themselves stands with their settings.
    own = {note for curve in (*tests, *anchors, *found.test, *found.anchor) for note in curve.notes}
    remarks = [warning for result in found.results for warning in result.warnings]
    remarks += found.interval.warnings if found.interval else ()
    remarks += [n for n in found.notes if n not in own and not n.startswith("no bootstrap")]
    remarks += _unlike(entry, anchor)
    return AgainstAnchor(entry, metric, found, "", tuple(dict.fromkeys(remarks)))


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


def _usual_metrics(everything: Sequence[Entry], anchor: Entry | None) -> tuple[str, ...]:
    """Of the metrics that the anchor and at least one other have, or two entries where there is no
    anchor, or whatever a single entry has: a PSNR and those that are none."""
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
    psnr = preferred([metric for metric in common if metric.startswith("psnr")])
    others = [m if m in common else _INSTEAD.get(m, m) for m in _SHOWN_TOO]
    usual = tuple(m for m in (psnr, *others) if m is not None and m in common)
    return usual or tuple(common)


def _default_title(others: Sequence[Entry], anchor: Entry | None) -> str:
    names = [entry.name for entry in others]
    few = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    codecs = few if len(names) <= 3 else f"{len(names)} curves"
    return f"{codecs} against {anchor.name}" if anchor else codecs
