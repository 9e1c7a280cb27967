"""Tables in text: a header, then a row per point, and curves out of rows."""

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kodec.eval.metrics.metric_names import mean_value
from kodec.native import InvalidInputError

from .curve_set import CurveSet

_T = TypeVar("_T")
_MISSING = frozenset(
    "nan -nan n/a na n.a. #n/a none null nil missing failed ? - -- --- – — #div/0! #value! #ref! "
    "#num! #name? #nv".split()
)


@dataclass(frozen=True)
class Table:
    """A header and its rows, all text."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Line number and cells."""
    decimal_comma: bool

    def number(self, line: int, column: int, cell: str) -> float:
        """A cell as a number; infinite for `inf`. Raises InvalidInputError for anything else."""
        text = cell.replace(",", ".") if self.decimal_comma else cell
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or "_" in text:
            said = repr(cell) if cell else "missing"
            raise InvalidInputError(
                f"{self.path}, line {line}: {self.header[column]} is {said}, not a number"
            )
        return value

    def measurement(self, line: int, column: int, cell: str) -> float:
        """A cell as a number; NaN where nothing was measured (`nan`, `N/A`, `-` or empty).

        Raises InvalidInputError for anything else that is no number.
        """
        return math.nan if is_missing(cell) else self.number(line, column, cell)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return not cell or cell.lower() in _MISSING


def parse_table(path: Path, text: str) -> Table | None:
    """The table in a text, or None where there is none; separators are found from its header.

    Lines that start with # are comments, one before the header may be it. Raises InvalidInputError
    for rows of other lengths, an empty line between rows, and decimal commas beside points.
    """
    lines = [(number, line.rstrip()) for number, line in enumerate(text.splitlines(), 1)]
    # Excel's own line about the separator says what the header says again.
    lines = [line for line in lines if not re.fullmatch(r"(?i)\"?sep=[\t;,|]?\"?", line[1])]
    first = next((i for i, (_, line) in enumerate(lines) if line.strip(" \t,;|#")), None)
    if first is None:
        return None
    head = lines[first][1].lstrip("# ")
    separator = next((mark for mark in "\t;,|" if mark in head), None)
    header = _cells(head, separator)
    if len(header) < 2:
        return None
    rows: list[tuple[int, tuple[str, ...]]] = []
    named = _rows_have_names(lines[first + 1 :], separator, len(header))
    header = ["", *header] if named else header
    gap = None
    for number, line in lines[first + 1 :]:
        if line.lstrip().startswith("#"):
            continue
        cells = _cells(line, separator)
        if separator == "|" and not rows and all(re.fullmatch(":?-+:?", c) for c in cells):
            continue
        if not any(cells):
            gap = gap or (number if rows else None)
            continue
        if gap is not None:
            raise InvalidInputError(
                f"{path}, line {gap}: an empty line within the table: several tables in one file; "
                "split it"
            )
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            raise InvalidInputError(
                f"{path}, line {number}: {len(cells)} cells under a header of {len(header)}: "
                "cut off, or another separator"
            )
        rows.append((number, tuple(cells)))
    commas = separator != "," and any(
        re.fullmatch(r"-?\d+,\d+", cell) for _, cells in rows for cell in cells
    )
    points = any(re.fullmatch(r"-?\d+\.\d+", cell) for _, cells in rows for cell in cells)
    if commas and points:
        raise InvalidInputError(f"{path}: decimal points and commas mixed: use one of them")
    return Table(path, tuple(header), tuple(rows), commas)


@dataclass(frozen=True)
class Point:
    """One row, understood."""

    line: int
    codec: str
    dataset: str | None
    sequence: str | None
    setting: str | None
    rate: float
    metrics: dict[str, float]
    """Infinite where lossless, NaN where not measured."""
    picture: str | None = None
    """The picture or frame, of rows that are averaged over them."""
    frames: int | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None


def sets_of_points(
    path: Path,
    points: Sequence[Point],
    rate_unit: str,
    averaging: dict[str, str],
    notes: Sequence[str],
) -> list[CurveSet]:
    """One set per codec, data set and sequence, its points in order of rate.

    Raises InvalidInputError when two rows of one have one setting, or frames, sizes or frame rates
    differ within one.
    """
    groups: dict[tuple[str, str | None, str | None], list[Point]] = {}
    for point in points:
        groups.setdefault((point.codec, point.dataset, point.sequence), []).append(point)
    sets = []
    for (codec, dataset, sequence), rows in groups.items():
        name = ", ".join(part for part in (codec, dataset, sequence) if part)
        seen: dict[str, int] = {}
        for row in rows:
            if row.setting is not None and row.setting in seen:
                raise InvalidInputError(
                    f"{path}, lines {seen[row.setting]} and {row.line}: two rows of {name} with "
                    f"{row.setting}; keep one, or name what tells them apart in a column"
                )
            seen[row.setting or f"line {row.line}"] = row.line
        rows = sorted(rows, key=lambda row: row.rate)
        settings = tuple(row.setting for row in rows if row.setting is not None)
        sets.append(
            CurveSet(
                name=name,
                rates=tuple(row.rate for row in rows),
                rate_unit=rate_unit,
                metrics={
                    key: tuple(row.metrics[key] for row in rows)
                    for key in rows[0].metrics
                    if all(key in row.metrics for row in rows)
                },
                averaging=averaging,
                sequence=sequence,
                dataset=dataset,
                source=(str(path),),
                settings=settings if len(settings) == len(rows) else (),
                places=tuple(f"line {row.line}" for row in rows),
                frames=_one(path, name, "frames", rows, lambda row: row.frames),
                size=_one(path, name, "picture sizes", rows, lambda row: row.size),
                fps=_one(path, name, "frame rates", rows, lambda row: row.fps),
                notes=tuple(notes),
            )
        )
    return sets


def mean_over_images(
    name: str, images: Sequence[CurveSet], averaging: str = "mean over images"
) -> CurveSet:
    """The mean of pictures' (or frames') curves, point by point, with them as members.

    Points belong together by their settings, else in order of rate. Raises InvalidInputError when
    the pictures don't have the same points.
    """
    first = images[0]
    for image in images[1:]:
        if len(image.rates) != len(first.rates) or set(image.settings) != set(first.settings):
            raise InvalidInputError(
                f"{name}: {image.sequence} has other points ({_listed(image)}) than "
                f"{first.sequence} ({_listed(first)}): complete them, or leave it out"
            )
    aligned = [
        image.points([image.settings.index(setting) for setting in first.settings])
        if first.settings
        else image
        for image in images
    ]
    ones = [1.0] * len(images)
    keys = [key for key in first.metrics if all(key in image.metrics for image in images)]
    return CurveSet(
        name=name,
        rates=tuple(
            mean_value("", column, ones) for column in zip(*(i.rates for i in aligned), strict=True)
        ),
        rate_unit=first.rate_unit,
        metrics={
            key: tuple(
                mean_value(key, column, ones)
                for column in zip(*(image.metrics[key] for image in aligned), strict=True)
            )
            for key in keys
        },
        averaging={"": averaging},
        source=first.source,
        settings=first.settings,
        size=first.size if len({image.size for image in images}) == 1 else None,
        fps=first.fps if len({image.fps for image in images}) == 1 else None,
        notes=first.notes,
        members=tuple(aligned),
    )


def _listed(image: CurveSet) -> str:
    return ", ".join(image.settings) or f"{len(image.rates)} points"


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return [cell.strip('"') for cell in line.split()]
    if separator == "|":
        line = line.strip().strip("|")
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _rows_have_names(lines: Sequence[tuple[int, str]], separator: str | None, columns: int) -> bool:
    """Whether every row has one cell more than the header, as R writes tables, and pandas text."""
    rows = [_cells(line, separator) for _, line in lines if not line.lstrip().startswith("#")]
    rows = [cells for cells in rows if any(cells)]
    if separator is not None:
        return False
    return bool(rows) and all(len(cells) == columns + 1 for cells in rows)


def _one(
    path: Path, name: str, what: str, rows: Iterable[Point], key: Callable[[Point], _T | None]
) -> _T | None:
    """What all rows that state it agree on."""
    stated = {value: None for row in rows if (value := key(row)) is not None}
    if len(stated) > 1:
        raise InvalidInputError(
            f"{path}: {name} has different {what} ({', '.join(str(value) for value in stated)}): "
            "its points are not of one curve"
        )
    return next(iter(stated), None)
