"""Tables with a header: CSV, also with semicolons, tabs or spaces between cells.

A rate column names its unit (`bpp`, `kbps`, `bitrate (Mbps)`, or `bytes` beside width and height);
metric columns have exact names or spellings of them. Columns `sequence` or `image`, `codec`,
`dataset`, `qp`, `frames`, `width`, `height` and `fps` are understood, in the usual spellings.
Rows of an `image` column are averaged over images; of a `sequence` column, each is a curve.
"""

import math
from collections.abc import Sequence

from kodec.eval.curve import UNKNOWN
from kodec.eval.metric_names import AMBIGUOUS, ASSUMED, exact_name, normal_spelling
from kodec.native import InvalidInputError

from .compressai_json import name_of_combined
from .curve_set import LOSSLESS, CurveSet
from .table import Point, Table, mean_over_images, sets_of_points

_RATES = {
    **dict.fromkeys(
        "bpp rate-bpp bitrate-bpp bits-per-pixel bit-per-pixel bits-pixel".split(), 1.0
    ),
    **dict.fromkeys("avg-bpp mean-bpp ave-bpp average-bpp bpp-avg bpp-mean total-bpp".split(), 1.0),
}
_BIT_RATES = {
    unit if word is None else f"{word}-{unit}": factor
    for word in (None, "rate", "bitrate", "bit-rate", "avg-bitrate")
    for units, factor in (
        ("kbps kb-s kbit-s kbits-s kbits", 1.0),
        ("mbps mb-s mbit-s mbits-s", 1000.0),
        ("bps bit-s bits-s", 0.001),
    )
    for unit in units.split()
}
_WITHOUT_UNIT = frozenset("rate bitrate bit-rate bits".split())
_WORDS = {
    "sequence": "sequence sequence-name seq seq-name video video-name clip",
    "image": "image image-name img picture",
    "codec": "codec method encoder model",
    "dataset": "dataset data-set class",
    "setting": "qp q quality crf lambda lmbda",
    "frames": "frames n-frames num-frames frame-num total-frames frame-count",
    "width": "width w",
    "height": "height h",
    "fps": "fps framerate frame-rate",
    "bytes": "bytes file-size-bytes size-bytes filesize-bytes",
}
_MEANING = {word: key for key, words in _WORDS.items() for word in words.split()}


def recognises(table: Table | None) -> bool:
    """Whether a table has a column of rates and one of a metric."""
    if table is None:
        return False
    names = [normal_spelling(title) for title in table.header]
    rates = any(n in _RATES or n in _BIT_RATES or n in _WITHOUT_UNIT or n == "bytes" for n in names)
    return rates and any(exact_name(n) or n in AMBIGUOUS for n in names)


def read(table: Table) -> list[CurveSet]:
    """One set per codec and sequence, or per codec for tables of images.

    Raises InvalidInputError for a rate without a unit, a metric whose name stands for several, a
    cell that is no number, and rows that can't be of one curve.
    """
    path = table.path
    notes: list[str] = []
    metrics = _metric_columns(table, notes)
    columns = _other_columns(table)
    rate, factor, unit = _rate_column(table)
    if not table.rows:
        raise InvalidInputError(f"{path}: a header and no rows: nothing was measured yet")
    if table.decimal_comma:
        notes.append(f"{path.name}: commas read as decimal points")
    points = []
    for line, cells in table.rows:
        if not cells[rate] and not any(cells[c] for c in metrics.values()):
            continue
        numbers = {
            key: _above_zero(table, line, c, cells[c])
            for key, c in columns.items()
            if key in ("frames", "width", "height", "fps") and cells[c]
        }
        size = (
            (int(numbers["width"]), int(numbers["height"]))
            if {"width", "height"} <= numbers.keys()
            else None
        )
        frames = int(numbers["frames"]) if "frames" in numbers else None
        value = table.number(line, rate, cells[rate]) * factor
        if unit == "bytes":
            if size is None:
                raise InvalidInputError(
                    f"{path}, line {line}: bytes make a rate only beside columns width and height"
                )
            value = 8 * value / (size[0] * size[1] * (frames or 1))
        if not (math.isfinite(value) and value > 0):
            raise InvalidInputError(f"{path}, line {line}: {cells[rate]} is no rate")
        points.append(
            Point(
                line=line,
                codec=_text(columns, "codec", cells) or path.stem,
                dataset=_text(columns, "dataset", cells),
                sequence=_text(columns, "sequence", cells) or _text(columns, "image", cells),
                setting=_setting(table, columns, cells),
                rate=value,
                metrics={key: _value(table, line, c, cells[c]) for key, c in metrics.items()},
                frames=frames,
                size=size,
                fps=numbers.get("fps"),
            )
        )
    bits = "kbps" if unit == "kbps" else "bpp"
    if "image" not in columns:
        return sets_of_points(path, points, bits, {"": UNKNOWN}, notes)
    sets: dict[tuple[str, str | None], list[Point]] = {}
    for point in points:
        sets.setdefault((point.codec, point.dataset), []).append(point)
    return [
        mean_over_images(
            f"{codec}, {dataset}" if dataset else codec,
            sets_of_points(path, own, bits, {"": UNKNOWN}, notes),
        )
        for (codec, dataset), own in sets.items()
    ]


def _rate_column(table: Table) -> tuple[int, float, str]:
    """Which column the rates are in, the factor to bpp or kbps, and `bpp`, `kbps` or `bytes`."""
    names = [normal_spelling(title) for title in table.header]
    for unit, known in (("bpp", _RATES), ("kbps", _BIT_RATES)):
        found = [i for i, name in enumerate(names) if name in known]
        if len(found) > 1:
            titles = " and ".join(table.header[i] for i in found)
            raise InvalidInputError(f"{table.path}: several columns of rates, {titles}: keep one")
        if found:
            return found[0], known[names[found[0]]], unit
    if "bytes" in [_MEANING.get(name) for name in names]:
        return [_MEANING.get(name) for name in names].index("bytes"), 1.0, "bytes"
    title = next(table.header[i] for i, name in enumerate(names) if name in _WITHOUT_UNIT)
    raise InvalidInputError(
        f"{table.path}: the column {title!r} does not say its unit: call it bpp or kbps"
    )


def _metric_columns(table: Table, notes: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, title in enumerate(table.header):
        spelling = normal_spelling(title)
        name = exact_name(title)
        if name is None and spelling in AMBIGUOUS:
            name = _combined(table, index)
            if name is None:
                notes.append(f"{table.path.name}: {title} left out: say {AMBIGUOUS[spelling]}")
        if name is None:
            continue
        if name in found:
            raise InvalidInputError(
                f"{table.path}: columns {table.header[found[name]]} and {title} are both {name}"
            )
        if spelling in ASSUMED:
            notes.append(f"{table.path.name}: {title} taken as {name}")
        found[name] = index
    if not found:
        titles = ", ".join(t for t in table.header if normal_spelling(t) in AMBIGUOUS)
        raise InvalidInputError(
            f"{table.path}: {titles} is not one metric: call it {AMBIGUOUS['psnr-yuv']}"
        )
    return found


def _combined(table: Table, index: int) -> str | None:
    """What a YUV-PSNR is by its planes' columns; None without them or if it is neither."""
    names = [exact_name(title) for title in table.header]
    wanted = [names.index(f"psnr-{p}") if f"psnr-{p}" in names else None for p in "yuv"]
    if None in wanted:
        return None
    columns = [
        [table.number(line, c, cells[c]) for line, cells in table.rows if cells[c]]
        for c in (index, *wanted)
        if c is not None
    ]
    if len({len(column) for column in columns}) > 1:
        return None
    combined = name_of_combined(columns[0], columns[1:])
    return combined[0] if combined else None


def _other_columns(table: Table) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, title in enumerate(table.header):
        meaning = _MEANING.get(normal_spelling(title))
        if meaning is not None:
            found.setdefault(meaning, index)
    return found


def _value(table: Table, line: int, column: int, cell: str) -> float:
    value = table.number(line, column, cell)
    decibels = normal_spelling(table.header[column]).startswith("psnr")
    return math.inf if decibels and value >= LOSSLESS else value


def _above_zero(table: Table, line: int, column: int, cell: str) -> float:
    value = table.number(line, column, cell)
    if not (math.isfinite(value) and value > 0):
        raise InvalidInputError(
            f"{table.path}, line {line}: {table.header[column]} is {cell}, not above 0"
        )
    return value


def _setting(table: Table, columns: dict[str, int], cells: Sequence[str]) -> str | None:
    column = columns.get("setting")
    return None if column is None else f"{table.header[column]} {cells[column]}"


def _text(columns: dict[str, int], key: str, cells: Sequence[str]) -> str | None:
    column = columns.get(key)
    return (cells[column] or None) if column is not None else None
