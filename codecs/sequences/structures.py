"""Coding structures: in which order the frames after a refresh are coded, and from which."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from kodec.codecs.container import Plan, PlannedStep
from kodec.native import InvalidInputError

_HIERARCHY = 8
"""Groups of frames from one anchor of the hierarchy to the next."""


@dataclass(frozen=True)
class Structure:
    """How a sequence is coded between refreshes: round by round, `span` groups of frames each.

    name: one of `STRUCTURES`. references: how many states a step reads at most. offsets: added to
    the sequence's quality, by level: of the hierarchy, from its anchors down; in low delay, of the
    frames of a round in turn. Raises `InvalidInputError` for another name or offsets out of range.
    """

    name: str = "low-delay"
    offsets: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if self.name not in STRUCTURES:
            raise InvalidInputError(
                f"a structure is one of {', '.join(STRUCTURES)}, not {self.name!r}"
            )
        if not 1 <= len(self.offsets) <= _HIERARCHY or any(abs(o) > 63 for o in self.offsets):
            raise InvalidInputError(
                f"offsets of qualities are 1 to {_HIERARCHY} of -63 to 63, not {self.offsets}"
            )

    @property
    def references(self) -> int:
        """How many states a step reads at most."""
        return {"intra": 0, "low-delay": 1}.get(self.name, 2)

    @property
    def span(self) -> int:
        """How many groups of frames a round takes: so many are held before any is coded."""
        return _HIERARCHY if self.name == "hierarchical" else 1

    def round(self, number: int, groups: int) -> list[PlannedStep]:
        """The steps of one round, in coding order; places count from the round's first group.

        number: of the round since the refresh, from 0. groups: at most `span`; fewer at the end.
        """
        if self.name == "hierarchical":
            return list(self._hierarchy(number, groups))
        offset = self.offsets[number % len(self.offsets)]
        if self.name == "intra":
            return [PlannedStep(0, (), None, offset)]
        if self.name == "low-delay-2":
            here = (number + 1) % 2
            # The refresh alone is there before the first one.
            references = (1 - here, here) if number else (0,)
            return [PlannedStep(0, references, here, offset)]
        return [PlannedStep(0, (0,), 0, offset)]

    def _hierarchy(self, number: int, groups: int) -> Iterator[PlannedStep]:
        """The round's last group from the last round's, then what lies between, in halves."""
        last = number % 2
        yield PlannedStep(groups - 1, (last,), 1 - last, self._offset(0))
        yield from self._between(-1, groups - 1, last, 1 - last, level=1)

    def _between(
        self, before: int, after: int, slot_before: int, slot_after: int, level: int
    ) -> Iterator[PlannedStep]:
        middle = (before + after + 1) // 2
        if middle in (before, after):
            return
        is_read = middle - before > 1 or after - middle > 1
        slot = level + 1
        yield PlannedStep(
            middle, (slot_before, slot_after), slot if is_read else None, self._offset(level)
        )
        yield from self._between(before, middle, slot_before, slot, level + 1)
        yield from self._between(middle, after, slot, slot_after, level + 1)

    def _offset(self, level: int) -> int:
        return self.offsets[min(level, len(self.offsets) - 1)]

    @cached_property
    def _cycle(self) -> tuple[PlannedStep, ...]:
        """Rounds until slots and offsets come again. The first round of two references departs."""
        rounds = len(self.offsets)
        if self.name == "low-delay-2":
            rounds *= 1 + rounds % 2
        elif self.name == "hierarchical":
            rounds = 2
        return tuple(
            replace(step, place=number * self.span + step.place)
            for number in range(rounds)
            for step in self.round(number + 2 * rounds, self.span)
        )

    def plan(self, group: int = 1, share: int = 1) -> Plan:
        """What a file's head says, for steps of `group` frames, `share` of them in a packet."""
        return Plan(self._cycle, group, share)


STRUCTURES = ("intra", "low-delay", "low-delay-2", "hierarchical")
"""intra: every frame by itself. low-delay: each from the one before. low-delay-2: each from the two
before. hierarchical: every eighth from the eighth before, those between from both sides."""
