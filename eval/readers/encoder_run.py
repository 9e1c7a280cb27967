"""One run of an encoder, as its log tells it, and how runs become curves: one point per setting."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kodec.native import InvalidInputError

from .curve_set import CurveSet
from .file_names import NO_NUMBER, Hints, Name, Setting, names_of

_CODEC = re.compile(r"(?i)^(vtm|hm|ecm|vvenc\w*|x26[45])([-.\d].*)?$")
_STRUCTURES = frozenset("ai ra lb lp ld ldb ldp intra lowdelay randomaccess low delay".split())


class LogError(InvalidInputError):
    """A log that no number can be taken from: cut short, of a decoder, of several runs."""


@dataclass(frozen=True)
class EncoderRun:
    """One point: what one log (or one layer of it) says."""

    path: Path
    encoder: str
    """`VTM-17.0`, or the family alone where the log does not say."""
    frames: int
    kbps: float
    """The summary's bitrate, which counts coded pictures but not parameter sets."""
    metrics: dict[str, float]
    """By exact name; infinite where a plane was lossless."""
    averaging: dict[str, str]
    bits: int | None = None
    """The sum over the pictures' lines, where there is one per frame."""
    size: tuple[int, int] | None = None
    fps: float | None = None
    setting: Setting | None = None
    """QP, CRF or target rate as the log states it; never guessed from pictures' QPs."""
    first_qp: float | None = None
    """Of the first picture, a few steps from the QP that was set."""
    layer: int | None = None
    """Where the log has several."""
    source: str | None = None
    """The name of the video that was coded."""
    notes: list[str] = field(default_factory=list)


def curve_sets(runs: Sequence[EncoderRun]) -> list[CurveSet]:
    """Runs that differ in QP or target rate alone, by their files' names and what they state, as
    one set each.

    Raises InvalidInputError when runs of one set differ in frames, size or frame rate, two have
    one setting, or runs look like points of one curve but their names don't say so.
    """
    hints = [Hints(run.setting, run.first_qp, run.kbps) for run in runs]
    names = names_of([(run.path, hint) for run, hint in zip(runs, hints, strict=True)])
    groups: dict[tuple[str, str, int | None], list[tuple[Name, EncoderRun]]] = {}
    for name, run in zip(names, runs, strict=True):
        groups.setdefault((name.folder, name.stem, run.layer), []).append((name, run))
    groups = _with_stated(groups)
    folders: dict[str, set[str]] = {}
    for folder, stem, _ in groups:
        folders.setdefault(stem, set()).add(folder)
    sets = [
        _one_set(stem if len(folders[stem]) == 1 else f"{folder}/{stem}", stem, layer, members)
        for (folder, stem, layer), members in groups.items()
    ]
    return _of_single_points(sets, list(groups.values()))


def sequence_of(stem: str) -> str:
    """What is left of a name without the words for codec and coding structure."""
    words = re.split(r"[_ ]+", stem)
    kept = [w for w in words if not _CODEC.match(w) and w.lower() not in _STRUCTURES]
    return "_".join(kept) or stem


_Groups = dict[tuple[str, str, int | None], list[tuple[Name, EncoderRun]]]


def _with_stated(groups: _Groups) -> _Groups:
    """Groups of one run each, joined where their QPs or target rates differ and their names do in
    numbers alone: `run1.log` and `run2.log`, of one video where it is stated.
    """
    found = {key: members for key, members in groups.items() if len(members) > 1}
    alike: dict[tuple[object, ...], list[tuple[Name, EncoderRun]]] = {}
    for members in (members for members in groups.values() if len(members) == 1):
        name, run = members[0]
        facts = (run.source, run.encoder, run.frames, run.size, run.layer)
        alike.setdefault((name.pattern, *facts), []).append((name, run))
    for members in alike.values():
        stated = {name.setting for name, _ in members}
        apart = None not in stated and len(stated) == len(members) > 1
        for name, run in members:
            folder, stem = name.folder, name.stem
            if apart:
                folder = members[0][0].folder
                stem = (
                    run.source
                    or re.sub(rf"[_\-. ]*{NO_NUMBER}", "", Path(name.pattern).name)
                    or stem
                )
                run.notes.append(
                    f"{stem}: one curve of {len(members)} logs, by the QP or rate that they state"
                )
            found.setdefault((folder, stem, run.layer), []).append((name, run))
    return found


def _of_single_points(
    sets: list[CurveSet], groups: Sequence[Sequence[tuple[Name, EncoderRun]]]
) -> list[CurveSet]:
    """The sets, with a note on those of one point where there are several.

    Raises InvalidInputError where all are, of one encoder at several settings, and their names
    don't say which.
    """
    single = [members[0] for members in groups if len(members) == 1]
    runs = [run for _, run in single]
    if len({run.path for run in runs}) < 2:
        return sets
    how = (
        "logs of one curve have names that differ in QP or target rate alone, as NAME_qp22.log "
        "and NAME_qp27.log, or NAME_1000k.log and NAME_2000k.log"
    )
    alike = len({(run.encoder, run.frames, run.size) for run in runs}) == 1
    unnamed = any(name.named is None for name, _ in single)
    stated = {run.setting for run in runs}
    several = len(stated - {None}) > 1 or (
        stated == {None} and len({run.first_qp for run in runs}) == len(runs)
    )
    if len(runs) == len(groups) and alike and unnamed and several:
        shown = ", ".join(run.path.name for run in runs[:4]) + (", ..." if len(runs) > 4 else "")
        raise InvalidInputError(
            f"{len(runs)} logs make as many curves of one point ({shown}): {how}"
        )
    return [
        replace(one, notes=(*one.notes, f"{one.name}: a curve of one point; {how}"))
        if len(one.rates) == 1
        else one
        for one in sets
    ]


def _one_set(
    name: str, stem: str, layer: int | None, members: list[tuple[Name, EncoderRun]]
) -> CurveSet:
    runs = [run for _, run in members]
    _check_alike(name, runs)
    by_setting: dict[Setting, EncoderRun] = {}
    for own, run in members:
        if own.setting is None:
            continue
        if own.setting in by_setting:
            raise InvalidInputError(
                f"{name}: two logs of {own.setting}: {by_setting[own.setting].path} and "
                f"{run.path}; keep one"
            )
        by_setting[own.setting] = run
    members = sorted(members, key=lambda member: member[1].kbps)
    runs = [run for _, run in members]
    metrics = [key for key in runs[0].metrics if all(key in run.metrics for run in runs)]
    several = "" if layer is None else f", layer {layer}"
    notes = [note for run in runs for note in run.notes]
    partly = {key for run in runs for key in run.metrics if key not in metrics}
    if partly:
        notes.append(f"{name}: not in all logs, so left out: {', '.join(sorted(partly))}")
    encoders = sorted({run.encoder for run in runs})
    if len(encoders) > 1:
        notes.append(f"{name}: points of different encoders: {', '.join(encoders)}")
    return CurveSet(
        name=name + several,
        rates=tuple(run.kbps for run in runs),
        rate_unit="kbps",
        metrics={key: tuple(run.metrics[key] for run in runs) for key in metrics},
        averaging=runs[0].averaging,
        sequence=sequence_of(stem) + several,
        source=tuple(str(run.path) for run in runs),
        settings=tuple(str(own.setting or run.path.name) for own, run in members),
        frames=runs[0].frames,
        size=next((run.size for run in runs if run.size), None),
        fps=next((run.fps for run in runs if run.fps), None),
        notes=tuple(dict.fromkeys(notes)),
    )


def _check_alike(name: str, runs: Sequence[EncoderRun]) -> None:
    """Raises InvalidInputError for runs that differ in frames, picture size or frame rate."""
    facts: dict[str, list[object]] = {
        "frames": [run.frames for run in runs],
        "picture size": [run.size and f"{run.size[0]}x{run.size[1]}" for run in runs],
        "frame rate": [run.fps and round(run.fps, 2) for run in runs],
    }
    for what, values in facts.items():
        stated = {value: run for value, run in zip(values, runs, strict=True) if value is not None}
        if len(stated) > 1:
            (a, first), (b, second) = list(stated.items())[:2]
            raise InvalidInputError(
                f"{name}: the logs of one curve differ in {what}: {a} in {first.path.name}, {b} in "
                f"{second.path.name}; compare equal runs only"
            )
