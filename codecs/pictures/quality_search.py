"""The quality that meets a target, in few trials: bisection, or along what was measured so far."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

MOST_TRIALS = 6
"""Of `meet_target`."""
RATE_RISE, PSNR_RISE = 0.055, 0.32
"""What a step of quality usually adds to the logarithm of a rate, and to a PSNR in dB."""


@dataclass(frozen=True)
class Found(Generic[T]):
    """Where a search ended."""

    quality: int
    trial: T
    """What the trial at that quality gave."""
    reached: bool
    """Whether it meets the target; if not, no quality does, and this is the nearest one."""
    trials: int = 0
    """How many there were."""
    closed: bool = True
    """Whether the next quality is known not to meet it as well."""


def highest_quality(
    trial: Callable[[int], T], fits: Callable[[T], bool], highest: int = 63
) -> Found[T]:
    """The highest quality in 0..`highest` whose trial fits, such as a file that is small enough.

    By bisection. Takes it that a quality below one that fits fits too. Where that fails (rates may
    dip by a little), the quality found fits all the same, and the next one does not.
    """
    low, high = -1, highest
    best: Found[T] | None = None
    trials = 0
    while True:
        quality = (low + high + 1) // 2
        result = trial(quality)
        trials += 1
        if fits(result):
            low, best = quality, Found(quality, result, True, trials)
        else:
            high = quality - 1
        if low == high:
            return best or Found(quality, result, False, trials)


def lowest_quality(
    trial: Callable[[int], T], reaches: Callable[[T], bool], highest: int = 63
) -> Found[T]:
    """The lowest quality in 0..`highest` whose trial reaches the target, such as a PSNR.

    Takes it that a quality above one that reaches it does so too. Where that fails, the quality
    found reaches it all the same, and the one below does not.
    """
    mirrored = highest_quality(lambda q: trial(highest - q), reaches, highest)
    return Found(highest - mirrored.quality, mirrored.trial, mirrored.reached, mirrored.trials)


def meet_target(
    trial: Callable[[int], T],
    measure: Callable[[T], float],
    target: float,
    wanted: Literal["at most", "at least"],
    rise: float,
    highest: int = 63,
    most: int = MOST_TRIALS,
) -> Found[T]:
    """The quality in 0..`highest` whose trial comes nearest to the target without missing it.

    measure: of a trial, what grows with quality, nearly in a straight line: the logarithm of a
    rate, a PSNR. wanted: "at most" the target, by the highest quality that keeps to it; "at least",
    by the lowest. rise: what a step of quality usually adds. In at most `most` trials, each next
    one where the line through those around the target meets it; that quality next to the one found
    misses the target is mostly known then (`closed`).
    """
    # Mirrored, the lowest quality that reaches a target is the highest that keeps below one.
    sign = 1 if wanted == "at most" else -1
    goal = sign * target

    def at(place: int) -> int:
        return place if sign == 1 else highest - place

    measured: dict[int, float] = {}
    results: dict[int, T] = {}
    low, high = -1, highest + 1
    place = highest // 2
    while len(measured) < most:
        result = trial(at(place))
        measured[place], results[place] = sign * measure(result), result
        if measured[place] <= goal:
            low = max(low, place)
        else:
            high = min(high, place)
        if high - low == 1 or low > high:
            break
        place = _next(measured, goal, rise, low, high)
        if low < 0 and len(measured) == most - 1:
            # Something that fits must be known in the end, or that nothing does.
            place = 0
    fitting = [tried for tried, value in measured.items() if value <= goal]
    if not fitting:
        place = min(measured)
        return Found(at(place), results[place], False, len(measured))
    place = max(fitting)
    return Found(at(place), results[place], True, len(measured), high - place == 1)


def _next(measured: dict[int, float], goal: float, rise: float, low: int, high: int) -> int:
    """Where to try next, within the open interval from `low` to `high`."""
    below = max((p for p in measured if measured[p] <= goal), default=None)
    above = min((p for p in measured if measured[p] > goal), default=None)
    if below is not None and above is not None:
        slope = (measured[above] - measured[below]) / (above - below)
        start = below
    else:
        start = next(p for p in (below, above) if p is not None)
        others = [p for p in measured if p != start]
        slope = rise
        if others:
            other = min(others, key=lambda p: abs(p - start))
            slope = (measured[other] - measured[start]) / (other - start)
    if not (math.isfinite(slope) and slope > 0):
        return (low + high) // 2
    guess = start + (goal - measured[start]) / slope
    guess = max(-1.0, min(guess, 1e6)) if math.isfinite(guess) else (low + high) / 2
    return min(max(math.floor(guess + 1e-9), low + 1), high - 1)
