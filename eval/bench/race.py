"""Contestants timed in turn, so that a busy machine slows them alike, and compared in pairs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.eval.running.run import Progress
from kodec.native import InvalidInputError, KodecError, set_threads

from .instruction_sets import using_simd

LEAST_SECONDS = 0.02
"""Shorter work is repeated until it has taken this long."""

Pixels = NDArray[np.uint8]

Timer = Callable[[Callable[[], Any]], tuple[float, Any]]
"""Does some work: the seconds that it took, and what it gave."""


@dataclass(frozen=True)
class Spread:
    """Of what was measured in each round: the median, the least and the most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' own ratios, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass
class Contestant:
    """What takes part in a race.

    steps: by name, in order; each takes what the one before gave, the first one None. right:
    whether what the last one gave is as it should be. simd: the coder's instruction set, None: as
    it is. After a race `seconds` has each step's, one a round, and `results` what it gave last.
    """

    name: str
    steps: Mapping[str, Callable[[Any], Any]]
    right: Callable[[Any], bool] = lambda _: True
    simd: str | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def spread(self, step: str) -> Spread:
        """Seconds of one step."""
        return spread_of(self.seconds[step])

    def times_as_fast(self, step: str, other: "Contestant | None") -> Ratio | None:
        """As another in the same rounds; None where there is no other."""
        if other is None:
            return None
        return ratio_of(np.array(other.seconds[step]), np.array(self.seconds[step]))


def spread_of(values: Sequence[float]) -> Spread:
    """Median, least and most."""
    return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def ratio_of(above: Any, below: Any) -> Ratio:
    """Of two arrays (rounds,), which belong together pair by pair."""
    low, middle, high = np.percentile(above / below, [25, 50, 75])
    return Ratio(float(middle), float(low), float(high))


class Race:
    """Runs contestants in turn, in an order that turns round.

    repeats: timed rounds, after one that is not. threads: with 1 the thread's CPU time is measured,
    which leaves out what other processes take but also misses other threads; else wall-clock time.
    races: how many there will be, for the progress. timer: in place of these clocks.
    """

    def __init__(
        self,
        repeats: int,
        threads: int = 1,
        races: int = 1,
        progress: Progress | None = None,
        timer: Timer | None = None,
    ) -> None:
        if repeats < 1 or threads < 1:
            raise InvalidInputError("the benchmark needs at least one repeat and one thread")
        self.repeats = repeats
        self.clock = time.thread_time if threads == 1 else time.perf_counter
        self.clock_name = "CPU time of the thread" if threads == 1 else "wall-clock time"
        self._timer = timer or self._seconds
        self._progress = progress
        self._steps, self._step = races * (repeats + 1), 0

    def run(self, title: str, contestants: Sequence[Contestant]) -> None:
        """Every contestant in every round; KodecError where one gives what is not right."""
        for number in range(self.repeats + 1):
            if self._progress is not None:
                self._progress(self._step, self._steps, title)
            self._step += 1
            for one in contestants if number % 2 else reversed(contestants):
                with using_simd(one.simd):
                    self._once(title, one, timed=number > 0)

    def _once(self, title: str, one: Contestant, timed: bool) -> None:
        result = None
        for name, step in one.steps.items():
            given = result
            taken, result = self._timer(lambda step=step, given=given: step(given))  # type: ignore[misc]
            one.results[name] = result
            if timed:
                one.seconds.setdefault(name, []).append(taken)
        if not one.right(result):
            raise KodecError(f"{one.name} did not give back what was coded of {title}")

    def _seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """How long `work` takes, and what it returns.

        Short work is done over and over, the median counts, and the first time doesn't: caches are
        then as they are in the course of a long one.
        """
        seconds: list[float] = []
        while sum(seconds) < LEAST_SECONDS:
            start = self.clock()
            result = work()
            seconds.append(max(self.clock() - start, 1e-9))
        return float(np.median(seconds[1:] or seconds)), result

    def done(self) -> None:
        """Report the last step."""
        if self._progress is not None:
            self._progress(self._steps, self._steps, "done")


@contextmanager
def threads_of(torchs: int, coders: int) -> Iterator[None]:
    """So many threads for torch (and the core's layers), and for the coder."""
    before = torch.get_num_threads()
    torch.set_num_threads(torchs)
    set_threads(coders)
    try:
        yield
    finally:
        set_threads(0)  # All, as it is when the process starts.
        torch.set_num_threads(before)
