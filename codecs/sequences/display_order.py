"""From steps as they are decoded to frames as they are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from kodec.codecs.container import Plan, Step
from kodec.native import BitstreamError

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class Shown(Generic[Picture]):
    """A frame in display order.

    time: in ticks, or None where frames are evenly spaced. lost: whether it stands in for one that
    could not be decoded.
    """

    number: int
    picture: Picture
    time: int | None = None
    lost: bool = False


class DisplayOrder(Generic[Picture]):
    """Holds frames back until those before them are there: at most one cycle of the plan.

    begin: number of the first frame that comes. stand_in: whether frames that are missing are shown
    as a repetition of their neighbour, as many as lost packets may have held; else they raise
    BitstreamError.
    """

    def __init__(self, plan: Plan, begin: int = 0, stand_in: bool = False) -> None:
        self._plan = plan
        self._most = len(plan.cycle) * plan.group
        self._missing = 0
        self._next = begin
        self._stand_in = stand_in
        self._waiting: dict[int, tuple[Picture, int | None]] = {}
        self._last: Picture | None = None

    def take(self, step: Step, pictures: list[Picture]) -> Iterator[Shown[Picture]]:
        """The frames of a decoded step; gives what can be shown now.

        Raises BitstreamError where a frame comes twice, or more are out of order than the plan has.
        """
        if step.refresh:
            # No later step has an earlier frame.
            yield from self._up_to(step.first)
        times = step.times or (None,) * step.frames
        for number, (picture, time) in enumerate(zip(pictures, times, strict=True), step.first):
            if number in self._waiting or (number < self._next and not self._stand_in):
                raise BitstreamError(f"frame {number} is in the file twice: a damaged file")
            if number >= self._next:
                self._waiting[number] = picture, time
        while self._next in self._waiting:
            yield self._show(*self._waiting.pop(self._next))
        if len(self._waiting) > self._most:
            if not self._stand_in:
                raise BitstreamError(
                    f"frame {self._next} does not come where the file's plan has it: a damaged file"
                )
            yield from self._up_to(min(self._waiting) + 1)

    def lose(self, packets: int) -> None:
        """So many packets were lost, whose frames may be stood in for."""
        self._missing += packets * self._plan.share * self._plan.group

    def finish(self) -> Iterator[Shown[Picture]]:
        """What still waits at the end of the file."""
        if self._waiting:
            yield from self._up_to(max(self._waiting) + 1)

    def _show(self, picture: Picture, time: int | None) -> Shown[Picture]:
        self._last = picture
        self._next += 1
        return Shown(self._next - 1, picture, time)

    def _up_to(self, end: int) -> Iterator[Shown[Picture]]:
        """Everything before frame `end`, what is missing repeated."""
        while self._next < end:
            if self._next in self._waiting:
                yield self._show(*self._waiting.pop(self._next))
                continue
            if not self._stand_in:
                raise BitstreamError(f"frame {self._next} is missing: a damaged file")
            following = min(self._waiting, default=end)
            if self._last is None or not self._missing:
                # Nothing to stand in with, or for: a number that a damaged step made up.
                self._next = min(following, end)
                continue
            self._missing -= 1
            self._next += 1
            yield Shown(self._next - 1, self._last, lost=True)
