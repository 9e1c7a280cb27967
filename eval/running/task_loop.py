"""The one loop over many tasks, on whatever executor."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from typing import TypeVar

from kodec.native import KodecError

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 2
"""Tasks that wait for each that runs, so that no worker has to."""


class KilledError(KodecError):
    """The process that a task ran in was killed."""


def outcomes(
    executor: Executor,
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    at_once: Callable[[], int],
) -> Generator[tuple[Task, Result | Exception]]:
    """What `function` returned or raised for each task, as they end.

    Tasks are taken as they can be begun: they may be more than memory holds. at_once: how many the
    executor can run just now. Where a process is killed, the tasks that it may have had are done
    again, one at a time; one that kills a process while it is alone has `KilledError`. What an
    executor loses, such as its cluster, raises `KodecError`.
    """
    todo = iter(tasks)
    suspects: deque[Task] = deque()
    waiting: dict[Future[Result], Task] = {}
    more = True
    while True:
        alone = bool(suspects) and not waiting
        if alone:
            task = suspects.popleft()
            waiting[executor.submit(function, task)] = task
        while more and not alone and not suspects and len(waiting) < _AHEAD * max(at_once(), 1):
            try:
                task = next(todo)
            except StopIteration:
                more = False
                break
            future = executor.submit(function, task)
            waiting[future] = task
            if future.done():
                # What runs in this process has ended before another begins.
                break
        if not waiting:
            return
        for future in wait_for(waiting, return_when=FIRST_COMPLETED).done:
            task = waiting.pop(future)
            try:
                outcome: Result | Exception = future.result()
            except BrokenExecutor as error:
                if not alone:
                    suspects.append(task)
                    continue
                outcome = _killed(error)
            except CancelledError as error:
                raise KodecError(
                    "the cluster gave its tasks up: its scheduler has ended or was restarted; "
                    "start again, what is done is kept"
                ) from error
            except Exception as error:
                # Dask's, after a task has been on several workers that were killed.
                outcome = _killed(error) if type(error).__name__ == "KilledWorker" else error
            yield task, outcome


def _killed(error: Exception) -> KilledError:
    killed = KilledError("its process was killed, perhaps for lack of memory")
    killed.__cause__ = error
    return killed
