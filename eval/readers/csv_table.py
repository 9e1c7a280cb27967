"""Tables with a header: CSV, also with semicolons, tabs or spaces between cells.

A rate column names its unit (`bpp`, `kbps`, `bitrate (Mbps)`, or `bytes` beside width and height);
metric columns have exact names or spellings of them. Columns `sequence` or `image`, `codec`,
`dataset`, `qp`, `frames`, `width`, `height` and `fps` are understood, in the usual spellings.
Rows of an `image` column are averaged over images; of a `sequence` column, each is a curve. What
other columns make of the rows is in `row_labels`; rows that summarise others are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from kodec.eval.curves.curve import UNKNOWN
from kodec.eval.metrics.metric_names import AMBIGUOUS, ASSUMED, exact_name, normal_spelling
from kodec.native import InvalidInputError

from .compressai_json import name_of_combined
from .curve_set import LOSSLESS, CurveSet
from .row_labels import (
    SETTINGS,
    STATED_BESIDE,
    WEAK_SETTINGS,
    Row,
    check_is_curve,
    labelled,
)
from .summary_rows import is_class, is_summary, kept_rows, names_statistic
from .table import Point, Table, is_missing, mean_over_images, sets_of_points
from .vtm_log import usual_rate

_RATES = {
    **dict.fromkeys(
        "bpp rate-bpp bitrate-bpp bits-per-pixel bit-per-pixel bits-pixel".split(), 1.0
    ),
    **dict.fromkeys("avg-bpp mean-bpp ave-bpp average-bpp bpp-avg bpp-mean total-bpp".split(), 1.0),
    **dict.fromkeys("rate-bits-per-pixel rate-bits-pixel bits-per-pixel-bpp real-bpp".split(), 1.0),
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
    "setting": " ".join(SETTINGS | WEAK_SETTINGS),
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


def read(table: Table, size: tuple[int, int] | None = None) -> list[CurveSet]:
    """One set per codec and sequence, or per codec for tables of images.

    `size` (width, height) is the user's and wins over columns, for rates in bytes. Raises
    InvalidInputError for a rate without a unit, a metric whose name stands for several, a cell that
    is no number, and rows that can't be of one curve.
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
    if "frames" in columns and _counts_frames(table, columns["frames"]):
        del columns["frames"]
    unread = [
        c
        for c in range(len(table.header))
        if c not in (rate, *metrics.values(), *columns.values())
        and not exact_name(table.header[c])
        and normal_spelling(table.header[c]) not in AMBIGUOUS
    ]
    measured = [
        (line, cells)
        for line, cells in table.rows
        if cells[rate] or any(cells[c] for c in metrics.values())
    ]
    measured = _filled_down(table, measured, columns, notes)
    measured = _without_summaries(table, measured, columns, unread, notes)
    rows = []
    for line, cells in measured:
        numbers = {
            key: _above_zero(table, line, c, cells[c])
            for key, c in columns.items()
            if key in ("frames", "width", "height", "fps") and not is_missing(cells[c])
        }
        stated = (
            (int(numbers["width"]), int(numbers["height"]))
            if {"width", "height"} <= numbers.keys()
            else None
        )
        frames = int(numbers["frames"]) if "frames" in numbers else None
        value = table.number(line, rate, cells[rate]) * factor
        if unit == "bytes":
            pixels = size or stated
            if pixels is None:
                raise InvalidInputError(
                    f"{path}, line {line}: bytes make a rate only beside columns width and height "
                    "(or with --size WxH)"
                )
            value = 8 * value / (pixels[0] * pixels[1] * (frames or 1))
        if not (math.isfinite(value) and value > 0):
            raise InvalidInputError(f"{path}, line {line}: {cells[rate]} is no rate")
        point = Point(
            line=line,
            codec=_text(columns, "codec", cells) or path.stem,
            dataset=_text(columns, "dataset", cells),
            sequence=_text(columns, "sequence", cells),
            picture=_text(columns, "image", cells),
            setting=_setting(table, columns, cells),
            rate=value,
            metrics={key: _value(table, line, c, cells[c]) for key, c in metrics.items()},
            frames=frames,
            size=stated,
            fps=numbers.get("fps"),
        )
        rows.append(Row(point, cells))
    rows = _of_frame_rates(table, rows, columns, notes)
    of_video = unit == "kbps" or any(key in columns for key in ("sequence", "frames", "fps"))
    points, averaging, remarks = labelled(path.name, table.header, rows, unread, of_video)
    notes += remarks
    points = _without_means(table, points, notes)
    return _sets(table, points, "kbps" if unit == "kbps" else "bpp", averaging, notes)


def _sets(
    table: Table, points: Sequence[Point], bits: str, averaging: str, notes: Sequence[str]
) -> list[CurveSet]:
    """One set per codec, data set and sequence; the mean of its pictures where rows are theirs."""
    weak = any(normal_spelling(title) in WEAK_SETTINGS for title in table.header)
    groups: dict[tuple[str, str | None, str | None], list[Point]] = {}
    for point in points:
        groups.setdefault((point.codec, point.dataset, point.sequence), []).append(point)
    sets = []
    for (codec, dataset, sequence), own in groups.items():
        name = ", ".join(part for part in (codec, dataset, sequence) if part)
        if not any(point.picture for point in own):
            if weak or any(point.setting is None for point in own):
                check_is_curve(
                    f"{table.path}: {name}",
                    [point.rate for point in own],
                    {key: [point.metrics[key] for point in own] for key in own[0].metrics},
                )
            sets += sets_of_points(table.path, own, bits, {"": UNKNOWN}, notes)
            continue
        if nameless := [point.line for point in own if not point.picture]:
            raise InvalidInputError(
                f"{table.path}, line {nameless[0]}: a row of no picture among others of pictures"
            )
        pictures = sets_of_points(
            table.path,
            [replace(point, sequence=point.picture) for point in own],
            bits,
            {"": UNKNOWN},
            notes,
        )
        mean = mean_over_images(name, pictures, averaging)
        sets.append(replace(mean, sequence=sequence, dataset=dataset if sequence else None))
    return sets


def _filled_down(
    table: Table,
    rows: list[tuple[int, tuple[str, ...]]],
    columns: dict[str, int],
    notes: list[str],
) -> list[tuple[int, tuple[str, ...]]]:
    """Names that stand in the first row of several, as spreadsheets merge cells, in all of them."""
    found = []
    names = [columns[key] for key in ("sequence", "image", "dataset", "codec") if key in columns]
    above: dict[int, str] = {}
    filled = set()
    for line, cells in rows:
        changed = list(cells)
        for column in names:
            if not cells[column] and column in above:
                changed[column] = above[column]
                filled.add(column)
            above[column] = changed[column]
        found.append((line, tuple(changed)))
    if filled:
        titles = ", ".join(repr(table.header[column]) for column in sorted(filled))
        notes.append(f"{table.path.name}: empty cells of {titles} taken as the name above them")
    return found


def _without_summaries(
    table: Table,
    rows: list[tuple[int, tuple[str, ...]]],
    columns: dict[str, int],
    unread: Sequence[int],
    notes: list[str],
) -> list[tuple[int, tuple[str, ...]]]:
    """The rows that summarise no others."""
    named = [columns[key] for key in ("sequence", "image", "setting") if key in columns]
    named += [c for c in unread if normal_spelling(table.header[c]) not in STATED_BESIDE]
    datasets = [_text(columns, "dataset", cells) for _, cells in rows]
    kept = set(kept_rows([[cells[c] for c in named] for _, cells in rows], datasets))
    if len(kept) == len(rows):
        return rows
    left = [cells for row, (_, cells) in enumerate(rows) if row not in kept]
    summaries = dict.fromkeys(
        next((c for c in cells if is_summary(c) or is_class(c)), "") for cells in left
    )
    notes.append(
        f"{table.path.name}: rows that summarise others left out: {', '.join(summaries)} "
        f"({len(left)} of {len(rows)})"
    )
    return [rows[row] for row in sorted(kept)]


def _without_means(table: Table, points: list[Point], notes: list[str]) -> list[Point]:
    """Without rows whose name has `mean` or the like in it and whose rates are the others' mean."""
    left = set()
    for name in dict.fromkeys(point.picture or point.sequence or "" for point in points):
        own = [point for point in points if name in (point.picture, point.sequence)]
        others = {p.picture or p.sequence for p in points if p not in own}
        if not names_statistic(name) or len(others) < 2:
            continue
        beside = [
            [
                o.rate
                for o in points
                if (o.codec, o.setting) == (p.codec, p.setting) and o not in own
            ]
            for p in own
        ]
        if all(
            rates and abs(math.fsum(rates) / len(rates) / point.rate - 1) < 0.005
            for rates, point in zip(beside, own, strict=True)
        ):
            left.add(name)
            notes.append(f"{table.path.name}: {name} left out: its rates are the others' mean")
        elif not is_summary(name):
            notes.append(f"{table.path.name}: {name} taken for the name of a sequence or picture")
    return [p for p in points if p.picture not in left and p.sequence not in left]


def _of_frame_rates(
    table: Table, rows: list[Row], columns: dict[str, int], notes: list[str]
) -> list[Row]:
    """Without the numbers of an `fps` column that are an encoder's speed, not a frame rate."""
    column = columns.get("fps")
    if column is None or normal_spelling(table.header[column]) != "fps":
        return rows
    rates: dict[tuple[str, str | None, str | None], set[float]] = {}
    for row in rows:
        if row.point.fps is not None:
            key = (row.point.codec, row.point.dataset, row.point.sequence or row.point.picture)
            rates.setdefault(key, set()).add(row.point.fps)
    if all(len(one) == 1 and usual_rate(*one) for one in rates.values()):
        return rows
    notes.append(
        f"{table.path.name}: {table.header[column]} taken as speed, not as the frame rate: it "
        "differs from row to row, or is no usual one"
    )
    return [replace(row, point=replace(row.point, fps=None)) for row in rows]


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
        [table.measurement(line, c, cells[c]) for line, cells in table.rows]
        for c in (index, *wanted)
        if c is not None
    ]
    combined = name_of_combined(columns[0], columns[1:])
    return combined[0] if combined else None


def _other_columns(table: Table) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, title in enumerate(table.header):
        meaning = _MEANING.get(normal_spelling(title))
        if meaning is not None:
            found.setdefault(meaning, index)
    return found


def _counts_frames(table: Table, column: int) -> bool:
    """Whether a column `frame_num` numbers frames instead of saying how many there were."""
    cells = [cells[column] for _, cells in table.rows]
    if normal_spelling(table.header[column]) not in ("frame-num", "frames", "frame-count"):
        return False
    numbers = sorted({int(cell) for cell in cells if cell.isdecimal() and len(cell) < 9})
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _value(table: Table, line: int, column: int, cell: str) -> float:
    value = table.measurement(line, column, cell)
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
    if column is None or is_missing(cells[column]):
        return None
    return f"{table.header[column]} {cells[column]}"


def _text(columns: dict[str, int], key: str, cells: Sequence[str]) -> str | None:
    column = columns.get(key)
    return (cells[column] or None) if column is not None else None
