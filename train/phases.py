"""Phases of training on clips: how many frames, and what passes from one to the next, by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kodec.native import InvalidInputError

Detach = Literal["none", "intra", "every"]


@dataclass(frozen=True)
class Phase:
    """A part of a run.

    steps: how many; the last phase lasts until the run ends. frames: in a clip. detach: past which
    states no gradient goes back: "none", "intra" (those that a refresh leaves), "every".
    checkpointing: compute the activations of each step of a clip anew on the way back, which takes
    the memory of one step instead of all. learning_rate: a factor on the run's.
    """

    steps: int
    frames: int
    detach: Detach = "none"
    checkpointing: bool = False
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        if min(self.steps, self.frames) < 1:
            raise InvalidInputError("model.phases: steps and frames are 1 or more")
        if self.detach not in get_args(Detach):
            raise InvalidInputError(
                f"model.phases: detach is {', '.join(get_args(Detach))}, not {self.detach!r}"
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise InvalidInputError("model.phases: learning_rate is a factor of 0 or more")


class Phases:
    """Phases in turn; raises `InvalidInputError` where there is none."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        if not phases:
            raise InvalidInputError("model.phases names no phase: give at least one")
        self._phases = list(phases)

    @property
    def most_frames(self) -> int:
        """In a clip of any phase."""
        return max(phase.frames for phase in self._phases)

    def at(self, step: int) -> Phase:
        """The phase of a step, from 0."""
        end = 0
        for phase in self._phases:
            end += phase.steps
            if step < end:
                return phase
        return self._phases[-1]
