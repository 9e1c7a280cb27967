"""Measuring a codec over a data set: all of its rows, in one process or several, their means."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from kodec.eval.metrics.metric_set import why_without
from kodec.eval.metrics.picture_metrics import ms_ssim_db
from kodec.eval.sources.source import PictureSource, Source, VideoSource, name_of
from kodec.native import InvalidInputError, KodecError

from .executors import open_executor, use_threads
from .machine import describe_machine, describe_versions
from .measurement import Measurable, Measurement, SelfTimed, SequenceCodec, SourceError
from .partial import PartialRows, key_of
from .results import ImageRow, Results
from .rows import Task, measure_elsewhere, measure_here, rows_of

Progress = Callable[[int, int, str], None]
"""Called with the files done, the files in all (pictures times qualities), and what comes next."""

PixelProgress = Callable[[int, int, str, int], None]
"""The same, and with the pixels of what was measured since the beginning."""

CodecMaker = Callable[[], Measurable]
"""Makes the codec in a measuring process; it must survive pickling to run in several."""

_TRIES = 3
"""A codec that fails on so many sources before the first row will fail on the others."""


def evaluate(
    codec: Measurable,
    images: Sequence[Path],
    qualities: Sequence[int | None] = (None,),
    description: str = "",
    progress: PixelProgress | None = None,
    metrics: Sequence[str] = ("psnr-rgb", "ms-ssim-rgb"),
) -> Results:
    """Encode and decode every picture at every quality; one point of the results per quality.

    A point holds means over the pictures: of bits per pixel (from whole files' bytes), of the
    metrics (`metric_set.py` has the names) and of wall-clock seconds to encode and decode from and
    to memory. MS-SSIM is left out, with a note, when a picture is too small for it.

    A picture that cannot be measured, because it cannot be read or the codec fails on it, is left
    out of all points, and named in `left_out` of the results. Raises KodecError with the reason
    where none can be measured, or the codec fails on the first few; InvalidInputError without
    pictures or qualities, and for a quality named twice.
    """
    sources = [PictureSource(path) for path in images]
    return evaluate_sources(lambda: codec, sources, qualities, metrics, description, progress)


def evaluate_sources(
    make_codec: CodecMaker,
    sources: Sequence[Source],
    qualities: Sequence[int | None],
    metrics: Sequence[str],
    description: str = "",
    progress: PixelProgress | None = None,
    jobs: int = 1,
    partial: PartialRows | None = None,
    needed: Sequence[str] = (),
    left_out: dict[Source, str] | None = None,
    scheduler: str | None = None,
    threads: int | None = None,
) -> Results:
    """As `evaluate`, of pictures or sequences, in `jobs` processes.

    With one job everything happens in this process. With the address of a Dask `scheduler` it
    happens on its workers, which see the same files. threads: of each process, by default one, with
    one job as many as it has. Rows that `partial` already has are not measured again; new ones go
    into it as they are finished. A source that cannot have one of the metrics in `needed` is left
    out. Those in `left_out`, with the reasons, are left out from the start, and others are added to
    it. Raises what `evaluate` does.
    """
    if not sources or not qualities:
        raise InvalidInputError("nothing to measure: give at least one picture and one quality")
    if len(set(qualities)) != len(qualities):
        raise InvalidInputError("a quality is named twice: name each once")
    codec = make_codec()
    video = isinstance(sources[0], VideoSource)
    settings = _settings(codec, sources[0])
    versions = {**describe_versions(metrics), **getattr(codec, "versions", {})}
    # Source by source, so that each is read once and no more than one is held.
    tasks: list[Task] = [(source, quality) for source in sources for quality in qualities]
    left = {} if left_out is None else left_out
    where = jobs if scheduler is None else "cluster"
    here = jobs == 1 and scheduler is None
    each = threads or 1
    of_all = {"codec": codec.name, "settings": settings, "versions": versions, "jobs": where}
    if threads is not None:
        of_all["threads"] = threads
    keys: dict[Task, str] = {}
    if partial is not None:
        keys = _keys(tasks, left, {**of_all, "metrics": list(metrics)})
    done: dict[Task, ImageRow] = {
        task: partial.rows[key]
        for task, key in keys.items()
        if partial and key in partial.rows and set(needed) <= set(partial.rows[key].metrics)
    }
    waiting = [task for task in tasks if task not in done and task[0] not in left]
    if here:
        if threads is not None:
            use_threads(threads)
        measure = measure_here(Measurement(codec, metrics, needed))
    else:
        measure = measure_elsewhere(make_codec, metrics, needed, each)
    refused: set[Source] = set()
    pending, ahead, pixels = len(waiting), 0, 0
    if progress is not None:
        progress(len(tasks) - pending, len(tasks), _label(waiting[0]) if waiting else "done", 0)
    with (
        open_executor(jobs, scheduler, threads) as (executor, at_once),
        closing(rows_of(measure, waiting, executor, at_once)) as rows,
    ):
        for task, row in rows:
            source = task[0]
            if isinstance(row, ImageRow):
                done[task] = row
                pending -= source not in left
                pixels += row.width * row.height * row.frames
                if partial is not None:
                    partial.add(keys[task], row)
            elif source not in left:
                left[source] = str(row)
                pending -= sum((source, quality) not in done for quality in qualities)
                if not isinstance(row, SourceError):
                    refused.add(source)
                    if not done and len(refused) >= min(_TRIES, len(sources)):
                        raise row
            if progress is not None:
                while ahead < len(waiting):
                    if waiting[ahead] not in done and waiting[ahead][0] not in left:
                        break
                    ahead += 1
                label = _label(waiting[ahead]) if ahead < len(waiting) else "done"
                progress(len(tasks) - pending, len(tasks), label, pixels)
    measured = [source for source in sources if source not in left]
    if not measured:
        more = f" (and none of {len(sources) - 1} more)" if len(sources) > 1 else ""
        raise KodecError(f"nothing can be measured: {left[sources[0]]}{more}")
    points = [[done[source, quality] for source in measured] for quality in qualities]
    columns, notes = _means(points, metrics, "sequences" if video else "pictures")
    everything = [row for point in points for row in point]
    peaks = [row.peak_memory for row in everything if row.peak_memory is not None]
    machine = describe_machine()
    return Results(
        name=codec.name,
        description=description,
        results=columns,
        quality=list(qualities),
        per_image=everything,
        settings=settings,
        averaging=_AVERAGING_OF_SEQUENCES if video else _AVERAGING_OF_PICTURES,
        timing=_timing(codec, where, each),
        peak_memory=max(peaks, default=None),
        versions=versions,
        machine=machine if here else {**machine, "threads": each, "processes": where},
        notes=notes,
        left_out=[
            {"file": name_of(source), "reason": left[source]}
            for source in sources
            if source in left
        ],
    )


def _keys(
    tasks: Sequence[Task], left_out: dict[Source, str], of_all: dict[str, Any]
) -> dict[Task, str]:
    """Hashes of what each row depends on, `of_all` among it; a source that cannot be read is added
    to `left_out` instead."""
    of_source: dict[Source, dict[str, str]] = {}
    for source in dict.fromkeys(source for source, _ in tasks):
        if source not in left_out:
            try:
                of_source[source] = source.key
            except KodecError as error:
                left_out[source] = str(error)
    return {
        (source, quality): key_of({**of_all, "source": of_source[source], "quality": quality})
        for source, quality in tasks
        if source in of_source
    }


def _label(task: Task) -> str:
    source, quality = task
    return name_of(source) if quality is None else f"{name_of(source)}, quality {quality}"


def _settings(codec: Measurable, source: Source) -> dict[str, Any]:
    if not isinstance(source, VideoSource):
        return dict(getattr(codec, "settings", {}))
    settings = dict(codec.sequence_settings) if isinstance(codec, SequenceCodec) else {}
    limit = {} if source.limit is None else {"frames": f"the first {source.limit}"}
    return {**settings, **limit}


def _means(
    points: Sequence[Sequence[ImageRow]], metrics: Sequence[str], of: str
) -> tuple[dict[str, list[float]], list[str]]:
    """The columns of the results, and a note on each metric that not every row has."""
    columns = {"bpp": [_mean([row.bpp for row in point]) for point in points]}
    missing: dict[str, list[str]] = {}
    for name in metrics:
        without = {row.image for point in points for row in point if name not in row.metrics}
        if not without:
            columns[name] = [_mean([row.metrics[name] for row in point]) for point in points]
            continue
        reason = f"left out: {len(without)} of {len(points[0])} {of} are {why_without(name)}"
        missing.setdefault(reason, []).append(name)
    for name in ("ms-ssim-rgb", "ms-ssim-y"):
        if name in columns and max(columns[name]) < 1:
            decibels = name.replace("ssim-", "ssim-db-")
            columns[decibels] = [ms_ssim_db(value) for value in columns[name]]
    if of == "sequences":
        columns |= _frames_per_second(points)
    for key in ("encoding_time", "decoding_time", "macs_per_pixel"):
        found = [[getattr(row, key) for row in point] for point in points]
        if all(value is not None for point in found for value in point):
            columns[key] = [_mean(point) for point in found]
    return columns, [f"{', '.join(names)} {reason}" for reason, names in missing.items()]


def _frames_per_second(points: Sequence[Sequence[ImageRow]]) -> dict[str, list[float]]:
    """All frames of a point by all its seconds, each way that was measured."""
    found: dict[str, list[float]] = {}
    for verb in ("encoding", "decoding"):
        seconds = [[getattr(row, f"{verb}_time") for row in point] for point in points]
        if all(value is not None for point in seconds for value in point):
            found[f"{verb}_fps"] = [
                sum(row.frames for row in point) / max(sum(times), 1e-9)
                for point, times in zip(points, seconds, strict=True)
            ]
    return found


def _timing(codec: Measurable, where: int | str, threads: int) -> str:
    if isinstance(codec, SelfTimed):
        return codec.timing
    each = "one thread each" if threads == 1 else f"{threads} threads each"
    beside = "" if where == 1 else f", with {where} processes at work, {each}"
    if where == "cluster":
        beside = f", on a cluster's workers, which may be different machines, {each}"
    return "wall-clock seconds from and to memory, after one untimed run in each process" + beside


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers))


_AVERAGING_OF_PICTURES = (
    "each number is the mean over the pictures of the picture's own value, bpp of its whole file "
    "(8 * bytes / pixels); ms-ssim-db-* is -10 log10(1 - x) of that mean"
)
_AVERAGING_OF_SEQUENCES = (
    "each metric is the mean over a sequence's frames of the frame's value, then the mean over the "
    "sequences, each counting once; bpp is 8 * bytes / (pixels * frames) of a sequence, then the "
    "mean; ms-ssim-db-* is -10 log10(1 - x) of the mean; frames a second are all frames by all "
    "seconds"
)
