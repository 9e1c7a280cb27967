"""What the rows of a table are: rate points of one curve, or pictures and frames.

Rows are rate points where a column of settings, or names that differ in the QP alone, says so. A
column that names rows otherwise (`filename`, `img_name`, `name`) or numbers them as frames (`poc`,
`frame`) makes them pictures or frames, of which a point is the mean. A column that only counts
(pandas' index, `id`) decides nothing: rows are points if rate and quality rise from row to row.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from kodec.eval.metrics.metric_names import exact_name, find_metric, normal_spelling
from kodec.native import InvalidInputError

from .file_names import without_qp
from .table import Point, is_missing

SETTINGS = frozenset(
    "qp q quality qualities crf lambda lmbda lambdas cq cqp qindex q-index qscale base-qp slice-qp "
    "quality-level quality-index lambda-index lambda-idx target-bpp target-rate target-bitrate "
    "target-kbps target-psnr".split()
)
"""Titles of what each point was coded with."""
WEAK_SETTINGS = frozenset("level point rate-point rp rate-index rate-idx operating-point".split())
"""Titles of the same that may as well count pictures."""
STATED_BESIDE = frozenset(
    "comment comments note notes remark remarks description date time datetime date-time timestamp "
    "start end started finished command cmd commandline command-line version commit hash md5 sha "
    "sha1 sha256 checksum host hostname machine node device gpu cpu user status type slice-type "
    "profile".split()
)
"""Columns of text that say something about a row without being its name."""
_FRAMES = frozenset(
    "poc frame frames frame-number frame-no frame-nr frame-num frame-id frame-idx frame-index "
    "frameid frame-count fn display-order decode-order coding-order encode-order picture-number "
    "pic-number pic-num".split()
)
_PICTURES = frozenset(
    "image image-name img img-name imgname img-id image-id image-idx image-index image-number "
    "image-path image-file img-path picture picture-name picture-id pic pic-name photo sample "
    "sample-id file filename file-name fname filepath file-path path source kodak".split()
)
_COUNTERS = frozenset(
    "index idx id no nr number num n i row row-id row-number key unnamed-0 unnamed:-0".split()
)
_CODEC = re.compile(
    r"(?i)(ours?|proposed|anchor|baseline|reference|jpeg[\s_-]?2000|jpe?g|bpg|webp|avif|vtm|hm|ecm|vvc|"
    r"hevc|h\.?26[456]|av1|x26[45]|vvenc|svt|cheng2020|mbt2018|bmshj2018|elic|mlic|tcm|dcvc)"
    r"([\s_\-(].*|\d*$|$)"
)
"""Names that are codecs', in a column of names."""
_VIDEO = re.compile(r"(?i)\.(yuv|y4m|mp4|mkv|mov|avi|webm|hevc|vvc)\b|_\d{3,4}x\d{3,4}")
_MEASURED = re.compile(
    r"(?i)[<>~+-]?\d[\d.,:/ '-]*(e[+-]?\d+)?\s*"
    r"(s|sec|secs|seconds|ms|us|µs|min|mins|h|d|k|m|g|b|kb|mb|gb|kib|mib|gib|bytes|bits|kbps|mbps|"
    r"bpp|db|dbs|%|x|fps|hz|khz|mhz|ghz|t?flops|macs|kmac|kmacs|gmacs|px|w|j)?(/\w+)?"
)


@dataclass(frozen=True)
class Row:
    """A row's numbers, understood, and all its cells as text."""

    point: Point
    cells: tuple[str, ...]


def labelled(
    name: str, header: Sequence[str], rows: Sequence[Row], unread: Sequence[int], of_video: bool
) -> tuple[list[Point], str, list[str]]:
    """The points with the pictures, frames or sequences they are of, what a mean over them is
    called, and remarks.

    `unread` are the columns that no meaning is known of; `name` is for remarks. `of_video` decides
    whether names are of sequences, each a curve, or of pictures, which are averaged.
    """
    notes: list[str] = []
    rows = _with_settings_in_names(header, rows, unread)
    texts = [c for c in unread if _is_text(header[c], [row.cells[c] for row in rows])]
    if not (_settled(rows) and all(map(rises, _groups(rows)))):
        rows = _with_names(name, header, rows, texts, of_video, notes)
    averaging = "mean over images"
    for column in unread:
        title = header[column] or "row"
        cells = [row.cells[column] for row in rows]
        if column in texts or not all(map(_is_integer, cells)) or not _varies(rows, cells):
            continue
        if normal_spelling(title) in _FRAMES | _PICTURES or (
            _may_count(title, rows, cells) and _counts_pictures(name, title, rows, cells, notes)
        ):
            if normal_spelling(title) in _FRAMES and not any(row.point.picture for row in rows):
                averaging = "mean over frames"
            rows = [
                _of_picture(row, f"{title} {cell}") for row, cell in zip(rows, cells, strict=True)
            ]
            notes.append(f"{name}: rows taken as pictures or frames, by column {header[column]!r}")
    return [row.point for row in rows], averaging, notes


def rises(points: Sequence[Point]) -> bool:
    """Whether rate and some metric rise together from row to row, or fall from row to row."""
    rates = [point.rate for point in points]
    if rates[0] > rates[-1]:
        points, rates = points[::-1], rates[::-1]
    return _is_rising(rates) and _fewest_falls(_columns(points), level=True) == 0


def check_is_curve(
    name: str, rates: Sequence[float], metrics: Mapping[str, Sequence[float]]
) -> None:
    """Raises InvalidInputError for points in which quality doesn't follow the rate.

    A curve has a step down or two; of pictures, half the steps fall.
    """
    order = sorted(range(len(rates)), key=rates.__getitem__)
    falls = _fewest_falls({key: [v[i] for i in order] for key, v in metrics.items()}, level=False)
    steps = len(rates) - 1
    if falls >= 3 and 3 * falls > steps:
        raise InvalidInputError(
            f"{name}: its {len(rates)} points are no curve: in order of rate, quality falls at "
            f"{falls} of {steps} steps. If they are pictures or frames, name them in a column "
            "(image) and what each was coded with in another (quality), or write the mean of each "
            "quality"
        )


def names_pictures(title: str, cells: Sequence[str]) -> bool:
    """Whether a list of a results file that has no meaning for curves tells pictures or frames."""
    spelling = normal_spelling(title)
    if exact_name(title) or spelling in STATED_BESIDE | SETTINGS | WEAK_SETTINGS:
        return False
    if len(set(cells)) < len(cells):
        return False
    if all(_without_qp(cell)[1] is not None for cell in cells):
        return False
    return _is_text(title, cells) or (
        spelling in _FRAMES | _PICTURES and all(map(_is_integer, cells))
    )


def _with_settings_in_names(
    header: Sequence[str], rows: Sequence[Row], unread: Sequence[int]
) -> list[Row]:
    """Where no column says the setting, but a name of every row ends in it: taken from there."""
    if any(row.point.setting is not None for row in rows):
        return list(rows)
    found = [_without_qp(row.point.sequence or row.point.picture or "") for row in rows]
    if all(qp is not None for _, qp in found):
        return [
            replace(
                row,
                point=replace(
                    row.point,
                    setting=f"QP {qp:g}",
                    sequence=(rest or None) if row.point.sequence else None,
                    picture=None if row.point.sequence else (rest or None),
                ),
            )
            for row, (rest, qp) in zip(rows, found, strict=True)
        ]
    for column in unread:
        qps = [_without_qp(row.cells[column])[1] for row in rows]
        if normal_spelling(header[column]) not in STATED_BESIDE and None not in qps:
            return [
                replace(row, point=replace(row.point, setting=f"QP {qp:g}"))
                for row, qp in zip(rows, qps, strict=True)
            ]
    return list(rows)


def _with_names(
    name: str,
    header: Sequence[str],
    rows: list[Row],
    columns: Sequence[int],
    of_video: bool,
    notes: list[str],
) -> list[Row]:
    """Rows with the names in one of the columns; what else tells them apart is of the codec."""
    names = {column: _names(rows, column) for column in columns}
    columns = [column for column in columns if _varies(rows, names[column])]
    if not columns:
        return rows

    def rank(column: int) -> tuple[bool, int]:
        return normal_spelling(header[column]) in _PICTURES, len(set(names[column]))

    main = max(columns, key=rank)
    named = any(row.point.sequence or row.point.picture for row in rows)
    if named or (not rank(main)[0] and any(map(_CODEC.match, names[main]))):
        of_codec = list(columns)
    else:
        of_codec = [column for column in columns if column != main]
        of_video = of_video or any(map(_VIDEO.search, names[main]))
        found = list(dict.fromkeys(names[main]))
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        kind = "sequences" if of_video else "pictures"
        notes.append(f"{name}: rows taken as {kind}, by column {header[main]!r}: {shown}")
        rows = [
            replace(row, point=replace(row.point, sequence=cell))
            if of_video
            else _of_picture(row, cell)
            for row, cell in zip(rows, names[main], strict=True)
        ]
    for column in of_codec:
        if _varies(rows, names[column]):
            rows = [
                replace(row, point=replace(row.point, codec=f"{row.point.codec}, {cell}"))
                for row, cell in zip(rows, names[column], strict=True)
            ]
    return rows


def _names(rows: Sequence[Row], column: int) -> list[str]:
    """A column's names without the setting, which those of streams and logs often have."""
    cells = [row.cells[column] for row in rows]
    settings = [(row.point.setting or "").rpartition(" ")[2] for row in rows]
    if not all(settings):
        return cells
    strict = [_without_qp(cell) for cell in cells]
    if all(
        qp is not None and qp == _number(setting)
        for (_, qp), setting in zip(strict, settings, strict=True)
    ):
        return [rest for rest, _ in strict]
    loose = [
        re.sub(rf"(?<![0-9A-Za-z.]){re.escape(setting)}(?![0-9A-Za-z]|\.\d)", "", cell)
        for cell, setting in zip(cells, settings, strict=True)
    ]
    return cells if _varies(rows, loose) else loose


def _counts_pictures(
    name: str, title: str, rows: Sequence[Row], cells: Sequence[str], notes: list[str]
) -> bool:
    """Whether what a column counts are pictures, not rate points."""
    if _settled(rows):
        return False
    if any(row.point.setting is not None for row in rows):
        # Numbers that come back at each setting are pictures'; others number the rows.
        pairs = {
            (_key(row), row.point.setting, cell) for row, cell in zip(rows, cells, strict=True)
        }
        return len(set(cells)) < len(rows) == len(pairs)
    distinct = {(_key(row), cell) for row, cell in zip(rows, cells, strict=True)}
    if len(distinct) == len(rows) and all(map(rises, _groups(rows))):
        notes.append(
            f"{name}: rows taken as rate points, as their rates and qualities rise together: "
            f"column {title!r} only counts them"
        )
        return False
    return True


def _without_qp(name: str) -> tuple[str, float | None]:
    """A file's name without the QP in it, and the QP."""
    path = PurePath(name.replace("\\", "/"))
    rest, setting = without_qp(path.stem)
    return (name, None) if setting is None else (rest + path.suffix, setting.value)


def _of_picture(row: Row, picture: str) -> Row:
    known = row.point.picture
    return replace(
        row, point=replace(row.point, picture=f"{known}, {picture}" if known else picture)
    )


def _may_count(title: str, rows: Sequence[Row], cells: Sequence[str]) -> bool:
    """Whether a column of whole numbers counts rows, rather than measure something."""
    if normal_spelling(title) in _COUNTERS:
        return True
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for row, cell in zip(rows, cells, strict=True):
        groups.setdefault(_key(row), []).append(int(float(cell)))
    return all(len(group) > 2 and _is_even(group) for group in groups.values())


def _is_even(numbers: Sequence[int]) -> bool:
    """Whether numbers, in any order, are all those of an even progression."""
    numbers = sorted(set(numbers))
    return len({b - a for a, b in itertools.pairwise(numbers)}) <= 1


def _is_text(title: str, cells: Iterable[str]) -> bool:
    if normal_spelling(title) in STATED_BESIDE:
        return False
    named = [cell for cell in cells if not is_missing(cell)]
    return bool(named) and not all(_MEASURED.fullmatch(cell) for cell in named)


def _is_integer(cell: str) -> bool:
    return re.fullmatch(r"-?\d{1,12}(\.0+)?", cell) is not None and float(cell).is_integer()


def _settled(rows: Sequence[Row]) -> bool:
    """Whether each row of a group has a setting of its own."""
    return all(
        None not in (found := [point.setting for point in group]) and len(set(found)) == len(found)
        for group in _groups(rows)
    )


def _varies(rows: Sequence[Row], cells: Sequence[str]) -> bool:
    """Whether a column differs among rows that would be of one curve."""
    seen: dict[tuple[str | None, ...], str] = {}
    return any(
        seen.setdefault(_key(row), cell) != cell for row, cell in zip(rows, cells, strict=True)
    )


def _groups(rows: Sequence[Row]) -> list[list[Point]]:
    groups: dict[tuple[str | None, ...], list[Point]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row.point)
    return list(groups.values())


def _key(row: Row) -> tuple[str | None, ...]:
    point = row.point
    return (point.codec, point.dataset, point.sequence, point.picture)


def _is_rising(numbers: Sequence[float]) -> bool:
    return all(b > a for a, b in itertools.pairwise(numbers))


def _fewest_falls(metrics: Mapping[str, Sequence[float]], level: bool) -> int:
    """Steps at which quality falls (or stays, with `level`), by the metric that has the fewest."""
    counts = []
    for metric, values in metrics.items():
        sign = 1 if find_metric(metric).higher_is_better else -1
        if not any(map(math.isnan, values)):
            steps = itertools.pairwise(sign * value for value in values)
            counts.append(sum(b < a or (level and b == a) for a, b in steps))
    return min(counts, default=0)


def _columns(points: Sequence[Point]) -> dict[str, list[float]]:
    return {key: [point.metrics[key] for point in points] for key in points[0].metrics}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
