"""A report as one self-contained HTML page."""

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kodec.eval.curves.curve import Curve
from kodec.eval.metrics.metric_names import Metric, find_metric

from .complexity import complexity_of, parts_of
from .crops import Crop, CropSet, data_uri
from .entries import Entry
from .frame_plots import FramePlot, frame_plots, line_facts, plot_svg
from .line_style import ANCHOR_STYLE, DARK, LIGHT, line_style
from .report import AgainstAnchor, Report, picture_comparisons, row_value

_FOLDER = Path(__file__).resolve().parent
_KEYS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NO_NUMBER = "–"
_MEASURED = {
    "encoding_time": ("encode, s", ".3g"),
    "decoding_time": ("decode, s", ".3g"),
    "macs_per_pixel": ("multiplications a pixel", ",.0f"),
}


def report_page(
    report: Report,
    sets: Sequence[CropSet] = (),
    no_pictures: str = "",
    frames_bpp: float | None = None,
) -> str:
    """The page's HTML: curves, BD-rates, frames of sequences, details of pictures, numbers per
    picture, settings. `frames_bpp`: the rate that sequences are shown at frame by frame.

    It loads nothing: style, script, data and pictures are in it. Where there are no details to
    show, `no_pictures` says why.
    """
    entries = [_entry(report, number) for number in range(len(report.entries))]
    metrics = [_metric(report, metric, entries, frames_bpp) for metric in report.metrics]
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        rate_words=_rate_words(report),
        version=version("kodec"),
        lede=_lede(report),
        css=_asset("page.css"),
        script=_asset("page.js"),
        light=LIGHT,
        dark=DARK,
        entries=entries,
        anchor=entries[-1],
        metrics=metrics,
        costs=[_cost(entry, shown) for entry, shown in zip(report.entries, entries, strict=True)],
        any_frames=any(metric["frame_plots"] for metric in metrics),
        any_rows=any(entry.rows for entry in report.entries),
        rowless=[entry.name for entry in report.entries if not entry.rows],
        sets=[_crop_set(crop_set) for crop_set in sets],
        no_pictures="" if sets else no_pictures or "No pictures were asked for.",
        data=_data(report, entries, metrics),
    )


def _asset(name: str) -> Markup:
    # Our own files: they are the only text that is not escaped.
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _lede(report: Report) -> str:
    names = "; ".join(entry.name for entry in report.entries if entry is not report.anchor)
    metrics = "; ".join(find_metric(metric).axis for metric in report.metrics)
    anchor = f" Anchor: {report.anchor.name}." if report.anchor else ""
    return f"{names}.{anchor} Rates in {_rate_words(report)}; quality as {metrics}."


def _rate_words(report: Report) -> str:
    return "bits per pixel" if report.rate_unit == "bpp" else "kbit/s"


def _rate(report: Report, rate: float) -> str:
    return f"{rate:.4f}" if report.rate_unit == "bpp" else f"{rate:.1f}"


def _entry(report: Report, number: int) -> dict[str, Any]:
    entry = report.entries[number]
    anchor = entry is report.anchor
    style = ANCHOR_STYLE if anchor else line_style(number)
    facts = [("source", ", ".join(entry.sources)), *entry.facts]
    facts += [(f"no {metric}", reason) for metric, reason in entry.missing.items()]
    facts += [("note", note) for note in entry.notes]
    return {
        "index": number,
        "name": entry.name,
        "key": _KEYS[number] if number < len(_KEYS) else str(number + 1),
        "anchor": anchor,
        "colour": "-1" if anchor else style.colour,
        "marker": style.marker,
        "dash": style.dash,
        "source": entry.source,
        "facts": facts,
        "table": _points(report, entry),
    }


def _points(report: Report, entry: Entry) -> dict[str, Any]:
    """Every point with every number there is of it, those that are compared by first."""
    rates = sorted({rate for curve in entry.curves.values() for rate in curve.rates})
    labels: dict[float, str] = {}
    columns: list[tuple[str, dict[float, str]]] = []
    for metric in dict.fromkeys([*report.metrics, *entry.curves]):
        if metric not in entry.curves:
            continue
        curve, shown = entry.curves[metric], find_metric(metric)
        numbers = [f"{value:.{shown.decimals}f}" for value in curve.values]
        columns.append((shown.axis, dict(zip(curve.rates, numbers, strict=True))))
        labels |= dict(zip(curve.rates, curve.settings, strict=False))
    for key in entry.measured:
        title, form = _MEASURED[key]
        cells = {rate: format(entry.measured_at(rate)[key], form) for rate in rates}
        columns.append((title, cells))
    first = [("point", labels)] if labels else []
    titles = [*(title for title, _ in first), report.rate_unit, *(title for title, _ in columns)]
    rows = [
        [
            *(cells.get(rate, _NO_NUMBER) for _, cells in first),
            _rate(report, rate),
            *(cells.get(rate, _NO_NUMBER) for _, cells in columns),
        ]
        for rate in rates
    ]
    return {"titles": titles, "rows": rows}


def _cost(entry: Entry, shown: dict[str, Any]) -> dict[str, Any]:
    found = complexity_of(entry)
    cells = (found.encoding, found.decoding, found.macs, found.memory)
    return {
        "entry": shown,
        "known": found.known,
        "cells": [cell or _NO_NUMBER for cell in cells],
        "parts": parts_of(entry),
    }


def _metric(
    report: Report, name: str, entries: list[dict[str, Any]], frames_bpp: float | None
) -> dict[str, Any]:
    anchor, metric = report.anchor, find_metric(name)
    return {
        "name": name,
        "title": metric.axis,
        "short": metric.label,
        "unit": metric.unit,
        "digits": metric.decimals,
        "meaning": metric.meaning,
        "better": "upper left" if metric.higher_is_better else "lower left",
        "entries": [entries[i] for i, entry in enumerate(report.entries) if name in entry.curves],
        "absent": [entry.name for entry in report.entries if name not in entry.curves],
        "comparisons": [
            _against(against, entries[report.entries.index(against.entry)])
            for against in report.comparisons
            if against.metric == name
        ],
        "anchor_points": len(anchor.curves[name].rates)
        if anchor is not None and name in anchor.curves
        else 0,
        "anchor_averaging": anchor.averaging(name)
        if anchor is not None and name in anchor.curves
        else "",
        "frame_plots": [
            _frame_plot(report, plot, entries) for plot in frame_plots(report, name, frames_bpp)
        ],
        "picture_tables": [
            _picture_table(report, entry, metric, entries[i])
            for i, entry in enumerate(report.entries)
            if any(row_value(row, name) is not None for row in entry.rows)
        ],
    }


def _frame_plot(report: Report, plot: FramePlot, entries: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = [report.entries.index(line.entry) for line in plot.lines]
    styles = [
        ANCHOR_STYLE if line.entry is report.anchor else line_style(number)
        for number, line in zip(numbers, plot.lines, strict=True)
    ]
    return {
        "sequence": plot.sequence,
        "svg": plot_svg(plot, styles),
        "lines": [
            {"entry": entries[number], "facts": line_facts(line, plot.metric)}
            for number, line in zip(numbers, plot.lines, strict=True)
        ],
    }


def _percent(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _against(against: AgainstAnchor, entry: dict[str, Any]) -> dict[str, Any]:
    found = against.comparison
    if found is None:
        return {"entry": entry, "value": "", "reason": against.reason}
    metric = find_metric(found.metric)
    points = {f"{r.rate.test_points} against {r.rate.anchor_points}" for r in found.results}
    fractions = [
        min(getattr(result.rate, name) for result in found.results)
        for name in ("test_fraction", "anchor_fraction")
    ]
    several = len(found.results) > 1
    low, high = found.results[0].rate.overlap
    interval = found.interval
    return {
        "entry": entry,
        "value": _percent(found.value_percent),
        "interval": ""
        if interval is None
        else f"{100 * interval.level:g} % interval {_percent(interval.low_percent)} to "
        f"{_percent(interval.high_percent)}",
        "points": "; ".join(sorted(points)),
        "overlap": f"{len(found.results)} sequences, at least"
        if several
        else f"{low:.{metric.decimals}f} to {metric.show(high)}",
        "share": f"{100 * fractions[0]:.0f} % of its range, "
        f"{100 * fractions[1]:.0f} % of the anchor's",
        "averaging": "mean of the sequences' BD-rates"
        if several
        else against.entry.averaging(found.metric),
        "remarks": against.remarks,
        "sequences": [
            {
                "name": result.sequence,
                "value": _percent(result.rate.value_percent),
                "points": f"{result.rate.test_points} against {result.rate.anchor_points}",
                "overlap": metric.show_range(*result.rate.overlap),
            }
            for result in found.results
        ]
        if several
        else [],
    }


def _picture_table(
    report: Report, entry: Entry, metric: Metric, shown: dict[str, Any]
) -> dict[str, Any]:
    """A line a picture, rate and quality at every point."""
    pictures: dict[str, dict[int | None, tuple[str, str]]] = {}
    for row in entry.rows:
        value = row_value(row, metric.name)
        cell = _NO_NUMBER if value is None else f"{value:.{metric.decimals}f}"
        if value is not None and math.isinf(value):
            cell = "lossless"
        pictures.setdefault(row.image, {})[row.quality] = (f"{row.bpp:.4f}", cell)
    qualities = list(dict.fromkeys(row.quality for row in entry.rows))
    comparisons: dict[str, float | None] = {}
    if report.anchor is not None and entry is not report.anchor:
        comparisons = picture_comparisons(entry, report.anchor, metric.name, report.method)
    rows = []
    for image, cells in pictures.items():
        value = comparisons.get(image)
        rows.append(
            {
                "image": image,
                "cells": [cells.get(quality, (_NO_NUMBER, _NO_NUMBER)) for quality in qualities],
                "comparison": _NO_NUMBER if value is None else _percent(value),
            }
        )
    points = ["one rate" if quality is None else f"quality {quality}" for quality in qualities]
    return {"entry": shown, "points": points, "rows": rows, "comparisons": comparisons}


def _crop_set(crop_set: CropSet) -> dict[str, Any]:
    left, upper, right, lower = crop_set.place
    crops = [
        {
            "name": "Original",
            "facts": "",
            "remark": "",
            "uri": data_uri(crop_set.original),
        },
        *(
            {
                "name": crop.name,
                "facts": _crop_facts(crop, crop_set.target_bpp),
                "remark": crop.remark,
                "uri": data_uri(crop.pixels),
            }
            for crop in crop_set.crops
        ),
    ]
    return {
        "picture": crop_set.picture,
        "target": f"{crop_set.target_bpp:.3f}",
        "place": f"{left} to {right} across, {upper} to {lower} down",
        "width": right - left,
        "height": lower - upper,
        "crops": crops,
        "left_out": crop_set.left_out,
        "first_left": 1,
        "first_right": 2 if len(crops) > 2 else 0,
    }


def _crop_facts(crop: Crop, target_bpp: float) -> str:
    off = crop.bpp / target_bpp - 1
    # Where nothing nearer was to be had, the reader should not have to notice.
    unlike = f" ({100 * off:+.0f} %)".replace("-", "−") if abs(off) > 0.05 else ""
    quality = "" if crop.quality is None else f", quality {crop.quality}"
    decibels = f"{crop.psnr:.2f} dB" if math.isfinite(crop.psnr) else "without loss"
    return f"{crop.bpp:.3f} bpp{unlike}, {decibels}{quality}"


def _data(
    report: Report, entries: list[dict[str, Any]], metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the page's script draws, as plain JSON."""
    keys = ("index", "name", "key", "anchor", "colour", "marker", "dash")
    return {
        "rate": {
            "unit": report.rate_unit,
            "words": _rate_words(report),
            "digits": 4 if report.rate_unit == "bpp" else 1,
        },
        "metrics": [
            {key: metric[key] for key in ("name", "title", "short", "unit", "digits")}
            for metric in metrics
        ],
        "entries": [
            {
                **{key: shown[key] for key in keys},
                "curves": {
                    metric: _curve_data(entry.curves[metric])
                    for metric in report.metrics
                    if metric in entry.curves
                },
            }
            for entry, shown in zip(report.entries, entries, strict=True)
        ],
    }


def _curve_data(curve: Curve) -> list[dict[str, Any]]:
    """The points by rising rate."""
    labels = curve.settings or ("",) * len(curve.rates)
    points = sorted(zip(curve.rates, curve.values, labels, strict=True))
    return [{"rate": rate, "value": value, "label": label} for rate, value, label in points]
