"""x265's CSV (`--csv`): a row per run, its command line in the first cell.

`FPS` is the encoder's speed; a frame rate is only in the command line (`--fps`). `Bitrate` is in
kb/s and `Global PSNR` (6 Y + U + V) / 8 of the planes' dB. With `--csv-log-level` 1 or 2 there is a
row per frame before each run's summary; these are passed over.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from kodec.eval.metrics.metric_names import exact_name
from kodec.native import InvalidInputError

from .curve_set import LOSSLESS, CurveSet
from .table import Point, Table, is_missing, parse_table, sets_of_points

_HEADER = re.compile(r"(?m)^[ \t]*\"?Command\"?,.*\bElapsed Time\b.*$")
_FRAMES = re.compile(r"(?m)^[ \t]*\"?Encode Order\"?,.*\bPOC\b.*$")
_METRICS = {"global psnr": "psnr-yuv-611", "ssim": "ssim-y"}
_SETTINGS = {"--crf": "crf", "--qp": "qp", "-q": "qp", "--bitrate": "bitrate"}
_OUTPUTS = frozenset("-o --output -r --recon --csv --csv-log-level --log-file --log-level".split())
_STREAM = re.compile(r"(?i)\.(hevc|h?265|bin|bit|mkv|mp4|csv|log)$")
_SOURCE = re.compile(r"(?i)\.(yuv|y4m|avi|mov|mp4|mkv|avs|vpy)$|^-$")


def recognises(text: str) -> bool:
    """Whether a text is such a file, of runs or of the frames of an unfinished one."""
    return _HEADER.search(text) is not None or _FRAMES.search(text) is not None


def read(path: Path, text: str) -> list[CurveSet]:
    """One set per input and configuration; runs that differ in rate control alone are its points.

    Raises InvalidInputError for rows of frames without a summary, runs without PSNR or SSIM, cells
    that are no number, and two runs of one configuration and rate.
    """
    points = []
    for table in _tables(path, text):
        points += [_point(table, line, cells) for line, cells in table.rows]
    if not points and _FRAMES.search(text) is None:
        raise InvalidInputError(f"{path}: a header and no rows: nothing was measured yet")
    if not points:
        raise InvalidInputError(
            f"{path}: its rows are frames, without the summary of a run: x265 has not finished; "
            "run it again, with --csv-log-level 0"
        )
    if len({point.codec for point in points}) == 1:
        points = [replace(point, codec=path.stem) for point in points]
    return sets_of_points(path, points, "kbps", {"": "mean over frames"}, ())


def _tables(path: Path, text: str) -> list[Table]:
    """The summaries: each header with its rows, up to an empty line or the next header."""
    found = []
    for match in _HEADER.finditer(text):
        rows = re.split(
            r"\n[ \t,]*\n|\n\"?(?:Command|Encode Order|Summary)\"?,?", text[match.end() :]
        )
        # Lines before it keep the numbers of lines true.
        table = parse_table(path, "\n" * text[: match.start()].count("\n") + match[0] + rows[0])
        if table is not None:
            found.append(table)
    return found


def _point(table: Table, line: int, cells: Sequence[str]) -> Point:
    column = {title.strip().lower(): c for c, title in enumerate(table.header)}
    rate = column.get("bitrate", column.get("kbps"))
    if rate is None:
        raise InvalidInputError(f"{table.path}: no column Bitrate among {', '.join(table.header)}")
    kbps = table.number(line, rate, cells[rate])
    if not (math.isfinite(kbps) and kbps > 0):
        raise InvalidInputError(f"{table.path}, line {line}: {cells[rate]} is no rate")
    metrics = {}
    for title, c in column.items():
        name = _METRICS.get(title) or exact_name(title)
        if name is not None and not is_missing(cells[c]):
            value = table.measurement(line, c, cells[c])
            # No lossy mean lies above: 10 log10(255^2 x samples of an 8K frame).
            lossless = name.startswith("psnr") and (value > 124 or value >= LOSSLESS)
            metrics[name] = math.inf if lossless else value
    if not metrics:
        raise InvalidInputError(
            f"{table.path}, line {line}: x265 wrote no PSNR or SSIM: run it with --psnr"
        )
    command = _Command(cells[0])
    return Point(
        line=line,
        codec=command.configuration,
        dataset=None,
        sequence=command.source,
        setting=command.setting,
        rate=kbps,
        metrics=metrics,
        frames=_frames(table, column, line, cells),
        size=command.size,
        fps=command.fps,
    )


def _frames(table: Table, column: Mapping[str, int], line: int, cells: Sequence[str]) -> int | None:
    counts = [column[f"{kind} count"] for kind in "ipb" if f"{kind} count" in column]
    stated = [table.number(line, c, cells[c]) for c in counts if not is_missing(cells[c])]
    total = sum(stated)
    return int(total) if total >= 1 and math.isfinite(total) else None


class _Command:
    """What x265's command line says."""

    def __init__(self, text: str) -> None:
        self.setting: str | None = None
        self.source: str | None = None
        self.size: tuple[int, int] | None = None
        self.fps: float | None = None
        kept: list[str] = []
        words = [word for part in text.split() for word in _split(part)]
        while words:
            word = words.pop(0)
            value = words[0] if words else ""
            if word in _SETTINGS:
                self.setting = f"{_SETTINGS[word]} {value}"
                words = words[1:]
            elif word in _OUTPUTS:
                words = words[1:]
            elif word == "--input" or (self.source is None and _SOURCE.search(word)):
                self.source = PurePath(
                    (value if word == "--input" else word).replace("\\", "/")
                ).stem
                words = words[1:] if word == "--input" else words
            elif not _STREAM.search(word):
                kept.append(word)
                self._read(word, value)
        self.configuration = " ".join(kept)

    def _read(self, word: str, value: str) -> None:
        if word == "--input-res" and (match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)):
            self.size = (int(match[1]), int(match[2]))
        if word == "--fps" and (match := re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(\d+))?", value)):
            self.fps = float(match[1]) / (float(match[2] or 1) or 1)


def _split(word: str) -> list[str]:
    """`--crf=27` as two words."""
    name, _, value = word.partition("=")
    return [name, value] if word.startswith("--") and value else [word]
