"""Rows measured wherever tasks run."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from functools import partial

from kodec.eval.sources.source import Source, where_of
from kodec.native import KodecError

from .executors import refuse_when_leaving, use_threads
from .kept_values import Kept
from .measurement import Measurable, Measurement, SourceError
from .results import ImageRow
from .task_loop import KilledError, outcomes

Task = tuple[Source, int | None]


def rows_of(
    measure: Callable[[Task], ImageRow],
    tasks: Sequence[Task],
    executor: Executor,
    at_once: Callable[[], int],
) -> Generator[tuple[Task, ImageRow | KodecError]]:
    """The rows of `tasks`, as they are finished; or why there is none, whereupon other tasks of the
    same source are not begun.

    Raises what is no KodecError as it is.
    """
    failed: set[Source] = set()
    waiting = (task for task in tasks if task[0] not in failed)
    for task, row in outcomes(executor, measure, waiting, at_once):
        if isinstance(row, KilledError):
            row = SourceError(f"{where_of(task[0])}: {row}")
        if isinstance(row, KodecError):
            failed.add(task[0])
        elif isinstance(row, Exception):
            raise row
        yield task, row


def measure_here(measurement: Measurement) -> Callable[[Task], ImageRow]:
    """Measures a task in this process."""
    return lambda task: measurement.row(*task)


def measure_elsewhere(
    make_codec: Callable[[], Measurable],
    metrics: Sequence[str],
    needed: Sequence[str],
    threads: int,
) -> Callable[[Task], ImageRow]:
    """Measures a task in whatever process it is called; each makes the codec once."""
    kept = Kept(partial(_measurement, make_codec, list(metrics), list(needed), threads))
    return partial(_measure, kept)


def _measurement(
    make_codec: Callable[[], Measurable], metrics: list[str], needed: list[str], threads: int
) -> Measurement:
    # As timings are to be compared, on a cluster too.
    use_threads(threads)
    return Measurement(make_codec(), metrics, needed)


def _measure(kept: Kept[Measurement], task: Task) -> ImageRow:
    refuse_when_leaving()
    return kept.value().row(*task)
