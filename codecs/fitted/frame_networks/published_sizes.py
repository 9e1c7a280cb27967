"""The papers' sizes of frame networks, by name, for clips of any size.

A size is the paper's widths; what depends on the frames (first features, embeddings, grids) is for
the clip. Counts that the authors' code gives are of 1280x720 or 1920x1080, in the tests. Sources:
the papers that `frame_model` names; boosted sizes are those of "Boosting Neural Representations for
Videos with a Conditional Decoder" (2024), whose E-NeRV and NeRV are of the same budgets.
"""

from collections.abc import Callable, Mapping
from math import ceil, prod

from kodec.codecs.fitted.fitted_model import FittedSize
from kodec.models.fields import (
    FrameDesign,
    GridDesign,
    Recipe,
    System,
    e_nerv,
    hinerv,
    hnerv,
    nerv,
)

Design = FrameDesign | GridDesign
Strides = tuple[int, ...]

_HD: Strides = (5, 2, 2, 2, 2)
_FULL_HD: Strides = (5, 3, 2, 2, 2)
_BUNNY: Strides = (5, 4, 4, 2, 2)
_BLOCKS = (1, 1, 2, 2, 2)


def _padded(size: FittedSize, *choices: Strides) -> tuple[Strides, tuple[int, int]]:
    """The strides that pad least, the first of equal ones, and rows and columns with padding."""

    def frame(strides: Strides) -> tuple[int, int]:
        stride = prod(strides)
        return stride * ceil(size.height / stride), stride * ceil(size.width / stride)

    best = min(choices, key=lambda strides: prod(frame(strides)))
    return best, frame(best)


def _nerv(channels: int, lowest: int = 96, gated: bool = False) -> Callable[[FittedSize], Design]:
    def at(size: FittedSize) -> Design:
        strides, (height, width) = _padded(size, _HD, _FULL_HD)
        stages = Recipe(strides, (3, 3), 2, lowest, rounded=False).stages(channels)
        rows, columns = height // prod(strides), width // prod(strides)
        system: System = "nerv++" if gated else "nerv"
        return FrameDesign(system, rows, columns, channels, stages, levels=40, hidden=512)

    return at


def _hnerv(budget: float, *choices: Strides) -> Callable[[FittedSize], Design]:
    def at(size: FittedSize) -> Design:
        strides, frame = _padded(size, *choices)
        return hnerv(frame, size.frames, budget, Recipe(strides, (1, 5), 1.2, 12, rounded=True))

    return at


def _boosted(system: str, budget: float, boosted: bool = True) -> Callable[[FittedSize], Design]:
    def at(size: FittedSize) -> Design:
        _, frame = _padded(size, _HD)
        blocks, greatest = (_BLOCKS, 3) if boosted else ((), 99)
        if system == "hnerv":
            recipe = Recipe(_HD, (1, 5), 1.2, 12, True, blocks=blocks, greatest=greatest)
            return hnerv(frame, size.frames, budget, recipe, boosted=True, code=32)
        if system == "nerv":
            recipe = Recipe(_HD, (3, 3), 2, 12, False, blocks=blocks, greatest=greatest)
            return nerv(frame, budget, recipe, 80, 256, True, 32)
        recipe = Recipe(_HD, (3, 3), 2, 12, False, 3, blocks, greatest)
        return e_nerv(frame, budget, recipe, 80, 128, boosted, 32 if boosted else 128)

    return at


def _hinerv(channels: int, grid: int, steps: float, strides: Strides) -> Callable[..., Design]:
    def at(size: FittedSize) -> Design:
        _, frame = _padded(size, strides)
        finest = max(2, round(steps * size.frames)), grid
        return hinerv(frame, size.frames, channels, strides, finest)

    return at


_BUNNY_STEPS, _UVG_STEPS = 40 / 132, 150 / 600  # of the finest grid, a frame
PUBLISHED: Mapping[str, Mapping[str, Callable[[FittedSize], Design]]] = {
    "nerv": {"s": _nerv(26), "m": _nerv(58), "l": _nerv(112)},
    "nerv++": {
        "xs": _nerv(8, 80, True),
        "s": _nerv(26, gated=True),
        "m": _nerv(58, gated=True),
        "l": _nerv(112, gated=True),
    },
    "hnerv": {
        **{f"bunny-{m:g}m": _hnerv(m * 1e6, _BUNNY, _HD) for m in (0.35, 0.75, 1.5, 3)},
        **{f"uvg-{m:g}m": _hnerv((m + b) * 1e6, _FULL_HD) for m, b in ((3, 0.05), (5, 0.1))},
        "uvg-10m": _hnerv(10.1e6, _FULL_HD),
    },
    "hnerv-boost": {
        "0.75m": _boosted("hnerv", 0.64e6),
        "1.5m": _boosted("hnerv", 1.275e6),
        "3m": _boosted("hnerv", 2.65e6),
    },
    "nerv-boost": {
        "0.75m": _boosted("nerv", 0.375e6),
        "1.5m": _boosted("nerv", 0.8e6),
        "3m": _boosted("nerv", 1.65e6),
    },
    "e-nerv": {
        "0.65m": _boosted("e-nerv", 0.55e6, False),
        "1.1m": _boosted("e-nerv", 1.25e6, False),
        "2m": _boosted("e-nerv", 2.2e6, False),
    },
    "e-nerv-boost": {
        "0.75m": _boosted("e-nerv", 0.55e6),
        "1.5m": _boosted("e-nerv", 1.25e6),
        "3m": _boosted("e-nerv", 2.2e6),
    },
    "hinerv": {
        "bunny-xxs": _hinerv(136, 2, _BUNNY_STEPS, _HD[:4]),
        "bunny-xs": _hinerv(196, 4, _BUNNY_STEPS, _HD[:4]),
        "bunny-s": _hinerv(280, 8, _BUNNY_STEPS, _HD[:4]),
        "uvg-s": _hinerv(280, 2, _UVG_STEPS, _FULL_HD[:4]),
        "uvg-m": _hinerv(400, 4, _UVG_STEPS, _FULL_HD[:4]),
        "uvg-l": _hinerv(560, 8, _UVG_STEPS, _FULL_HD[:4]),
    },
}
"""Of each family, designs by name."""
