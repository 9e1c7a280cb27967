from typing import Literal

import numpy as np
import pytest

from kodec.codecs import MOST_TRIALS, highest_quality, lowest_quality, meet_target


@pytest.mark.parametrize("limit", [*range(64), 63.5, 1000])
def test_highest_quality_that_fits(limit: float) -> None:
    asked: list[int] = []

    def trial(quality: int) -> str:
        asked.append(quality)
        return "x" * quality

    found = highest_quality(trial, lambda text: len(text) <= limit)
    assert found.reached and found.quality == len(found.trial) == min(63, int(limit))
    assert len(asked) == len(set(asked)) <= 7


@pytest.mark.parametrize("goal", [-5, *range(64)])
def test_lowest_quality_that_reaches(goal: int) -> None:
    found = lowest_quality(lambda quality: 2 * quality, lambda value: value >= 2 * goal)
    assert found.reached and found.quality == max(0, goal) and found.trial == 2 * found.quality


def test_out_of_reach_gives_the_nearest_end() -> None:
    smallest = highest_quality(lambda quality: 100 + quality, lambda size: size <= 99)
    assert (smallest.quality, smallest.trial, smallest.reached) == (0, 100, False)
    best = lowest_quality(lambda quality: 20 + quality, lambda decibels: decibels >= 84)
    assert (best.quality, best.trial, best.reached) == (63, 83, False)


def test_a_dip_in_the_rate_still_gives_one_that_fits() -> None:
    sizes = [10 * quality for quality in range(64)]
    sizes[40] -= 15
    for limit in range(0, 640, 3):
        found = highest_quality(sizes.__getitem__, limit.__ge__)
        assert found.reached and found.trial <= limit
        assert found.quality == 63 or sizes[found.quality + 1] > limit


def test_other_scales() -> None:
    assert highest_quality(lambda q: q, lambda q: q <= 90, highest=95).quality == 90
    assert highest_quality(lambda q: q, lambda q: True, highest=0).quality == 0
    assert not lowest_quality(lambda q: q, lambda q: False, highest=0).reached


@pytest.mark.parametrize("wanted", ["at most", "at least"])
@pytest.mark.parametrize("bend", [0.0, 0.4, -0.3])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_targets_are_met_in_six_trials(
    wanted: Literal["at most", "at least"], bend: float, noise: float
) -> None:
    rng = np.random.default_rng(3)
    quality = np.arange(64)
    curve = 0.05 * quality + bend * (quality / 63) ** 2 + noise * rng.normal(size=64)
    for target in rng.uniform(curve[0] + 0.1, curve[-1] - 0.1, 40):
        tried: list[int] = []

        def trial(value: int, tried: list[int] = tried) -> float:
            tried.append(value)
            return float(curve[value])

        found = meet_target(trial, float, target, wanted, 0.055)
        assert found.reached and len(tried) == found.trials <= MOST_TRIALS
        assert len(set(tried)) == len(tried)
        keeps = curve <= target if wanted == "at most" else curve >= target
        assert keeps[found.quality] and found.trial == curve[found.quality]
        if found.closed and not noise:
            beyond = found.quality + (1 if wanted == "at most" else -1)
            assert not keeps[beyond]
        if not noise:
            assert found.closed


def test_what_is_out_of_reach_is_told_soon() -> None:
    for wanted, target, nearest in (("at most", -1.0, 0), ("at least", 99.0, 63)):
        found = meet_target(lambda quality: 0.05 * quality, float, target, wanted, 0.055)  # type: ignore[arg-type]
        assert (found.reached, found.quality) == (False, nearest)
        assert found.trials <= 3
    found = meet_target(lambda quality: 0.05 * quality, float, 99.0, "at most", 0.055)
    assert (found.reached, found.quality, found.closed) == (True, 63, True)
