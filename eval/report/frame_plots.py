"""A metric over the frames of a sequence, several codecs at about the same rate, as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kodec.eval.metrics.metric_names import find_metric
from kodec.eval.running.results import ImageRow

from .crops import nearest_row
from .entries import Entry
from .line_style import LineStyle
from .report import Report

_WIDTH, _HEIGHT = 760, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 748, 28, 240
_MOST_POINTS = 700
"""As many frames as the plot has pixels across: of more every second is drawn, or fewer."""


@dataclass(frozen=True)
class FrameLine:
    """One codec's frames."""

    entry: Entry
    row: ImageRow
    values: tuple[float, ...]
    """In display order; infinite where a frame came back without loss."""


@dataclass(frozen=True)
class FramePlot:
    """One sequence's frames, by one metric."""

    sequence: str
    metric: str
    lines: tuple[FrameLine, ...]


def frame_plots(report: Report, metric: str, bpp: float | None = None) -> list[FramePlot]:
    """A plot of every sequence of which results have this metric frame by frame.

    The first codec's row nearest to `bpp`, or without it the middle one of its rates, sets the rate
    that the others' rows are chosen by.
    """
    plots: dict[str, list[FrameLine]] = {}
    for entry in report.entries:
        by_sequence: dict[str, list[ImageRow]] = {}
        for row in entry.rows:
            if metric in row.per_frame:
                by_sequence.setdefault(row.image, []).append(row)
        for sequence, rows in by_sequence.items():
            lines = plots.setdefault(sequence, [])
            if lines:
                chosen = nearest_row(rows, lines[0].row.bpp)
            elif bpp is not None:
                chosen = nearest_row(rows, bpp)
            else:
                chosen = sorted(rows, key=lambda row: row.bpp)[len(rows) // 2]
            lines.append(FrameLine(entry, chosen, tuple(chosen.per_frame[metric])))
    return [FramePlot(sequence, metric, tuple(lines)) for sequence, lines in plots.items()]


def line_facts(line: FrameLine, metric: str) -> str:
    """Rate, quality, mean and range in words."""
    shown = find_metric(metric)
    quality = "" if line.row.quality is None else f"quality {line.row.quality}, "
    finite = [value for value in line.values if math.isfinite(value)]
    if not finite:
        return f"{line.row.bpp:.4f} bpp, {quality}without loss"
    between = shown.show_range(min(finite), max(finite))
    return f"{line.row.bpp:.4f} bpp, {quality}frames of {between}"


def plot_svg(plot: FramePlot, styles: Sequence[LineStyle]) -> Markup:
    """The plot, its colours by class as the page's style has them; `styles`: one a line."""
    metric = find_metric(plot.metric)
    finite = [v for line in plot.lines for v in line.values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    slack = 0.05 * (high - low) or 0.5
    low, high = low - slack, high + slack
    last = max(len(line.values) for line in plot.lines) - 1

    def x_of(frame: float) -> float:
        return _LEFT + frame / max(last, 1) * (_RIGHT - _LEFT)

    def y_of(value: float) -> float:
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{} over the frames of {}">').format(
            _WIDTH, _HEIGHT, metric.axis, plot.sequence
        )
    ]
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>')
    grid = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
    for tick in _ticks(low, high, 5):
        parts.append(grid.format("grid", _LEFT, _RIGHT, y_of(tick), y_of(tick)))
        parts.append(text.format(_LEFT - 8, y_of(tick) + 4, "end", "", f"{tick:g}"))
    for tick in _ticks(0, max(last, 1), 8):
        if tick == int(tick):
            parts.append(text.format(x_of(tick), _BOTTOM + 18, "middle", "", int(tick)))
    title = Markup(' class="title"')
    parts += [
        grid.format("axis", _LEFT, _RIGHT, _BOTTOM, _BOTTOM),
        text.format(0, 14, "start", title, metric.axis),
        text.format(_RIGHT, _HEIGHT - 4, "end", title, "Frame"),
    ]
    for line, style in zip(plot.lines, styles, strict=True):
        dash = " ".join(f"{1.5 * part:g}" for part in style.dash)
        attributes = Markup(' stroke-dasharray="{}"').format(dash) if dash else ""
        # With one frame between neighbours that came back without loss there is no line, but a dot.
        path = _path([(x_of(n), y_of(v)) for n, v in _thinned(line.values)])
        parts.append(
            Markup(
                '<g class="c{}"><path class="ink" stroke-width="1.6" stroke-linecap="round" '
                'd="{}"{}><title>{}</title></path></g>'
            ).format(style.colour, path, attributes, line.entry.name)
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _thinned(values: Sequence[float]) -> list[tuple[int, float]]:
    every = -(-len(values) // _MOST_POINTS)
    return [(n, value) for n, value in enumerate(values) if n % every == 0]


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A path through points, broken where one is not finite."""
    found, broken = [], True
    for x, y in points:
        if not math.isfinite(y):
            broken = True
            continue
        found.append(f"{'M' if broken else 'L'}{x:.1f},{y:.1f}" + ("h0" if broken else ""))
        broken = False
    return "".join(found)


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    """About so many round numbers from low to high."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
