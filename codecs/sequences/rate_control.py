"""Bits to a rate: which quality each step is coded at, from what steps before it took."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kodec.codecs.container import Step

from .stepping import HIGHEST_QUALITY

_SLOPE = 0.065
"""Of the natural log of bits over quality: that of the embedded model, near enough for others, as
every step corrects it."""
_WINDOW = 0.75
"""Seconds over which bits that were spent too many or too few are made good, of endless input."""
_LARGEST_CHANGE = 6.0
"""Of the base quality from step to step: frames that flicker are worse than a rate met late."""


@dataclass(frozen=True)
class Spent:
    """What one step took, at which quality."""

    step: Step
    quality: int
    bits: int

    @property
    def complexity(self) -> float:
        """Natural log of the bits that it would take at quality 0."""
        return math.log(max(self.bits, 1)) - _SLOPE * self.quality


class RateControl:
    """Chooses qualities step by step so that the mean rate is met.

    bits_per_frame: the rate to meet. frames_per_second: of the sequence. frames: how many there
    are, where that is known. first_pass: what each step took before, for a second pass.

    All steps are coded at one base quality plus their own offsets, which follows what is left:
    bits are taken for exp(complexity + slope x quality), with the complexity of each step of the
    first pass, or of the last step of its kind.
    """

    def __init__(
        self,
        bits_per_frame: float,
        frames_per_second: float,
        frames: int | None = None,
        first_pass: Sequence[Spent] = (),
        start: int = 24,
    ) -> None:
        self._rate = bits_per_frame
        self._window = max(_WINDOW * frames_per_second, 2.0)
        self._left = frames
        self._first_pass = list(first_pass)
        self._last: dict[tuple[int, int], Spent] = {}
        self._counts: Counter[tuple[int, int]] = Counter()
        self._saved = 0.0
        self._base = float(start)
        self.steps: list[Spent] = []
        """What each took, in coding order."""

    def quality(self, step: Step) -> int:
        """What the next step in coding order is coded at, 0 to 63."""
        ahead = self._ahead()
        if ahead:
            frames = sum(frames for _, frames, _ in ahead)
            expected = sum(math.exp(complexity) for complexity, _, _ in ahead)
            budget = max(self._rate * frames + self._saved, 0.05 * self._rate * frames)
            change = math.log(budget / expected) / _SLOPE - self._base
            limit = HIGHEST_QUALITY if self._first_pass else _LARGEST_CHANGE
            self._base += min(max(change, -limit), limit)
            # Beyond the ends nothing is to be had: no debt of qualities is run up there.
            self._base = min(max(self._base, 0.0), float(HIGHEST_QUALITY))
        return min(max(round(self._base) + step.quality, 0), HIGHEST_QUALITY)

    def _ahead(self) -> list[tuple[float, float, Step]]:
        """Of steps to come: log of bits at base quality 0, frames, the step or one of its kind."""
        if self._first_pass:
            rest = self._first_pass[len(self.steps) :]
            return [(s.complexity + _SLOPE * s.step.quality, s.step.frames, s.step) for s in rest]
        if not self._last:
            return []
        # A refresh that came once, at the beginning, is not taken to come again.
        kinds = [k for k in self._last if k[0] or self._counts[k] > 1 or len(self._last) == 1]
        if not kinds:
            return []
        horizon = self._window if self._left is None else min(self._window, max(self._left, 1))
        seen = sum(self._counts[kind] * self._last[kind].step.frames for kind in kinds)
        ahead = []
        for kind in kinds:
            spent = self._last[kind]
            times = horizon * self._counts[kind] / seen
            complexity = spent.complexity + _SLOPE * spent.step.quality + math.log(times)
            ahead.append((complexity, times * spent.step.frames, spent.step))
        return ahead

    def charge(self, bits: int) -> None:
        """What the file takes beside its steps."""
        self._saved -= bits

    def spent(self, step: Step, quality: int, bits: int) -> None:
        """Learn what a step took."""
        spent = Spent(step, quality, bits)
        kind = len(step.references), step.quality
        self.steps.append(spent)
        self._last[kind] = spent
        self._counts[kind] += 1
        self._saved += self._rate * step.frames - bits
        if self._left is not None:
            self._left -= step.frames
