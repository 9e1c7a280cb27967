import pytest

from kodec.codecs import highest_quality, lowest_quality


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
