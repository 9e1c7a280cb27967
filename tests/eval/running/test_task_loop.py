"""The loop over tasks: on any executor, whatever happens to its processes."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deadly_tasks import ALWAYS, die_of
from kodec.eval.running.executors import InThisProcess, Processes
from kodec.eval.running.task_loop import KilledError, outcomes


def _halve(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


@pytest.mark.parametrize("executor", [InThisProcess(), ThreadPoolExecutor(3)])
def test_any_executor(executor: InThisProcess | ThreadPoolExecutor) -> None:
    taken = []

    def tasks(count: int) -> Iterator[int]:
        for number in range(count):
            taken.append(number)
            yield number

    with executor:
        found = outcomes(executor, _halve, tasks(50), lambda: 3)
        first = next(found)
        # Tasks are taken as they can be begun.
        assert len(taken) <= 6
        rest = dict([first, *found])
    assert sorted(rest) == list(range(50))
    assert all(rest[number] == number // 2 for number in range(0, 50, 2))
    assert all(str(rest[number]) == f"{number} is odd" for number in range(1, 50, 2))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """One that is killed by chance, and a task that kills whichever it comes to."""
    markers = {2: str(tmp_path / "once"), 4: ALWAYS}
    tasks = [(number, markers.get(number, "")) for number in range(7)]
    with Processes(2) as executor:
        found = dict(outcomes(executor, die_of, tasks, lambda: 2))
    assert isinstance(found.pop(tasks[4]), KilledError)
    assert found == {task: task[0] for task in tasks if task[0] != 4}
