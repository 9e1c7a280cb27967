"""A sequence of frames from wherever it is read, with the times at which they are shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

from .frame_times import FrameClock, clock_of
from .frames import Frame, VideoFormat

Reader = Callable[[int], Iterator[tuple[Frame, Fraction | None]]]
"""Gives the frames from a number on, each with its time in seconds, if its file has one."""


@dataclass(frozen=True)
class Video:
    """A sequence that is read frame by frame, in memory that does not grow."""

    path: Path
    form: VideoFormat
    read: Reader = field(repr=False, compare=False)
    limit: int | None = None
    """Only so many frames."""
    start: int = 0
    """How many frames are left out in front."""
    time_base: Fraction | None = None
    """Seconds of a tick of the file's times; None where frames are evenly spaced."""

    stated: int | None = None
    """How many frames its file says that it has, which need not be true."""

    @property
    def count(self) -> int | None:
        """How many frames are to be expected; None where nothing says."""
        if self.stated is None:
            return self.limit
        left = max(self.stated - self.start, 0)
        return left if self.limit is None else min(left, self.limit)

    @property
    def clock(self) -> FrameClock:
        """What the file's times are whole ticks of."""
        return clock_of(self.form.fps, self.time_base)

    def frames(self) -> Iterator[Frame]:
        """The frames in display order, read as they are asked for.

        Raises BitstreamError, naming the frame, where the file is damaged or cut off, as far as it
        was read; InvalidInputError where it is a raw file of another size, or a pipe that was read
        before; UnsupportedError where frames change their format.
        """
        return (frame for frame, _ in islice(self.read(self.start), self.limit))

    def timed_frames(self) -> Iterator[tuple[Frame, Fraction]]:
        """As `frames`, each with the seconds from the first one's time to its own.

        Times grow from frame to frame: one that is missing, or not after the one before, is put a
        frame's duration after that.
        """
        origin, last, duration = None, None, 1 / self.form.fps
        for frame, stated in islice(self.read(self.start), self.limit):
            time = Fraction(0) if last is None else last + duration
            if stated is not None and self.time_base is not None:
                origin = stated - time if origin is None else origin
                if last is None or stated - origin > last:
                    time = stated - origin
            last = time
            yield frame, time
