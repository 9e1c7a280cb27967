"""Progress of long work, on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and what comes next."""


def speed(files: int, pixels: int, seconds: float) -> str:
    """Files and megapixels a second."""
    seconds = max(seconds, 1e-9)
    return f"{files / seconds:.1f} files/s, {pixels / seconds / 1e6:.2f} MP/s"


@contextmanager
def progress(quiet: bool) -> Iterator[Show]:
    """A bar on stderr that goes away at the end; nothing if `quiet` or not at a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total, label: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    label_column = TextColumn("{task.description}", markup=False)
    columns = (label_column, BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(done: int, total: int, label: str) -> None:
            bar.update(task, completed=done, total=total, description=label)

        yield show
