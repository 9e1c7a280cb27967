"""One run of an encoder, as its log tells it, and how runs become curves: one point per QP."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kodec.native import InvalidInputError

from .curve_set import CurveSet

_QP = re.compile(r"(?i)(?:^|(?<=[_\-. ]))(?:qp|crf|quality|q)[_\-= ]?(\d{1,2})(?=$|[_\-. ])")
_LAST_NUMBER = re.compile(r"(?:^|[_\-. ])(\d{1,2})$")
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
    qp: int | None = None
    """As the log states it; never guessed from pictures' QPs."""
    first_qp: float | None = None
    """Of the first picture, a few steps from the QP that was set."""
    layer: int | None = None
    """Where the log has several."""
    notes: list[str] = field(default_factory=list)


def curve_sets(runs: Sequence[EncoderRun]) -> list[CurveSet]:
    """Runs that differ in QP alone, by their files' names, as one set each.

    Raises InvalidInputError when runs of one set differ in frames, size or frame rate, or two have
    one QP.
    """
    groups: dict[tuple[str, str, int | None], list[tuple[int | None, EncoderRun]]] = {}
    for run in runs:
        folder, stem, qp = _name_and_qp(run)
        groups.setdefault((folder, stem, run.layer), []).append((qp, run))
    folders: dict[str, set[str]] = {}
    for folder, stem, _ in groups:
        folders.setdefault(stem, set()).add(folder)
    return [
        _one_set(stem if len(folders[stem]) == 1 else f"{folder}/{stem}", stem, layer, members)
        for (folder, stem, layer), members in groups.items()
    ]


def sequence_of(stem: str) -> str:
    """What is left of a name without the words for codec and coding structure."""
    words = re.split(r"[_ ]+", stem)
    kept = [w for w in words if not _CODEC.match(w) and w.lower() not in _STRUCTURES]
    return "_".join(kept) or stem


def _one_set(
    name: str, stem: str, layer: int | None, members: list[tuple[int | None, EncoderRun]]
) -> CurveSet:
    runs = [run for _, run in members]
    _check_alike(name, runs)
    by_qp: dict[int, EncoderRun] = {}
    for qp, run in members:
        if qp is not None and qp in by_qp:
            raise InvalidInputError(
                f"{name}: two logs of QP {qp}: {by_qp[qp].path} and {run.path}; keep one"
            )
        if qp is not None:
            by_qp[qp] = run
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
        settings=tuple(run.path.name if qp is None else f"QP {qp}" for qp, run in members),
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


def _name_and_qp(run: EncoderRun) -> tuple[str, str, int | None]:
    """The folder and name of a log without its QP, and the QP."""
    near, tolerance = (run.first_qp, 4) if run.qp is None else (run.qp, 0)
    stem, qp = without_qp(run.path.stem, near, tolerance)
    parts = []
    for part in run.path.absolute().parent.parts:
        rest, found = without_qp(part)
        parts.append(rest)
        qp = qp if qp is not None or rest == part else found
    folder = "/".join(parts)
    if not stem:
        stem = next((part for part in reversed(parts) if part), "log")
    return folder, stem, run.qp if run.qp is not None else qp


def without_qp(
    text: str, near: float | None = None, tolerance: float = 0
) -> tuple[str, int | None]:
    """A name without the QP in it (`_qp22`, `-q3`, `_crf20`), and the QP.

    A bare number at its end counts if it lies within `tolerance` of `near`.
    """
    match = _QP.search(text)
    if match is None and near is not None:
        # A number at the end is the QP if the log's QPs lie near it; else it may be anything.
        match = _LAST_NUMBER.search(text)
        if match is not None and abs(int(match[1]) - near) > tolerance:
            match = None
    if match is None:
        return text, None
    rest = text[: match.start()] + text[match.end() :]
    return re.sub(r"([_\-. ])[_\-. ]+", r"\1", rest).strip("_-. "), int(match[1])
