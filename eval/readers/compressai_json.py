"""Results files of CompressAI and kodec, of pictures (`bpp`) and of video (`bitrate`, in kbps).

Of pictures: read by `results.results_in`, with kodec's per-image rows as members; kodec's of video
likewise, but one set a sequence. CompressAI's of video:
parallel lists under `results`, `qp` or `q` naming the points, `bitrate` at the clips' own frame
rate, and `psnr-yuv`, which CompressAI computes as (4 Y + U + V) / 6 of decibels. One number instead
of each list is one point: CompressAI's files per picture, which name it as `source`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from kodec.eval.curves.curve import UNKNOWN
from kodec.eval.metrics.metric_names import exact_name, normal_spelling
from kodec.eval.running.results import ImageRow, Results, results_in
from kodec.native import InvalidInputError

from .curve_set import CurveSet
from .row_labels import SETTINGS, check_is_curve, names_pictures
from .summary_rows import is_summary

_RATES = ("bpp", "bitrate")
_TIMES = ("encoding_time", "decoding_time")


def recognises(document: Any) -> bool:
    """Whether a JSON document holds rates, under `results` or bare."""
    lists = document.get("results", document) if isinstance(document, dict) else None
    return isinstance(lists, dict) and any(
        isinstance(lists.get(key), list | int | float) for key in _RATES
    )


def read(path: Path, document: dict[str, Any]) -> list[CurveSet]:
    """The one set of a results file; of kodec's results of video one a sequence.

    Raises InvalidInputError when its lists differ in length, hold what is no number, or are of
    pictures or frames instead of qualities.
    """
    lists = document.get("results", document)
    if any(isinstance(lists.get(key), int | float) for key in _RATES):
        lists = {
            key: [value]
            for key, value in lists.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        document = {**document, "results": lists}
    _check_are_points(path, lists)
    return _with_bpp(path, document) if "bpp" in lists else [_of_video(path, document, lists)]


def _check_are_points(path: Path, lists: Mapping[str, Any]) -> None:
    """Raises InvalidInputError for lists with an entry per picture or frame."""
    for key, column in lists.items():
        if not isinstance(column, list) or len(set(map(str, column))) < 2:
            continue
        if names_pictures(key, [str(value) for value in column]):
            shown = ", ".join(str(value) for value in column[:3])
            raise InvalidInputError(
                f"{path}: its lists are of pictures or frames ({key}: {shown}, ...), not of "
                "qualities: write the mean of each quality, or a table with columns image, "
                "quality, bpp and the metrics"
            )


def _is_beside(key: str, column: Any) -> bool:
    """Whether a list is of text, of which no curve is made."""
    return (
        key not in _RATES
        and exact_name(key) is None
        and isinstance(column, list)
        and any(isinstance(value, str) for value in column)
    )


def _with_bpp(path: Path, document: dict[str, Any]) -> list[CurveSet]:
    lists = document.get("results", document)
    kept = {key: value for key, value in lists.items() if not _is_beside(key, value)}
    results = results_in(path, {**document, "results": kept} if "results" in document else kept)
    notes = list(results.notes)
    # CompressAI's tools and kodec write times; numbers from a paper have none.
    measured = all(key in results.results for key in _TIMES)
    members = _members(results, str(path), notes)
    averaging = "mean over images" if measured or members else UNKNOWN
    if results.per_image and all(row.fps is not None for row in results.per_image):
        if members:
            return [replace(one, notes=tuple(notes)) for one in members]
        averaging = "mean over frames, then over sequences"
    meta = document.get("meta")
    source = document.get("source")
    settings = _settings(results.quality, "quality", len(results.results["bpp"]))
    for key, values in lists.items():
        if not settings and normal_spelling(key) in SETTINGS and isinstance(values, list):
            settings = _settings(values, key, len(results.results["bpp"]))
    found = CurveSet(
        name=results.name,
        rates=tuple(results.results["bpp"]),
        metrics=_metrics(results.results, path, notes),
        averaging={"": averaging},
        sequence=source if isinstance(source, str) and len(results.results["bpp"]) == 1 else None,
        dataset=meta.get("dataset") if isinstance(meta, dict) else None,
        source=(str(path),),
        settings=settings,
        notes=tuple(notes),
        members=members,
    )
    _check_shape(found)
    return [found]


def _check_shape(found: CurveSet) -> None:
    """Raises InvalidInputError for points without settings of which quality doesn't follow rate."""
    if not found.settings and not found.members:
        check_is_curve(found.name, found.rates, found.metrics)


def _of_video(path: Path, document: dict[str, Any], lists: dict[str, Any]) -> CurveSet:
    numbers: dict[str, list[float]] = {}
    points = len(lists["bitrate"])
    for key, column in lists.items():
        if not isinstance(column, list) or len(column) != points:
            raise InvalidInputError(
                f"{path}: {key} is not a list of {points} numbers, one per bitrate"
            )
        if exact_name(key) is None and key not in ("bitrate", "psnr-yuv"):
            continue
        if key != "bitrate":
            column = [math.nan if value is None else value for value in column]
        for value in column:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidInputError(f"{path}: {key} holds {value!r}, not a number")
        numbers[key] = [float(value) for value in column]
    notes: list[str] = []
    settings: list[Any] = lists.get("qp", lists.get("q", []))
    found = CurveSet(
        name=str(document.get("name", path.stem)),
        rates=tuple(numbers.pop("bitrate")),
        rate_unit="kbps",
        metrics=_metrics(numbers, path, notes),
        averaging={"": "mean over frames, then over sequences"},
        source=(str(path),),
        settings=_settings(settings, "QP" if "qp" in lists else "", points),
        notes=tuple(notes),
    )
    _check_shape(found)
    return found


def _metrics(
    columns: Mapping[str, Sequence[float]], path: Path, notes: list[str]
) -> dict[str, tuple[float, ...]]:
    found = {}
    for key, values in columns.items():
        name = exact_name(key)
        if name is not None:
            found[name] = tuple(values)
        elif key == "psnr-yuv":
            combined = name_of_combined(values, [columns.get(f"psnr-{plane}") for plane in "yuv"])
            if combined is None:
                notes.append(
                    f"{path.name}: psnr-yuv left out: neither 4:1:1 nor 6:1:1 of its planes"
                )
            else:
                found[combined[0]] = tuple(values)
                notes.extend([f"{path.name}: {combined[1]}"] if combined[1] else [])
    return found


def name_of_combined(
    values: Sequence[float], planes: Sequence[Sequence[float] | None]
) -> tuple[str, str] | None:
    """The exact name of a `psnr-yuv`, by its planes (Y, U, V), and a remark; None if it is neither.

    Without planes to check it against it is taken as CompressAI's.
    """
    y, u, v = planes
    if (
        y is None
        or u is None
        or v is None
        or not any(map(math.isfinite, map(sum, zip(values, y, u, v, strict=True))))
    ):
        return (
            "psnr-yuv-411",
            "psnr-yuv taken as 4:1:1 of dB, CompressAI's; no planes to check it by",
        )
    for name, weight in (("psnr-yuv-411", 4), ("psnr-yuv-611", 6)):
        means = [(weight * a + b + c) / (weight + 2) for a, b, c in zip(y, u, v, strict=True)]
        # Where a plane is lossless or was not measured there is nothing to check.
        pairs = [
            (mean, value)
            for mean, value in zip(means, values, strict=True)
            if math.isfinite(mean) and math.isfinite(value)
        ]
        if pairs and all(abs(mean - value) < 0.002 for mean, value in pairs):
            return name, ""
    return None


def _settings(values: Sequence[Any], word: str, points: int) -> tuple[str, ...]:
    if len(values) != points or any(value is None for value in values):
        return ()
    return tuple(f"{word} {value}".strip() for value in values)


def _members(results: Results, source: str, notes: list[str]) -> tuple[CurveSet, ...]:
    """Every picture's own curve, its points in the order of the averages'."""
    by_image: dict[str, list[ImageRow]] = {}
    rows_left = [row for row in results.per_image if not is_summary(row.image)]
    if rows_left and len(rows_left) < len(results.per_image):
        notes.append(f"{results.name}: rows that summarise others left out of its per-image rows")
    for row in rows_left or results.per_image:
        by_image.setdefault(row.image, []).append(row)
    if not by_image:
        return ()
    rates = results.results["bpp"]
    order = _order({image: [row.bpp for row in rows] for image, rows in by_image.items()}, rates)
    if order is None:
        notes.append(f"{results.name}: its per-image rows do not average to its points: not used")
        return ()
    members = []
    for image, rows in by_image.items():
        rows = [rows[i] for i in order]
        names = [key for key in rows[0].metrics if all(key in row.metrics for row in rows)]
        exact = {name: key for key in names if (name := exact_name(key)) is not None}
        video = rows[0].fps is not None
        if len({row.frames for row in rows}) > 1:
            raise InvalidInputError(
                f"{source}: the rows of {image} are of different numbers of frames: measure it "
                "again"
            )
        members.append(
            CurveSet(
                name=f"{results.name}, {image}",
                rates=tuple(row.bpp for row in rows),
                metrics={n: tuple(row.metrics[k] for row in rows) for n, k in exact.items()},
                averaging={"": "mean over frames"} if video else {},
                sequence=PurePath(image).stem if video else image,
                source=(source,),
                settings=_settings(results.quality, "quality", len(rows)) if video else (),
                frames=rows[0].frames if video else None,
                size=(rows[0].width, rows[0].height),
                fps=rows[0].fps,
            )
        )
    return tuple(members)


def _order(by_image: dict[str, list[float]], rates: Sequence[float]) -> list[int] | None:
    """Which of every picture's rows belongs to each point, by the mean of their rates."""
    rows = list(by_image.values())
    if any(len(row) != len(rates) for row in rows):
        return None
    means = [sum(row[i] for row in rows) / len(rows) for i in range(len(rates))]
    order = []
    for rate in rates:
        left = [i for i in range(len(means)) if i not in order]
        nearest = min(left, key=lambda i: abs(means[i] - rate))
        if abs(means[nearest] - rate) > 1e-6 * rate:
            return None
        order.append(nearest)
    return order
