"""Several sequences' curves as one: the mean at each point, and which curves belong together."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath

from kodec.eval.metrics.metric_names import mean_value
from kodec.native import InvalidInputError

from .curve import Curve

_SUFFIXES = frozenset(".png .ppm .bmp .jpg .jpeg .tif .tiff .webp .yuv .y4m .mkv .mp4".split())
_FORMAT = re.compile(
    r"(_\d{2,5}x\d{2,5}(_(\d+(\.\d+)?(fps|hz|bits?|p)?|yuv\w*))*)?(_\d+(f|frames))?$"
)
"""How a sequence's file name may end: size, frame rate, bits, chroma, frames."""


def pool(curves: Sequence[Curve], name: str) -> Curve:
    """The mean of sequences' curves at each point, with them as members.

    Weighted by frames where all curves state them, as the DCVC family does per rate index.
    Points belong together by their settings where all have the same, else by order of rate.

    Raises InvalidInputError without curves, and when metrics, rate units or points differ.
    """
    if not curves:
        raise InvalidInputError("there are no curves to average")
    first = curves[0]
    for curve in curves[1:]:
        if (curve.metric, curve.rate_unit) != (first.metric, first.rate_unit):
            raise InvalidInputError(
                f"{name}: {first.name} has {first.metric} over {first.rate_unit}, {curve.name} "
                f"{curve.metric} over {curve.rate_unit}: such curves have no mean"
            )
        if len(curve.rates) != len(first.rates):
            raise InvalidInputError(
                f"{name}: {first.name} has {len(first.rates)} points, {curve.name} "
                f"{len(curve.rates)}: a mean needs the same points of all; average the sequences"
            )
    notes: list[str] = []
    by_setting = bool(first.settings) and all(
        set(c.settings) == set(first.settings) for c in curves
    )
    if not by_setting:
        notes.append(f"{name}: points of sequences put together in order of rate")
    aligned = [
        _arranged(
            curve,
            [curve.settings.index(setting) for setting in first.settings]
            if by_setting
            else sorted(range(len(curve.rates)), key=curve.rates.__getitem__),
        )
        for curve in curves
    ]
    frames = [curve.frames for curve in curves if curve.frames]
    weighted = len(frames) == len(curves) and len(set(frames)) > 1
    weights = [float(n) for n in frames] if weighted else [1.0] * len(curves)
    points = range(len(first.rates))
    return Curve(
        name=name,
        rates=tuple(mean_value("", [curve.rates[i] for curve in aligned], weights) for i in points),
        values=tuple(
            mean_value(first.metric, [curve.values[i] for curve in aligned], weights)
            for i in points
        ),
        metric=first.metric,
        rate_unit=first.rate_unit,
        averaging="pooled over frames, frame-weighted" if weighted else "mean over sequences",
        dataset=first.dataset if len({curve.dataset for curve in curves}) == 1 else None,
        source=tuple(dict.fromkeys(source for curve in curves for source in curve.source)),
        settings=first.settings if by_setting else (),
        frames=sum(frames) if len(frames) == len(curves) else None,
        notes=tuple(dict.fromkeys([*notes, *(note for curve in curves for note in curve.notes)])),
        members=tuple(aligned),
    )


def pair(
    tests: Sequence[Curve], anchors: Sequence[Curve]
) -> tuple[list[tuple[Curve, Curve]], list[str]]:
    """Curves of the same sequence in both, and remarks on those without a counterpart.

    One curve against one is a pair whatever they are of. Raises InvalidInputError when there is no
    pair, or a side has two curves of one sequence.
    """
    if len(tests) == len(anchors) == 1:
        test, anchor = tests[0], anchors[0]
        known = test.sequence is not None and anchor.sequence is not None
        remark = f"compared though named differently: {test.sequence} and {anchor.sequence}"
        differ = known and _key(test) != _key(anchor)
        return [(test, anchor)], [remark] if differ else []
    for side, curves in (("TEST", tests), ("ANCHOR", anchors)):
        _check_of_sequences(curves, side)
    ours, theirs = by_sequence(tests, anchors, ("TEST", "ANCHOR"))
    pairs = [(curve, theirs[key]) for key, curve in ours.items() if key in theirs]
    if not pairs:
        raise InvalidInputError(
            f"TEST has {_named(ours)}, ANCHOR {_named(theirs)}: no sequence in common; name files "
            "of the same sequences"
        )
    remarks = []
    for side, own, other in (("TEST", ours, theirs), ("ANCHOR", theirs, ours)):
        alone = [curve.sequence or curve.name for key, curve in own.items() if key not in other]
        if alone:
            shown = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
            remarks.append(f"{side} alone has {shown}: left out")
    return pairs, remarks


def sequence_key(named: str) -> str:
    """What sequences are matched by: the name in lower case, without folders and suffix, and
    without the size, rate and number of frames that it may end in."""
    name = PurePath(named.replace("\\", "/")).name.lower()
    stem, dot, suffix = name.rpartition(".")
    name = stem if f"{dot}{suffix}" in _SUFFIXES else name
    name = re.sub(r"[\s_\-]+", "_", name)
    return _FORMAT.sub("", name) or name


def _key(curve: Curve) -> str:
    return sequence_key(curve.sequence or curve.name)


def by_sequence(
    tests: Sequence[Curve], anchors: Sequence[Curve], sides: tuple[str, str]
) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Both sides' curves by keys that are the same for the same sequence.

    A key is the name without folder and suffix where that tells the curves of each side apart;
    else as much more as does: the suffix (`a.png`, `a.jpg`), the folder, the data set. Raises
    InvalidInputError when a side has two curves of one sequence; `sides` are their names.
    """
    levels: tuple[Callable[[Curve], str], ...] = (
        lambda curve: PurePath(_path(curve)).name.lower(),
        lambda curve: _path(curve).lower(),
        lambda curve: curve.sequence or curve.name,
        lambda curve: f"{curve.dataset}/{curve.sequence or curve.name}",
    )
    keys = {id(curve): _key(curve) for curve in (*tests, *anchors)}
    for level in levels:
        shared = {
            key
            for curves in (tests, anchors)
            for key, count in Counter(keys[id(curve)] for curve in curves).items()
            if count > 1
        }
        for curve in (*tests, *anchors):
            if keys[id(curve)] in shared:
                keys[id(curve)] = level(curve)
    found: tuple[dict[str, Curve], dict[str, Curve]] = {}, {}
    for side, curves, own in zip(sides, (tests, anchors), found, strict=True):
        for curve in curves:
            key = keys[id(curve)]
            if key in own:
                raise InvalidInputError(
                    f"{side} has two curves of {curve.sequence or curve.name}: {own[key].name} and "
                    f"{curve.name}; name the files of one codec"
                )
            own[key] = curve
    return found


def _path(curve: Curve) -> str:
    return (curve.sequence or curve.name).replace("\\", "/")


def _check_of_sequences(curves: Sequence[Curve], side: str) -> None:
    for curve in curves:
        if curve.sequence is None:
            names = ", ".join(one.name for one in curves)
            raise InvalidInputError(
                f"{side} has the curves {names}, and {curve.name} is of no one sequence that they "
                "could be matched by: name files of one"
                if len(curves) > 1
                else f"{side} has {curve.name} alone, of no one sequence, to match with several "
                "curves: name a file of one"
            )


def _arranged(curve: Curve, order: Sequence[int]) -> Curve:
    return replace(
        curve,
        rates=tuple(curve.rates[i] for i in order),
        values=tuple(curve.values[i] for i in order),
        settings=tuple(curve.settings[i] for i in order) if curve.settings else (),
        members=(),
    )


def _named(curves: dict[str, Curve]) -> str:
    names = [curve.sequence or curve.name for curve in curves.values()]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
