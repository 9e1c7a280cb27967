from fractions import Fraction

import pytest

from kodec.codecs.container.sequence_head import MAX_RATE_TERM, MAX_TICKS
from kodec.codecs.video_files.frame_times import FrameClock, clock_of

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("rate", "base"),
    [
        (Fraction(25), Fraction(1, 12800)),
        (Fraction(25), Fraction(1, 1000)),
        (NTSC, Fraction(1, 1000)),
        (NTSC, Fraction(1001, 30000)),
        (Fraction(359, 12), Fraction(1, 90000)),
        (Fraction(270000, 15043), Fraction(1, 90000)),
        (Fraction(1, 7), Fraction(1, 1000)),
        (Fraction(2997003, 100003), Fraction(1, 1000000)),
    ],
)
def test_a_files_times_are_whole_ticks(rate: Fraction, base: Fraction) -> None:
    clock = clock_of(rate, base)
    assert 1 <= clock.ticks <= MAX_TICKS
    assert (base / clock.tick).denominator == 1
    assert abs(clock.rate / rate - 1) < 0.05
    seconds = [7 * base, 11 * base, 5000 * base]
    times = clock.times_of(1, seconds)
    assert times is not None
    assert [clock.seconds_of(n, time) for n, time in enumerate(times, start=1)] == seconds


@pytest.mark.parametrize(
    "rate", [Fraction(1, 10**12), Fraction(10**12), Fraction(10**12 + 1, 7**9)]
)
def test_rates_that_no_head_could_say_are_brought_into_bounds(rate: Fraction) -> None:
    clock = clock_of(rate, Fraction(1, 10**9))
    assert 1 <= clock.rate.numerator <= MAX_RATE_TERM
    assert 1 <= clock.rate.denominator <= MAX_RATE_TERM
    assert 1 <= clock.ticks <= MAX_TICKS


def test_evenly_spaced_frames_need_no_times() -> None:
    rounded = [Fraction(round(number / NTSC * 1000), 1000) for number in range(300)]
    clock = clock_of(NTSC, Fraction(1, 1000))
    assert clock.times_of(0, rounded) is None
    assert clock.times_of(100, rounded[100:108]) is None
    assert clock.seconds_of(30, None) == 30 / NTSC
    late = [*rounded[:5], rounded[5] + Fraction(2, 1000)]
    times = clock.times_of(0, late)
    assert times is not None and len(times) == 6
    assert clock_of(Fraction(25), None).times_of(3, [Fraction(3, 25)]) is None


def test_other_times_are_the_nearest_ticks() -> None:
    clock = FrameClock(Fraction(10), 10)
    assert clock.times_of(0, [Fraction(0), Fraction(3, 200), Fraction(1, 3)]) == (0, 2, 33)
