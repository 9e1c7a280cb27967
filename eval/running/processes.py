"""Rows measured in several processes at once."""

import atexit
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import NoReturn

from kodec.eval.sources.source import Source
from kodec.native import KodecError

from .measurement import Measurable, Measurement
from .results import ImageRow

Task = tuple[Source, int | None]

# What numerical libraries read when they are loaded: OpenMP's (torch, the layers of kodec's core),
# MKL's, OpenBLAS's (numpy), Accelerate's.
_THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)

_measurement: Measurement | None = None
_leaving = False


def rows_of(
    make_codec: Callable[[], Measurable],
    metrics: Sequence[str],
    tasks: Sequence[Task],
    jobs: int,
    needed: Sequence[str] = (),
) -> Generator[tuple[Task, ImageRow | KodecError]]:
    """The rows of `tasks`, as they are finished, from `jobs` spawned processes of one thread each;
    or why there is none, whereupon other tasks of the same source are not begun.

    On any other error, and when the iterator is closed, the processes are ended, and programs they
    run. Raises KodecError when a process is killed.
    """
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    threads = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(threads, "1"))
    pool = ProcessPoolExecutor(
        min(jobs, max(1, len(tasks))),
        context,
        _begin,
        (make_codec, list(metrics), list(needed)),
    )
    try:
        with _interrupts_held():
            waiting = {pool.submit(_measure, task): task for task in tasks}
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                task = waiting.pop(future, None)
                if task is None:  # cancelled
                    continue
                row = _result(future)
                if isinstance(row, KodecError):
                    for other, (source, _) in list(waiting.items()):
                        if source == task[0] and other.cancel():
                            del waiting[other]
                yield task, row
    except BrokenProcessPool as error:
        raise KodecError(
            "a measuring process was killed, perhaps for lack of memory: use fewer --jobs"
        ) from error
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in threads.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl+C wait meanwhile; processes begun in here never get it, as the parent decides.

    They inherit that it is blocked. For this process that is not enough: the signal may reach a
    thread of a numerical library instead, and Python then interrupts the main thread.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handled = threading.current_thread() is threading.main_thread()
    if handled:
        handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if handled:
            signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
    if came:
        signal.raise_signal(signal.SIGINT)


def _result(future: "Future[ImageRow]") -> ImageRow | KodecError:
    try:
        return future.result()
    except KodecError as error:
        return error


def _begin(make_codec: Callable[[], Measurable], metrics: list[str], needed: list[str]) -> None:
    """In a new process: one thread, the codec, and an end when the parent's has come."""
    import torch

    from kodec.native import set_threads

    global _measurement
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    set_threads(1)
    _measurement = Measurement(make_codec(), metrics, needed)
    atexit.register(_forget)


def _forget() -> None:
    """Before the interpreter ends: what is there then, the core takes for leaked, and says so."""
    global _measurement
    _measurement = None
    gc.collect()


def _measure(task: Task) -> ImageRow:
    assert _measurement is not None
    if _leaving:
        raise SystemExit(1)  # a task that was on its way when the parent gave up
    return _measurement.row(*task)


def _leave(number: int, frame: object) -> NoReturn:
    # As an exception, so that a program that is running is ended and temporary files removed.
    global _leaving
    _leaving = True
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
