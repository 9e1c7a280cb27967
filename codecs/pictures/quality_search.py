"""The quality that meets a target, in as few trials as bisection takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """Where a search ended."""

    quality: int
    trial: T
    """What the trial at that quality gave."""
    reached: bool
    """Whether it meets the target; if not, no quality does, and this is the nearest one."""


def highest_quality(
    trial: Callable[[int], T], fits: Callable[[T], bool], highest: int = 63
) -> Found[T]:
    """The highest quality in 0..`highest` whose trial fits, such as a file that is small enough.

    Takes it that a quality below one that fits fits too. Where that fails (rates may dip by
    a little), the quality found fits all the same, and the next one does not.
    """
    low, high = -1, highest
    best: Found[T] | None = None
    while True:
        quality = (low + high + 1) // 2
        result = trial(quality)
        if fits(result):
            low, best = quality, Found(quality, result, True)
        else:
            high = quality - 1
        if low == high:
            return best or Found(quality, result, False)


def lowest_quality(
    trial: Callable[[int], T], reaches: Callable[[T], bool], highest: int = 63
) -> Found[T]:
    """The lowest quality in 0..`highest` whose trial reaches the target, such as a PSNR.

    Takes it that a quality above one that reaches it does so too. Where that fails, the quality
    found reaches it all the same, and the one below does not.
    """
    mirrored = highest_quality(lambda q: trial(highest - q), reaches, highest)
    return Found(highest - mirrored.quality, mirrored.trial, mirrored.reached)
