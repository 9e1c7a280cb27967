"""A report as CSV: its points and BD-rates, one record a line."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from kodec.eval.curves.bdrate import BDResult

from .entries import Entry
from .report import AgainstAnchor, Report

Row = dict[str, Any]

COLUMNS = (
    *(
        "record",
        "codec",
        "metric",
        "rate_unit",
        "rate",
        "value",
        "point",
        "encoding_time",
        "decoding_time",
        "macs_per_pixel",
    ),
    *("anchor", "method", "sequence", "bd_rate_percent", "interval_low", "interval_high"),
    *("overlap_low", "overlap_high", "test_fraction", "anchor_fraction"),
    *("test_points", "anchor_points", "averaging", "source", "remark"),
)


def report_csv(report: Report) -> str:
    """CSV with a header: `point` records (times in seconds) and, with an anchor, `bd-rate` records,
    one a sequence and one without a sequence for all, whose `remark` says what weakens the number
    or why there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for metric in report.metrics:
        for entry in report.shown(metric):
            writer.writerows(_points(entry, metric))
    for against in report.comparisons:
        writer.writerows(_bd_rates(report, against))
    return text.getvalue()


def _points(entry: Entry, metric: str) -> Iterator[Row]:
    curve = entry.curves[metric]
    for i, (rate, value) in enumerate(zip(curve.rates, curve.values, strict=True)):
        yield {
            "record": "point",
            "codec": entry.name,
            "metric": metric,
            "rate_unit": curve.rate_unit,
            "rate": rate,
            "value": value,
            "point": curve.settings[i] if curve.settings else "",
            **entry.measured_at(rate),
            "averaging": entry.averaging(metric),
            "source": entry.source,
        }


def _bd_rates(report: Report, against: AgainstAnchor) -> Iterator[Row]:
    assert report.anchor is not None
    base: Row = {
        "record": "bd-rate",
        "codec": against.entry.name,
        "metric": against.metric,
        "anchor": report.anchor.name,
        "method": report.method,
        "source": against.entry.source,
    }
    found = against.comparison
    if found is None:
        yield {**base, "remark": against.reason}
        return
    whole: Row = {
        **base,
        "bd_rate_percent": found.value_percent,
        "averaging": against.entry.averaging(against.metric),
        "remark": "; ".join(against.remarks),
    }
    if found.interval is not None:
        whole["interval_low"] = found.interval.low_percent
        whole["interval_high"] = found.interval.high_percent
    if len(found.results) == 1:
        yield {**whole, **_basis(found.results[0].rate)}
        return
    yield {**whole, "averaging": f"mean of {len(found.results)} sequences' BD-rates"}
    for result in found.results:
        own: Row = {"sequence": result.sequence, "bd_rate_percent": result.rate.value_percent}
        yield {**base, **own, **_basis(result.rate), "remark": "; ".join(result.rate.warnings)}


def _basis(result: BDResult) -> Row:
    return {
        "overlap_low": result.overlap[0],
        "overlap_high": result.overlap[1],
        "test_fraction": result.test_fraction,
        "anchor_fraction": result.anchor_fraction,
        "test_points": result.test_points,
        "anchor_points": result.anchor_points,
    }
