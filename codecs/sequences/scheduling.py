"""From frames as they come to steps in coding order: refreshes, rounds, what is left at the end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from kodec.codecs.container import Step

from .structures import Structure

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Scheduled(Generic[Frame]):
    """One step, and its frames."""

    step: Step
    frames: list[Frame]


class Schedule(Generic[Frame]):
    """Puts frames into steps; it holds back at most one round of the structure.

    group: most frames in a step. intra_period: frames from one refresh to the next, 0 for the first
    alone.
    """

    def __init__(self, structure: Structure, group: int = 1, intra_period: int = 0) -> None:
        self._structure = structure
        self._group = group
        self._period = intra_period
        self._waiting: list[Frame] = []
        self._first = 0
        """Number of the first frame that waits."""
        self._refreshed: int | None = None
        """Number of the last refresh's first frame, once it is among the steps or waits."""
        self._round = -1
        """Number of the next round since the refresh; -1 for the refresh itself."""

    def push(self, frame: Frame, refresh: bool = False) -> Iterator[Scheduled[Frame]]:
        """The next frame in display order; gives the steps that are complete with it.

        refresh: whether decoding is to begin anew with it, at a scene cut for instance.
        """
        number = self._first + len(self._waiting)
        since = None if self._refreshed is None else number - self._refreshed
        if refresh or since is None or since == self._period:
            yield from self.flush()
            self._refreshed, self._round = number, -1
        self._waiting.append(frame)
        if len(self._waiting) == self._group * (1 if self._round < 0 else self._structure.span):
            yield from self.flush()

    def flush(self) -> Iterator[Scheduled[Frame]]:
        """The steps of all frames that wait."""
        if not self._waiting:
            return
        frames, first = self._waiting, self._first
        self._waiting, self._first = [], first + len(frames)
        self._round += 1
        if self._round == 0:
            yield Scheduled(Step(first, len(frames), refresh=True), frames)
            return
        groups = [frames[at : at + self._group] for at in range(0, len(frames), self._group)]
        for planned in self._structure.round(self._round - 1, len(groups)):
            chosen = groups[planned.place]
            begin = first + planned.place * self._group
            step = Step(begin, len(chosen), planned.references, planned.keep, planned.quality)
            yield Scheduled(step, chosen)


def schedule(
    frames: Iterable[tuple[Frame, bool]], plan: Schedule[Frame]
) -> Iterator[Scheduled[Frame]]:
    """All steps of frames that come with whether each is to be a refresh."""
    for frame, refresh in frames:
        yield from plan.push(frame, refresh)
    yield from plan.flush()
