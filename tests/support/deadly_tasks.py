"""Tasks for processes that are killed."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from kodec.eval.running.executors import InThisProcess

ALWAYS = "always"


def die_of(task: tuple[int, str]) -> int:
    """Its number; but a task with a marker kills its process, if it is `ALWAYS` or until the file
    that it names is there."""
    number, marker = task
    if marker == ALWAYS or (marker and not Path(marker).exists()):
        if marker != ALWAYS:
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def deadly_executor(
    kills: Callable[[Any], bool],
) -> Callable[..., AbstractContextManager[tuple[Executor, Callable[[], int]]]]:
    """In place of `open_executor`: this process, in which tasks that `kills` tells of end as if
    their process, and with it whichever was at work beside, had been killed."""

    @contextmanager
    def opened(*_: object) -> Iterator[tuple[Executor, Callable[[], int]]]:
        yield _Deadly(kills), lambda: 2

    return opened


class _Deadly(InThisProcess):
    def __init__(self, kills: Callable[[Any], bool]) -> None:
        self._kills = kills

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        if not self._kills(args[0]):
            return super().submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("a process in the pool was terminated abruptly"))
        return future
