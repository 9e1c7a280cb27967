"""A report as one self-contained HTML page."""

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .crops import Crop, CropSet, data_uri
from .entries import Entry
from .line_style import ANCHOR_STYLE, DARK, LIGHT, line_style
from .metric_scale import metric_digits, metric_title, metric_unit
from .report import Comparison, Report, picture_comparisons, row_value

_FOLDER = Path(__file__).resolve().parent
_KEYS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NO_NUMBER = "–"


def report_page(report: Report, sets: Sequence[CropSet] = (), no_pictures: str = "") -> str:
    """The page's HTML: curves, BD-rates, details of pictures, numbers per picture, settings.

    It loads nothing: style, script, data and pictures are in it. Where there are no details to
    show, `no_pictures` says why.
    """
    entries = [_entry(report, number) for number in range(len(report.entries))]
    metrics = [_metric(report, metric, entries) for metric in report.metrics]
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        version=version("kodec"),
        lede=_lede(report),
        css=_asset("page.css"),
        script=_asset("page.js"),
        light=LIGHT,
        dark=DARK,
        entries=entries,
        anchor=entries[-1],
        metrics=metrics,
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
    names = ", ".join(entry.name for entry in report.entries if entry is not report.anchor)
    metrics = ", ".join(metric_title(metric) for metric in report.metrics)
    anchor = f" Anchor: {report.anchor.name}." if report.anchor else ""
    return f"{names}.{anchor} Rates in bits per pixel; quality by {metrics}."


def _entry(report: Report, number: int) -> dict[str, Any]:
    entry = report.entries[number]
    anchor = entry is report.anchor
    style = ANCHOR_STYLE if anchor else line_style(number)
    facts = [("source", entry.source)]
    facts += [("description", entry.description)] if entry.description else []
    facts += [("averaging", entry.averaging), *entry.facts]
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
        "table": _points(entry),
    }


def _points(entry: Entry) -> dict[str, Any]:
    """Every point with every number there is of it."""
    order = _order(entry)
    rates = next(iter(entry.curves.values())).rates
    columns: list[tuple[str, list[str]]] = []
    if any(entry.point_labels):
        columns.append(("point", [entry.point_labels[i] or _NO_NUMBER for i in order]))
    columns.append(("bpp", [f"{rates[i]:.4f}" for i in order]))
    for metric, curve in entry.curves.items():
        digits = metric_digits(metric)
        columns.append((metric_title(metric), [f"{curve.values[i]:.{digits}f}" for i in order]))
    for key, seconds in entry.times.items():
        title = {"encoding_time": "encode, s", "decoding_time": "decode, s"}.get(key, key)
        columns.append((title, [f"{seconds[i]:.3g}" for i in order]))
    return {
        "titles": [title for title, _ in columns],
        "rows": list(zip(*(cells for _, cells in columns), strict=True)),
    }


def _order(entry: Entry) -> list[int]:
    """The places of the points, by rising rate."""
    rates = next(iter(entry.curves.values())).rates
    return sorted(range(len(rates)), key=rates.__getitem__)


def _metric(report: Report, metric: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    anchor = report.anchor
    return {
        "name": metric,
        "title": metric_title(metric),
        "short": metric_title(metric).removesuffix(" (dB)"),
        "unit": metric_unit(metric),
        "digits": metric_digits(metric),
        "entries": [entries[i] for i, entry in enumerate(report.entries) if metric in entry.curves],
        "absent": [entry.name for entry in report.entries if metric not in entry.curves],
        "comparisons": [
            _comparison(comparison, entries[report.entries.index(comparison.entry)])
            for comparison in report.comparisons
            if comparison.metric == metric
        ],
        "anchor_points": len(anchor.curves[metric].rates)
        if anchor is not None and metric in anchor.curves
        else 0,
        "picture_tables": [
            _picture_table(report, entry, metric, entries[i])
            for i, entry in enumerate(report.entries)
            if any(row_value(row, metric) is not None for row in entry.rows)
        ],
    }


def _comparison(comparison: Comparison, entry: dict[str, Any]) -> dict[str, Any]:
    result = comparison.result
    if result is None:
        return {"entry": entry, "value": "", "reason": comparison.reason}
    digits, unit = metric_digits(result.metric), metric_unit(result.metric)
    low, high = (f"{value:.{digits}f}" for value in result.overlap)
    return {
        "entry": entry,
        "value": f"{result.value_percent:+.2f}".replace("-", "−"),
        "points": f"{result.test_points} against {result.anchor_points}",
        "overlap": f"{low} to {high}{' ' + unit if unit else ''}",
        "share": f"{100 * result.test_fraction:.0f} % of its range, "
        f"{100 * result.anchor_fraction:.0f} % of the anchor's",
        "averaging": comparison.entry.averaging,
        "remarks": comparison.remarks,
    }


def _picture_table(
    report: Report, entry: Entry, metric: str, shown: dict[str, Any]
) -> dict[str, Any]:
    """A line a picture, rate and quality at every point."""
    pictures: dict[str, dict[int | None, tuple[str, str]]] = {}
    digits = metric_digits(metric)
    for row in entry.rows:
        value = row_value(row, metric)
        cell = _NO_NUMBER if value is None else f"{value:.{digits}f}"
        if value is not None and math.isinf(value):
            cell = "lossless"
        pictures.setdefault(row.image, {})[row.quality] = (f"{row.bpp:.4f}", cell)
    qualities = list(dict.fromkeys(row.quality for row in entry.rows))
    comparisons: dict[str, float | None] = {}
    if report.anchor is not None and entry is not report.anchor:
        comparisons = picture_comparisons(entry, report.anchor, metric, report.method)
    rows = []
    for image, cells in pictures.items():
        value = comparisons.get(image)
        rows.append(
            {
                "image": image,
                "cells": [cells.get(quality, (_NO_NUMBER, _NO_NUMBER)) for quality in qualities],
                "comparison": _NO_NUMBER if value is None else f"{value:+.2f}".replace("-", "−"),
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
                "facts": _crop_facts(crop),
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


def _crop_facts(crop: Crop) -> str:
    quality = "" if crop.quality is None else f", quality {crop.quality}"
    decibels = f"{crop.psnr:.2f} dB" if math.isfinite(crop.psnr) else "without loss"
    return f"{crop.bpp:.3f} bpp, {decibels}{quality}"


def _data(
    report: Report, entries: list[dict[str, Any]], metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the page's script draws, as plain JSON."""
    keys = ("index", "name", "key", "anchor", "colour", "marker", "dash")
    return {
        "metrics": [
            {key: metric[key] for key in ("name", "title", "short", "unit", "digits")}
            for metric in metrics
        ],
        "entries": [
            {
                **{key: shown[key] for key in keys},
                "curves": {
                    metric: [
                        {
                            "rate": entry.curves[metric].rates[i],
                            "value": entry.curves[metric].values[i],
                            "label": entry.point_labels[i] if entry.point_labels else "",
                        }
                        for i in _order(entry)
                    ]
                    for metric in report.metrics
                    if metric in entry.curves
                },
            }
            for entry, shown in zip(report.entries, entries, strict=True)
        ],
    }
