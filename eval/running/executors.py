"""Where the work of many files runs: in this process, in several, or on a Dask cluster.

Each is a `concurrent.futures.Executor`, so that who has another one can use that.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from kodec.native import InvalidInputError, UnsupportedError

P = ParamSpec("P")
T = TypeVar("T")

# What numerical libraries read when they are loaded: OpenMP's (torch, the layers of kodec's core),
# MKL's, OpenBLAS's (numpy), Accelerate's.
_THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)

_leaving = False


class InThisProcess(Executor):
    """Runs a task at once, when it is submitted; interrupts come through."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """A future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(Executor):
    """Spawned processes of so many threads each (torch's, OpenMP's and the entropy coder's).

    Where one of them is killed, all that were at work are begun anew with the next task; the
    futures of the tasks that were under way have `BrokenProcessPool`. As a context that an error
    or an interrupt leaves, it ends the processes, and programs that they run.
    """

    def __init__(self, count: int, threads: int = 1) -> None:
        self._count, self._each = count, threads
        self._before = set(multiprocessing.active_children())
        self._environment = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
        self._pool = self._begin()

    def _begin(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, begin_process, (self._each,))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """As every executor; it may begin a process."""
        with _interrupts_held():
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenProcessPool:
                self._pool.shutdown()
                self._pool = self._begin()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As every executor."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for process in set(multiprocessing.active_children()) - self._before:
                process.terminate()
        self.shutdown(cancel_futures=True)


@contextmanager
def dask_cluster(address: str) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """An executor of the Dask cluster whose scheduler is at `address`, and how many tasks its
    workers can run at once just now.

    What a killed worker had is done by another; a task that has killed several is given up.
    Raises UnsupportedError where Dask is not installed, InvalidInputError where nothing answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UnsupportedError(
            "--scheduler needs Dask's distributed: pip install 'kodec[cluster]'"
        ) from None
    try:
        client = Client(address, timeout="15s", set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInputError(f"no Dask scheduler answers at {address}: {reason}") from error
    executor = client.get_executor(pure=False)
    try:
        yield executor, lambda: sum(client.nthreads().values())
        executor.shutdown()
    except BaseException:
        executor.shutdown(wait=False)
        raise
    finally:
        client.close()


@contextmanager
def open_executor(
    jobs: int, scheduler: str | None = None, threads: int | None = None
) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Where tasks run, and how many at once: on the cluster of a scheduler, in `jobs` processes, or
    with one job in this one.

    threads: of each of the processes, one unless it is given; a cluster's are its workers' own.
    """
    if scheduler is not None:
        with dask_cluster(scheduler) as found:
            yield found
    elif jobs > 1:
        with Processes(jobs, threads or 1) as processes:
            yield processes, lambda: jobs
    else:
        yield InThisProcess(), lambda: 1


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


def begin_process(threads: int) -> None:
    """In a new process: its threads, and an end when the parent's has come."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_threads(threads)


def use_threads(threads: int) -> None:
    """Let torch and the entropy coder have so many."""
    import torch

    from kodec.native import set_threads

    torch.set_num_threads(threads)
    set_threads(threads)


def refuse_when_leaving() -> None:
    """Raise `SystemExit` in a task that was on its way when the parent gave up."""
    if _leaving:
        raise SystemExit(1)


def _leave(number: int, frame: Any) -> NoReturn:
    # As an exception, so that a program that is running is ended and temporary files removed.
    global _leaving
    _leaving = True
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
