"""From files to curves: what a file is, by its content, and what curves a set of files makes."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kodec.eval.curve import Curve
from kodec.eval.metric_names import preferred
from kodec.eval.text_file import UnknownFormatError, read_text
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
from .encoder_run import EncoderRun, curve_sets, without_qp
from .table import parse_table

_KINDS = (
    "a log of VTM, HM, VVenC or x265, CompressAI's, kodec's or DCVC's JSON, Cool-chic's TSV, or "
    "CSV with a header"
)


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
    skipped: list[str] = []
    seen: set[Path] = set()
    for path, named in _files([Path(path) for path in paths]):
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        try:
            found = _read(path, size)
        except UnknownFormatError:
            if named:
                raise
            skipped.append(path.name)
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
    sets = [*_of_several_files(sets), *curve_sets(runs)]
    if not sets:
        where = ", ".join(str(path) for path in paths)
        raise InvalidInputError(f"{where} is not a results file and holds none: expected {_KINDS}")
    if skipped:
        note = f"not read, being none of the known formats: {', '.join(sorted(skipped))}"
        sets = [replace(one, notes=(*one.notes, note)) for one in sets]
    return [one.sized(size, fps) for one in sets]


def _of_several_files(sets: Sequence[CurveSet]) -> list[CurveSet]:
    """Sets of one point, from files whose names differ in the QP alone, as one set each.

    Raises InvalidInputError for two files of one QP.
    """
    found: list[CurveSet] = []
    groups: dict[tuple[str, str, str | None, str | None], dict[int, CurveSet]] = {}
    for one in sets:
        path = Path(one.source[0])
        stem, qp = without_qp(path.stem)
        if len(one.rates) > 1 or qp is None:
            found.append(one)
            continue
        group = groups.setdefault((str(path.parent), stem, one.dataset, one.sequence), {})
        if qp in group:
            raise InvalidInputError(
                f"{stem}: two files of quality {qp}: {group[qp].source[0]} and {path}; keep one"
            )
        group[qp] = one
    for (_, stem, _, sequence), group in groups.items():
        name = f"{stem}, {sequence}" if sequence else stem
        found.append(joined(list(group.values()), name, [str(qp) for qp in group]))
    return found


def _files(paths: Sequence[Path]) -> Iterable[tuple[Path, bool]]:
    """Files, and whether they were named themselves."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        files = sorted(
            Path(folder) / name
            for folder, folders, names in os.walk(path)
            for name in names
            if not name.startswith(".")
        )
        if not files:
            raise InvalidInputError(f"{path}: an empty folder")
        yield from ((file, False) for file in files)


def _read(path: Path, size: tuple[int, int] | None) -> Sequence[EncoderRun | CurveSet]:
    text = read_text(path)
    unknown = f"{path} is not a results file: expected {_KINDS}"
    if not text.strip():
        raise InvalidInputError(f"{path} is empty: the run that wrote it has not finished")
    if text.lstrip()[0] in "{[":
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{path} is not a results file: not JSON ({error})") from error
        if compressai_json.recognises(document):
            return compressai_json.read(path, document)
        if dcvc_json.recognises(document):
            return dcvc_json.read(path, document)
        raise UnknownFormatError(
            f'{path} is not a results file: expected {{"results": {{"bpp": [...], ...}}}}, or '
            "DCVC's records per data set, sequence and rate"
        )
    # Before the logs: the command line in a cell may look like one's.
    if x265_csv.recognises(text):
        return x265_csv.read(path, text)
    if vvenc_log.recognises(text):
        return vvenc_log.read(path, text)
    if vtm_log.recognises(text):
        return vtm_log.read(path, text)
    if x265_log.recognises(text):
        return x265_log.read(path, text)
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
