"""How curves are told apart: by colour, by marker and by dashes, each enough without the others."""

from dataclasses import dataclass
from typing import Literal

Marker = Literal[
    "circle", "square", "triangle", "diamond", "wedge", "plus", "cross", "hexagon", "anchor"
]

MARKERS: tuple[Marker, ...] = (
    "circle",
    "square",
    "triangle",
    "diamond",
    "wedge",
    "plus",
    "cross",
    "hexagon",
)
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 2.5), (9, 3, 2, 3), (12, 4))
"""Lengths of dash and gap, in line widths; the anchor is drawn solid and thicker."""

# Neighbours differ in hue and in lightness for readers with any kind of colour vision; each has a
# contrast of at least 3:1 against its background.
LIGHT = (*("#0868ac", "#c2410c", "#08795a", "#a3308c", "#8a6500", "#5b45b8", "#b3223f", "#3f6b7a"),)
DARK = (*("#6cb8f0", "#ff9457", "#45cfa0", "#ef8fd3", "#e5be4a", "#b0a2ff", "#ff8b9d", "#9cc7d6"),)


@dataclass(frozen=True)
class LineStyle:
    """One curve's look."""

    colour: int
    """Place in the palettes; -1 is the text's own colour, which the anchor has."""
    marker: Marker
    dash: tuple[float, ...]


ANCHOR_STYLE = LineStyle(-1, "anchor", ())


def line_style(number: int) -> LineStyle:
    """The look of curve `number`, counted from 0 without the anchor; 40 differ."""
    return LineStyle(
        number % len(LIGHT), MARKERS[number % len(MARKERS)], DASHES[number % len(DASHES)]
    )
