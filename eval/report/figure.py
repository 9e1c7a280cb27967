"""A report's curves as a figure for papers: PNG, SVG or PDF."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from kodec.eval.metrics.metric_names import find_metric

from .entries import Entry
from .line_style import ANCHOR_STYLE, LIGHT, Marker, line_style
from .report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS: dict[Marker, str] = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "wedge": "v",
    "plus": "P",
    "cross": "X",
    "hexagon": "h",
    "anchor": "*",
}
_FONTS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "grid.color": "#d9dce1",
    "grid.linewidth": 0.5,
    # Outlines: the same letters wherever the figure is opened.
    "svg.fonttype": "path",
    "svg.hashsalt": "kodec",
    # TrueType: many publishers refuse PDFs with Type 3 fonts, which are the default.
    "pdf.fonttype": 42,
}


FigureKind = Literal["png", "svg", "pdf"]
# Without a date the same results give the same bytes.
_METADATA: dict[FigureKind, dict[str, str | None]] = {
    "png": {"Software": "kodec"},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def report_figure(
    report: Report,
    kind: FigureKind,
    width: float = 3.5,
    log_rate: bool = True,
) -> bytes:
    """The file of a figure `width` inches wide (3.5: a column of two), one panel a metric below
    another; PNG at 300 dots per inch."""
    draws = [partial(_draw, report=report, metric=m, log_rate=log_rate) for m in report.metrics]
    return figure_of(draws, kind, width)


def figure_of(
    panels: Sequence[Callable[["Axes"], None]], kind: FigureKind, width: float = 3.5
) -> bytes:
    """The file of a figure whose panels are drawn by functions, below one another."""
    # Matplotlib takes half a second to load, and the page needs none of it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_FONTS):
        size = (width, len(panels) * (0.5 * width + 0.9))
        figure = Figure(figsize=size, layout="constrained")
        for axes, draw in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels):
            draw(axes)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=300, metadata=_METADATA[kind])
    return file.getvalue()


def _draw(axes: "Axes", report: Report, metric: str, log_rate: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    others = [entry for entry in report.entries if entry is not report.anchor]
    for number, entry in enumerate(others):
        if metric in entry.curves:
            style = line_style(number)
            _line(axes, entry, metric, LIGHT[style.colour], style.marker, style.dash, 1.1)
    if report.anchor is not None and metric in report.anchor.curves:
        _line(axes, report.anchor, metric, "#111418", ANCHOR_STYLE.marker, (), 1.6, " (anchor)")
    if log_rate:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Rate, bits per pixel" if report.rate_unit == "bpp" else "Rate, kbit/s")
    axes.set_ylabel(find_metric(metric).axis)
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, handlelength=3.2, labelspacing=0.35, loc="best")


def _line(
    axes: "Axes",
    entry: Entry,
    metric: str,
    colour: str,
    marker: Marker,
    dash: tuple[float, ...],
    width: float,
    suffix: str = "",
) -> None:
    curve = entry.curves[metric]
    rates, values = zip(*sorted(zip(curve.rates, curve.values, strict=True)), strict=True)
    # A dollar sign would start mathematics, a leading underscore hides a line from the legend.
    label = (entry.name + suffix).replace("$", r"\$")
    axes.plot(
        rates,
        values,
        color=colour,
        marker=_MARKERS[marker],
        markersize=3.6 if marker != "anchor" else 5,
        markeredgewidth=0,
        linestyle=(0, dash) if dash else "-",
        linewidth=width,
        label=f"\u200b{label}" if label.startswith("_") else label,
    )
