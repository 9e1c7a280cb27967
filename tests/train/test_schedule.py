"""Warm-up, constant, linear decay."""

import pytest

from kodec.native import InvalidInputError
from kodec.train.schedule import WarmupStableDecay


def test_three_phases() -> None:
    schedule = WarmupStableDecay(total=100, warmup=9, decay=0.2)
    factors = [schedule(step) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert factors[10:81] == [1.0] * 71
    assert factors[80:] == pytest.approx([1 - i / 20 for i in range(21)])


def test_a_rise_from_a_fraction_is_half_a_cosine_in_the_logarithm() -> None:
    schedule = WarmupStableDecay(total=100, warmup=40, decay=0, start=1e-4)
    factors = [schedule(step) for step in (0, 10, 20, 30, 40, 50)]
    quarter = (1 - 0.5**0.5) / 2
    powers = [1.0, 1 - quarter, 0.5, quarter, 0.0, 0.0]
    assert factors == pytest.approx([1e-4**power for power in powers])
    assert WarmupStableDecay(total=9, warmup=0, decay=0, start=0.1)(0) == 1


def test_no_warm_up_and_no_decay() -> None:
    schedule = WarmupStableDecay(total=10, warmup=0, decay=0)
    assert {schedule(step) for step in range(10)} == {1.0}


def test_a_longer_plan_agrees_until_the_shorter_one_decays() -> None:
    short, long = WarmupStableDecay(100, 10, 0.3), WarmupStableDecay(1000, 10, 0.3)
    assert [short(s) for s in range(71)] == [long(s) for s in range(71)]


def test_beyond_the_end_the_rate_stays_zero() -> None:
    assert WarmupStableDecay(100, 10, 0.3)(150) == 0


@pytest.mark.parametrize(
    "total, warmup, decay, start",
    [(0, 1, 0.1, 0), (1, -1, 0.1, 0), (1, 1, 1.1, 0), (1, 1, 0.1, 1.1), (1, 1, 0.1, -0.1)],
)
def test_nonsense_is_refused(total: int, warmup: int, decay: float, start: float) -> None:
    with pytest.raises(InvalidInputError, match="schedule"):
        WarmupStableDecay(total, warmup, decay, start)
