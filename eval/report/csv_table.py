"""A report as CSV: its points and BD-rates, one record a line."""

import csv
import io

from .report import Report

COLUMNS = (
    *("record", "codec", "metric", "bpp", "value", "point", "encoding_time", "decoding_time"),
    *("anchor", "method", "bd_rate_percent", "overlap_low", "overlap_high", "test_fraction"),
    *("test_points", "anchor_points", "averaging", "source", "remark"),
)


def report_csv(report: Report) -> str:
    """CSV with a header: `point` records (rates in bits per pixel, times in seconds) and, with an
    anchor, `bd-rate` records, whose `remark` says what weakens the number or why there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for metric in report.metrics:
        for entry in report.shown(metric):
            curve = entry.curves[metric]
            base = {"codec": entry.name, "metric": metric, "source": entry.source}
            for i, (rate, value) in enumerate(zip(curve.rates, curve.values, strict=True)):
                labels = {"point": entry.point_labels[i]} if entry.point_labels else {}
                times = {key: seconds[i] for key, seconds in entry.times.items()}
                own = {"bpp": rate, "value": value, "averaging": entry.averaging}
                writer.writerow({"record": "point", **base, **own, **labels, **times})
    for comparison in report.comparisons:
        assert report.anchor is not None
        row: dict[str, object] = {
            "record": "bd-rate",
            "codec": comparison.entry.name,
            "metric": comparison.metric,
            "anchor": report.anchor.name,
            "method": report.method,
            "averaging": comparison.entry.averaging,
            "source": comparison.entry.source,
            "remark": comparison.reason,
        }
        if comparison.result is not None:
            result = comparison.result
            row |= {
                "bd_rate_percent": result.value_percent,
                "overlap_low": result.overlap[0],
                "overlap_high": result.overlap[1],
                "test_fraction": result.test_fraction,
                "test_points": result.test_points,
                "anchor_points": result.anchor_points,
                "remark": "; ".join(comparison.remarks),
            }
        writer.writerow(row)
    return text.getvalue()
