"""Bits to a rate: which quality each step is coded at, from what steps before it took."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kodec.codecs.container import Step

from .stepping import HIGHEST_QUALITY

_SLOPE = 0.065
"""Of the natural log of bits over quality: that of the embedded model, near enough for others, as
every step corrects it."""
_CATCHING_UP = 0.1
"""What a change of quality adds to that slope once, in the first frame that follows others of
another quality: a better frame has to code what they lack too, a worse one copies them."""
_TRUST = 100.0
"""In that slope beside what two passes show of it, in squares of qualities that they differ by."""
_MEMORY = 0.8
"""How much a step counts less than the next, where what steps take is held against a first pass."""
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
    def base(self) -> int:
        """Its quality without its own offset."""
        return self.quality - self.step.quality

    @property
    def bits_at_base_0(self) -> float:
        """That it would take were its own offset all of its quality."""
        return max(self.bits, 1) * math.exp(-_SLOPE * self.base)


class RateControl:
    """Chooses qualities step by step so that the mean rate is met.

    bits_per_frame: the rate to meet. frames_per_second: of the sequence. frames: how many there
    are, where that is known. first_pass: what each step took before, for a second pass. remember:
    whether `steps` has what each took, for such a pass: memory grows with their number.

    All steps are coded at one base quality plus their own offsets, which follows what is left:
    bits are taken to grow by exp(slope x quality) from those of each step of the first pass, by as
    much as they proved more or less of late, or from those of the last step of its kind.
    """

    def __init__(
        self,
        bits_per_frame: float,
        frames_per_second: float,
        frames: int | None = None,
        first_pass: Sequence[Spent] = (),
        start: int = 24,
        remember: bool = True,
    ) -> None:
        self._rate = bits_per_frame
        self._window = max(_WINDOW * frames_per_second, 2.0)
        self._left = frames
        self._first = list(first_pass)
        self._slope, self._shown = _SLOPE, _TRUST
        self._forecast = (
            np.array([[s.step.frames, max(s.bits, 1), s.base] for s in first_pass], np.float64)
            if first_pass
            else None
        )
        self._remember = remember
        self._done = 0
        self._last: dict[tuple[int, int], Spent] = {}
        self._counts: Counter[tuple[int, int]] = Counter()
        self._saved = 0.0
        self._base = float(start)
        self._told, self._took = 0.0, 0.0
        """Bits that the first pass foretold of the steps so far, and what they took; recent ones
        count most."""
        self.steps: list[Spent] = []
        """What each took, in coding order, where it is remembered."""

    def quality(self, step: Step) -> int:
        """What the next step in coding order is coded at, 0 to 63."""
        frames, expected = self._ahead()
        if frames:
            budget = max(self._rate * frames + self._saved, 0.05 * self._rate * frames)
            slope = self._slope + (_CATCHING_UP / frames if step.references else 0.0)
            change = math.log(budget / (expected * math.exp(self._slope * self._base))) / slope
            limit = HIGHEST_QUALITY if self._first else _LARGEST_CHANGE
            self._base += min(max(change, -limit), limit)
            # Beyond the ends nothing is to be had: no debt of qualities is run up there.
            self._base = min(max(self._base, 0.0), float(HIGHEST_QUALITY))
        return min(max(round(self._base) + step.quality, 0), HIGHEST_QUALITY)

    def _ahead(self) -> tuple[float, float]:
        """Frames of the steps to come and their bits at base quality 0; 0 if nothing is known."""
        if self._forecast is not None:
            frames, bits, bases = self._forecast[min(self._done, len(self._forecast) - 1) :].T
            ahead = float((bits * np.exp(-self._slope * bases)).sum())
            return float(frames.sum()), ahead * self._drift()
        if not self._last:
            return 0.0, 0.0
        # A refresh that came once, at the beginning, is not taken to come again.
        kinds = [k for k in self._last if k[0] or self._counts[k] > 1 or len(self._last) == 1]
        if not kinds:
            return 0.0, 0.0
        horizon = self._window if self._left is None else min(self._window, max(self._left, 1))
        seen = sum(self._counts[kind] * self._last[kind].step.frames for kind in kinds)
        bits = 0.0
        for kind in kinds:
            times = horizon * self._counts[kind] / seen
            bits += times * self._last[kind].bits_at_base_0
        return horizon, bits

    def charge(self, bits: int) -> None:
        """What the file takes beside its steps."""
        self._saved -= bits

    def spent(self, step: Step, quality: int, bits: int) -> None:
        """Learn what a step took."""
        spent = Spent(step, quality, bits)
        kind = len(step.references), step.quality
        if self._done < len(self._first):
            self._compare(spent, self._first[self._done])
        self._done += 1
        if self._remember:
            self.steps.append(spent)
        self._last[kind] = spent
        self._counts[kind] += 1
        self._saved += self._rate * step.frames - bits
        if self._left is not None:
            self._left -= step.frames

    def _compare(self, spent: Spent, before: Spent) -> None:
        """Learn from what a step took in both passes."""
        ratio, by = max(spent.bits, 1) / max(before.bits, 1), spent.base - before.base
        foretold = max(before.bits, 1) * math.exp(self._slope * by)
        self._told = _MEMORY * self._told + foretold
        self._took = _MEMORY * self._took + spent.bits
        self._shown += by * by
        self._slope += (math.log(ratio) - self._slope * by) * by / self._shown
        self._slope = min(max(self._slope, 0.2 * _SLOPE), 2 * _SLOPE)

    def _drift(self) -> float:
        """How many times as much as foretold steps take of late, one frame's rate being taken to
        have been foretold rightly: frames of a steady quality take less than those of a first pass
        that looked for one."""
        return (self._took + self._rate) / (self._told + self._rate)
