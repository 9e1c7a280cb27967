"""When frames are shown: times of a file as ticks of a sequence, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from kodec.codecs.container.sequence_head import MAX_RATE_TERM, MAX_TICKS
from kodec.codecs.container.varint import MAX_VARINT


@dataclass(frozen=True)
class FrameClock:
    """The clock of a sequence: a tick lasts 1 / (`rate` x `ticks`) seconds.

    Frame n of evenly spaced ones is shown at n / `rate` seconds; times count from frame 0.
    """

    rate: Fraction
    """Frames a second."""
    ticks: int = 1
    """Ticks in a frame."""
    slack: Fraction = Fraction(0)
    """Frames that are less than so many seconds from where even spacing has them are there."""

    @property
    def tick(self) -> Fraction:
        """Seconds of a tick."""
        return 1 / (self.rate * self.ticks)

    def times_of(self, first: int, seconds: Sequence[Fraction]) -> tuple[int, ...] | None:
        """The times in ticks of frames `first` and following; None where they are evenly spaced.

        Nearest ticks, halves up: exact where the clock was made for the times' own.
        """
        evenly = all(
            time == (even := Fraction(number) / self.rate) or abs(time - even) < self.slack
            for number, time in enumerate(seconds, first)
        )
        if evenly:
            return None
        return tuple(
            min(max(int((time / self.tick + Fraction(1, 2)) // 1), 0), MAX_VARINT)
            for time in seconds
        )

    def seconds_of(self, number: int, time: int | None) -> Fraction:
        """When frame `number` is shown, at `time` in ticks or, for None, evenly spaced."""
        return Fraction(number) / self.rate if time is None else time * self.tick


def clock_of(rate: Fraction, time_base: Fraction | None) -> FrameClock:
    """The clock for frames at a mean `rate` whose times a file has in ticks of `time_base` seconds.

    Each of the file's times is a whole number of the clock's ticks, except where no head of a
    sequence could say so (below 1 / 2^24 of a frame): such times are rounded. For a mean rate of
    large terms, as that of a variable one is, the nearest simpler one is taken. None as `time_base`
    is for frames that have no times of their own.
    """
    rate = _simplified(rate)
    if time_base is None:
        return FrameClock(rate)
    for simpler in (rate, rate.limit_denominator(1001), Fraction(max(1, round(rate)))):
        ticks = (simpler * time_base).denominator
        if simpler and ticks <= MAX_TICKS:
            return FrameClock(simpler, ticks, time_base)
    return FrameClock(Fraction(max(1, round(rate))), MAX_TICKS, time_base)


def _simplified(rate: Fraction) -> Fraction:
    if max(rate.numerator, rate.denominator) <= MAX_RATE_TERM:
        return rate
    bounded = min(max(rate, Fraction(1, MAX_RATE_TERM)), Fraction(MAX_RATE_TERM))
    # Of a rate below 2^k, terms stay in bounds where denominators do below 2^(31 - k).
    return bounded.limit_denominator(max(1, int(MAX_RATE_TERM / max(bounded, Fraction(1)))))
