"""From files to curves: what a file is, by its content, and what curves a set of files makes."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kodec.eval.curves.curve import Curve
from kodec.eval.metrics.metric_names import preferred
from kodec.eval.text_file import UnknownFormatError, read_text, without_prefixes
from kodec.native import InvalidInputError, KodecError

from . import (
    compressai_json,
    coolchic_tsv,
    csv_table,
    dcvc_json,
    vtm_log,
    vvenc_log,
    x265_csv,
    x265_log,
)
from .curve_set import CurveSet, joined
from .encoder_run import EncoderRun, curve_sets
from .file_names import Hints, names_of
from .table import parse_table

_JSON = re.compile(
    r"""\s*(?:\{\s*["'}{]|(?:\[\s*)+(?:[{"\]]|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\s*[,\]]))"""
)
"""How JSON begins, whole or cut off, but not `[mov @ 0x55d0c0]` or `[.ShellClassInfo]`."""
_KINDS = (
    "a log of VTM, HM, VVenC or x265, CompressAI's, kodec's or DCVC's JSON, Cool-chic's TSV, or "
    "CSV with a header"
)


class EmptyFileError(InvalidInputError):
    """A file with nothing in it, of a run that has not finished, or a mark of some program."""


def read_curves(
    paths: Sequence[Path],
    metric: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> list[Curve]:
    """The rate-distortion curves in files and folders: one per codec and sequence.

    Logs of one encoder that differ in QP alone, by their names, make one curve. Formats are
    recognised by content; files of a folder that are none are left out, with a note on every curve.
    Without a `metric` it is the first of `metric_names.PREFERENCE` that all curves have. `size`
    (width, height) and `fps` give rates in bits per pixel where files have kilobits a second; they
    win over what files state, with a note. Every curve's `notes` say what its numbers rest on.

    Raises InvalidInputError for a file that can't be read, is unfinished, contradicts itself or has
    no such metric, and a set of files that make no curve.
    """
    sets = read_curve_sets(paths, size, fps)
    if metric is None:
        metric = preferred(common_metrics(sets))
    if metric is None:
        held = "; ".join(f"{s.name}: {', '.join(s.available()) or 'none'}" for s in sets[:3])
        raise InvalidInputError(
            f"no metric that all curves have ({held}): name one, or fewer files"
        )
    return [found.curve(metric) for found in sets]


def available_metrics(paths: Sequence[Path]) -> list[str]:
    """Exact names of the metrics that every curve in these files has. Raises as `read_curves`."""
    return common_metrics(read_curve_sets(paths))


def common_metrics(sets: Iterable[CurveSet]) -> list[str]:
    """Exact names of the metrics that all sets have."""
    sets = list(sets)
    return [name for name in sets[0].available() if all(name in s.available() for s in sets)]


def read_curve_sets(
    paths: Sequence[Path], size: tuple[int, int] | None = None, fps: float | None = None
) -> list[CurveSet]:
    """As `read_curves`, each with all its metrics."""
    runs: list[EncoderRun] = []
    sets: list[CurveSet] = []
    left_out = _LeftOut()
    seen: set[Path] = set()
    for path, named in _files([Path(path) for path in paths]):
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        if not named and not path.is_file():
            left_out.unknown.append(path.name)  # A pipe, or a link to nothing.
            continue
        try:
            found = _read(path, size)
        except (UnknownFormatError, EmptyFileError) as error:
            if named:
                raise
            left_out.add(path, error)
            continue
        except KodecError:
            raise
        except (ArithmeticError, ValueError) as error:
            # Damage, such as 0x0 pixels or a number of 5,000 digits.
            raise InvalidInputError(f"{path}: a number that can't be ({error})") from error
        for one in found:
            if isinstance(one, EncoderRun):
                runs.append(one)
            else:
                sets.append(one)
    read = [run.path for run in runs] + [Path(source) for one in sets for source in one.source]
    left_out.check(read)
    sets = [*_of_several_files(sets), *curve_sets(runs)]
    if not sets:
        where = ", ".join(str(path) for path in paths)
        why = "".join(f"; {reason}" for reason in left_out.reasons[:3])
        raise InvalidInputError(
            f"{where} is not a results file and holds none: expected {_KINDS}{why}"
        )
    if left_out:
        sets = [replace(one, notes=(*one.notes, *left_out.notes())) for one in sets]
    return [one.sized(size, fps) for one in sets]


def _raise(error: OSError) -> None:
    raise InvalidInputError(f"cannot read {error.filename}: {error.strerror}") from error


@dataclass
class _LeftOut:
    """Files of folders that hold no results."""

    unknown: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Of those that can be said more of than that they are nothing known."""
    empty: dict[Path, InvalidInputError] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.unknown or self.reasons)

    def add(self, path: Path, error: InvalidInputError) -> None:
        if isinstance(error, EmptyFileError):
            self.empty[path] = error
        if str(error).startswith(f"{path} is not a results file"):
            self.unknown.append(path.name)
        else:
            self.reasons.append(str(error))

    def check(self, read: Sequence[Path]) -> None:
        """Raises InvalidInputError for an empty file that is a point of a curve by its name."""
        paths = [*read, *self.empty]
        patterns = [
            (name.pattern, path.suffix)
            for name, path in zip(names_of([(path, Hints()) for path in paths]), paths, strict=True)
        ]
        for index, error in enumerate(self.empty.values(), len(read)):
            if patterns[index] in patterns[: len(read)]:
                raise error

    def notes(self) -> list[str]:
        known = ", ".join(sorted(self.unknown))
        first = [f"not read, being none of the known formats: {known}"] if known else []
        return [*first, *(f"left out: {reason}" for reason in self.reasons)]


def _of_several_files(sets: Sequence[CurveSet]) -> list[CurveSet]:
    """Sets of one point, from files whose names differ in the QP alone, as one set each.

    Raises InvalidInputError for two files of one QP.
    """
    found: list[CurveSet] = []
    groups: dict[tuple[str, str, str | None, str | None], dict[str, CurveSet]] = {}
    names = names_of([(Path(one.source[0]), _hints(one)) for one in sets])
    for name, one in zip(names, sets, strict=True):
        if len(one.rates) > 1 or name.setting is None:
            found.append(one)
            continue
        group = groups.setdefault((name.folder, name.stem, one.dataset, one.sequence), {})
        number = f"{name.setting.value:g}"
        if number in group:
            raise InvalidInputError(
                f"{name.stem}: two files of quality {number}: {group[number].source[0]} and "
                f"{one.source[0]}; keep one"
            )
        group[number] = one
    for (_, stem, _, sequence), group in groups.items():
        title = f"{stem}, {sequence}" if sequence else stem
        found.append(joined(list(group.values()), title, list(group)))
    return found


def _hints(one: CurveSet) -> Hints:
    return Hints(kbps=one.rates[0] if one.rate_unit == "kbps" and one.rates else None)


def _files(paths: Sequence[Path]) -> Iterable[tuple[Path, bool]]:
    """Files, and whether they were named themselves."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        files = sorted(
            Path(folder) / name
            for folder, folders, names in os.walk(path, onerror=_raise)
            for name in names
            if not name.startswith(".")
        )
        if not files:
            raise InvalidInputError(f"{path}: an empty folder")
        yield from ((file, False) for file in files)


def _read(path: Path, size: tuple[int, int] | None) -> Sequence[EncoderRun | CurveSet]:
    text = read_text(path)
    if not text.strip():
        raise EmptyFileError(f"{path} is empty: the run that wrote it has not finished")
    try:
        return _of_text(path, text, size)
    except UnknownFormatError:
        plain = without_prefixes(text)
        if plain is None:
            raise
        return _of_text(path, plain, size)


def _of_text(
    path: Path, text: str, size: tuple[int, int] | None
) -> Sequence[EncoderRun | CurveSet]:
    document, wrong = _json_in(text)
    if wrong is None:
        return _of_document(path, document)
    # Before the logs: the command line in a cell may look like one's.
    if x265_csv.recognises(text):
        return x265_csv.read(path, text)
    braces = text.lstrip().startswith("{")
    looks = _JSON.match(text) is not None and (braces or not wrong.startswith("Extra data"))
    if not (looks and braces):  # `[1,0]<stdout>:` begins like a list.
        if vvenc_log.recognises(text):
            return vvenc_log.read(path, text)
        if vtm_log.recognises(text):
            return vtm_log.read(path, text)
        if x265_log.recognises(text):
            return x265_log.read(path, text)
    if looks:
        raise InvalidInputError(f"{path} is not a results file: not JSON ({wrong})")
    return _of_table(path, text, size)


def _json_in(text: str) -> tuple[Any, str | None]:
    """A text's JSON, and why it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None, "no bracket at its start"
    try:
        return json.loads(text), None
    except RecursionError as error:
        return None, str(error)
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(_is_json(line) for line in lines):
            return None, (
                f"but {len(lines)} documents, one a line: if they are a program's lines, as Docker "
                "keeps them, write those as text"
            )
        return None, str(error)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _of_document(path: Path, document: Any) -> Sequence[CurveSet]:
    if compressai_json.recognises(document):
        return compressai_json.read(path, document)
    if dcvc_json.recognises(document):
        return dcvc_json.read(path, document)
    raise UnknownFormatError(
        f'{path} is not a results file: expected {{"results": {{"bpp": [...], ...}}}}, or '
        "DCVC's records per data set, sequence and rate"
    )


def _of_table(path: Path, text: str, size: tuple[int, int] | None) -> Sequence[CurveSet]:
    unknown = f"{path} is not a results file: expected {_KINDS}"
    try:
        table = parse_table(path, text)
    except InvalidInputError:
        # A table only if its header is one's; any other text has lines of different lengths.
        head = parse_table(path, next(line for line in text.splitlines() if line.strip()))
        if coolchic_tsv.recognises(head) or csv_table.recognises(head):
            raise
        raise UnknownFormatError(unknown) from None
    if table is not None and coolchic_tsv.recognises(table):
        return coolchic_tsv.read(table)
    if table is not None and csv_table.recognises(table):
        return csv_table.read(table, size)
    raise UnknownFormatError(unknown)
