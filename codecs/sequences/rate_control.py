"""Bits to a rate: which quality each step is coded at, from what steps before it took."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kodec.codecs.container import Step

from .stepping import HIGHEST_QUALITY

Coded = TypeVar("Coded")

_SLOPE = 0.05
"""Of the natural log of bits over quality, until a second pass shows it: trained models have 0.03
to 0.065, and every step corrects it."""
_TRUST = 10.0
"""In that slope beside what is seen of it, in squares of qualities that were apart."""
_MEMORY = 0.8
"""How much a step counts less than the next, where what steps take is held against a first pass."""
_FORETOLD = 4.0
"""Frames of the mean rate that are taken to have been foretold rightly, beside those that were."""
_RECENT = 0.5
"""How much the last step of its kind counts in what the next should take."""
_WINDOW = 0.75
"""Seconds over which bits that were spent too many or too few are made good in one pass."""
_LARGEST_CHANGE = 6.0
"""Of the base quality from step to step in one pass, but where a step is coded again: frames that
flicker are worse than a rate met late."""
_RESERVE = 0.02
"""Of all bits, what one pass keeps for an end that takes more than its rate at quality 0 too; at
most `_MOST_RESERVE` of a window's. What is left of it the last `_SPENT_IN` of a window spends."""
_MOST_RESERVE = 0.05
_SPENT_IN = 0.25
_TRIES = 5
"""Of one step, at most."""
_LEFT_TO_LATER = 0.1
"""Of the bits of the steps to come, how many a step may take too many or too few before it is coded
again: they make it good."""
_UNSEEN = 2.0
"""Times more or less than their mean share that the first step of its kind, of which nothing is
known, may leave to the steps to come."""
_AT_THE_END = 0.003
"""Of all bits, how many the last step may leave too many or too few."""


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


@dataclass
class _Kind:
    """What steps of as many references and the same offset took."""

    level: float
    """Log of bits a frame at base quality 0, of late."""
    steps: int = 0
    frames: int = 0


@dataclass(frozen=True)
class _Allotted:
    """Bits that a step may take, from the fewest to the most."""

    least: float
    most: float

    def miss(self, bits: int) -> float:
        """How far out of them, 0 within."""
        return max(self.least - bits, bits - self.most, 0.0)


class RateControl:
    """Chooses qualities step by step so that the mean rate is met.

    bits_per_frame: the rate to meet. frames_per_second: of the sequence. frames: how many there
    are, where that is known. first_pass: what each step took before, for a second pass. remember:
    whether `steps` has what each took, for such a pass: memory grows with their number.

    Each step is allotted its share of what is left for it and those after it, all of a first pass
    or as many as a window has: a share by what the same steps took in the first pass, or the last
    of their kinds. It is coded at the quality that forecasts say, and where it takes so much more
    or less that those after it could hardly make it good, again at another: the fewer are to come,
    the less is left to them.
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
        self._whole = bits_per_frame * (self._window if frames is None else frames)
        self._reserve = 0.0
        if frames is not None and not first_pass:
            most = _MOST_RESERVE * self._window
            self._reserve = bits_per_frame * min(_RESERVE * frames, most)
        self._first = list(first_pass)
        self._slope, self._shown = _SLOPE, _TRUST
        self._forecast = (
            np.array([[s.step.frames, max(s.bits, 1), s.base] for s in first_pass], np.float64)
            if first_pass
            else None
        )
        self._remember = remember
        self._done = 0
        self._kinds: dict[tuple[int, int], _Kind] = {}
        self._saved = 0.0
        self._base = float(start)
        self._told, self._took = 0.0, 0.0
        """Bits that the first pass foretold of the steps so far, and what they took; recent ones
        count most."""
        self.steps: list[Spent] = []
        """What each took, in coding order, where it is remembered."""
        self.tries = 0
        """How often steps were coded, those that were coded again included."""

    def code(self, step: Step, encode: Callable[[int], tuple[int, Coded]]) -> Coded:
        """Choose the quality, 0 to 63, of the next step in coding order.

        encode: codes the step at a quality and returns how many bits it takes, and what it came
        to; called once or a few times. Returns what it came to at the quality that is to be kept.
        """
        allotted, quality = self._plan(step)
        tried: dict[int, int] = {}
        kept: tuple[int, Coded] | None = None
        while kept is None or (quality not in tried and len(tried) < _TRIES):
            tried[quality], coded = encode(quality)
            miss = allotted.miss(tried[quality])
            if kept is None or miss < allotted.miss(tried[kept[0]]):
                kept = quality, coded
            if not miss:
                break
            quality = self._nearer(allotted, tried)
        chosen, coded = kept
        self.tries += len(tried)
        self._base += chosen - self._quality_at(self._base, step)
        self._spent(Spent(step, chosen, tried[chosen]))
        return coded

    def _plan(self, step: Step) -> tuple[_Allotted, int]:
        """Bits that the step may take, and the quality to try first."""
        frames, expected, own = self._ahead(step)
        budget = self._rate * frames + self._saved - self._kept(step)
        budget = max(budget, 0.05 * self._rate * frames)
        at_end = _AT_THE_END * self._whole
        if not own:
            later = budget * (1 - step.frames / frames)
            least, most = budget - _UNSEEN * later, budget - later / _UNSEEN
            if not step.references:
                # At least a mean frame's bits: it is what others are made from.
                least = min(max(least, self._rate * step.frames), most)
            return _Allotted(least - at_end, most + at_end), self._quality_at(self._base, step)
        change = math.log(budget / expected) / self._slope
        limit = HIGHEST_QUALITY if self._first else _LARGEST_CHANGE
        # Beyond the ends nothing is to be had: no debt of qualities is run up there.
        base = min(max(self._base + min(max(change, -limit), limit), 0.0), float(HIGHEST_QUALITY))
        self._base = base
        wanted = budget * own / expected
        slack = _LEFT_TO_LATER * (budget - wanted) + at_end
        return _Allotted(wanted - slack, wanted + slack), self._quality_at(base, step)

    @staticmethod
    def _quality_at(base: float, step: Step) -> int:
        return min(max(round(base) + step.quality, 0), HIGHEST_QUALITY)

    def _nearer(self, allotted: _Allotted, tried: dict[int, int]) -> int:
        """A quality that should take what is allotted, from those that were tried."""
        wanted = math.log(max((allotted.least + allotted.most) / 2, 1.0))
        points = sorted((q, math.log(max(bits, 1))) for q, bits in tried.items())
        below = [p for p in points if p[1] < wanted][-1:]
        above = [p for p in points if p[1] >= wanted][:1]
        if below and above and below[0][0] < above[0][0]:
            (low, few), (high, many) = below[0], above[0]
            quality = low + (high - low) * (wanted - few) / (many - few)
            return min(max(round(quality), low + 1), max(high - 1, low))
        quality, bits = min(points, key=lambda p: abs(p[1] - wanted))
        return min(max(round(quality + (wanted - bits) / self._slope), 0), HIGHEST_QUALITY)

    def _ahead(self, step: Step) -> tuple[float, float, float]:
        """Frames of this step and those to come, and their bits and its own at the base quality;
        0 bits if nothing is known."""
        if self._forecast is not None:
            at = min(self._done, len(self._forecast) - 1)
            frames, bits, bases = self._forecast[at:].T
            bits = bits * np.exp(self._slope * (self._base - bases)) * self._drift()
            return float(frames.sum()), float(bits.sum()), float(bits[0])
        horizon = self._window if self._left is None else min(self._window, self._left)
        horizon = max(horizon, step.frames)
        # A refresh that came once, at the beginning, is not taken to come again.
        kinds = {
            key: kind
            for key, kind in self._kinds.items()
            if key[0] or kind.steps > 1 or len(self._kinds) == 1
        }
        own = kinds.get(self._key(step))
        if own is None:
            return horizon, 0.0, 0.0
        to_base = self._slope * self._base
        bits = step.frames * math.exp(own.level + to_base)
        seen = sum(kind.frames for kind in kinds.values())
        later = sum(kind.frames * math.exp(kind.level + to_base) for kind in kinds.values()) / seen
        return horizon, bits + (horizon - step.frames) * later, bits

    def _kept(self, step: Step) -> float:
        """Of the reserve, what is not to be spent yet."""
        if self._left is None:
            return 0.0
        later = max(self._left - step.frames, 0)
        return self._reserve * min(later / (_SPENT_IN * self._window), 1.0)

    @staticmethod
    def _key(step: Step) -> tuple[int, int]:
        return len(step.references), step.quality

    def charge(self, bits: int) -> None:
        """What the file takes beside its steps."""
        self._saved -= bits

    def _spent(self, spent: Spent) -> None:
        """Learn what a step took."""
        step = spent.step
        if self._done < len(self._first):
            before = self._first[self._done]
            foretold = max(before.bits, 1) * math.exp(self._slope * (spent.base - before.base))
            self._told = _MEMORY * self._told + foretold
            self._took = _MEMORY * self._took + spent.bits
            self._learn_slope(spent.base - before.base, spent.bits, before.bits)
        self._done += 1
        if self._remember:
            self.steps.append(spent)
        level = math.log(max(spent.bits, 1) / step.frames) - self._slope * spent.base
        kind = self._kinds.setdefault(self._key(step), _Kind(level))
        kind.level += _RECENT * (level - kind.level)
        kind.steps += 1
        kind.frames += step.frames
        self._saved += self._rate * step.frames - spent.bits
        if self._left is not None:
            self._left -= step.frames

    def _learn_slope(self, qualities: int, bits: int, before: int) -> None:
        """Learn from what a step took at two qualities that are so far apart."""
        grown = math.log(max(bits, 1) / max(before, 1))
        self._shown += qualities * qualities
        self._slope += (grown - self._slope * qualities) * qualities / self._shown
        self._slope = min(max(self._slope, 0.2 * _SLOPE), 2 * _SLOPE)

    def _drift(self) -> float:
        """How many times as much as foretold steps take of late: frames of a steady quality take
        less than those of a first pass that looked for one."""
        right = _FORETOLD * self._rate
        return (self._took + right) / (self._told + right)
