"""Coders timed in turn, so that a busy machine slows them alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kodec.eval.running.run import Progress
from kodec.native import KodecError

from .instruction_sets import using_simd

LEAST_SECONDS = 0.02
"""Shorter work is repeated until it has taken this long."""


@dataclass(frozen=True)
class Speed:
    """Of one direction, in million symbols a second: median, least and most of the repeats."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Row:
    """One coder on one item."""

    coder: str
    simd: str | None
    """The instruction set that kodec used; None for other coders."""
    types: str
    """Of symbols and indexes, as they were handed over."""
    blocks: int
    symbols: int
    bytes: int
    ideal_bytes: float
    excess_percent: float
    """Of `bytes` over `ideal_bytes`."""
    encode: Speed
    decode: Speed
    encode_ratio: float | None = None
    """Of the median to the reference's in the same race; None where it took no part."""
    decode_ratio: float | None = None


@dataclass
class Contestant:
    """What takes part in a race: how it codes, and what its row says of it."""

    coder: str
    simd: str | None
    types: str
    blocks: int
    symbols: int
    ideal_bits: float
    encode: Callable[[], Any]
    decode: Callable[[Any], Any]
    size: Callable[[Any], int]
    right: Callable[[Any], bool]
    """Whether what `decode` gave are the symbols."""
    stream: Any = None
    encode_seconds: list[float] = field(default_factory=list)
    decode_seconds: list[float] = field(default_factory=list)


class Race:
    """Runs contestants in turn; the one called `reference` is what the others are compared with."""

    def __init__(
        self, repeats: int, threads: int, reference: str, races: int, progress: Progress | None
    ) -> None:
        self.repeats, self.reference = repeats, reference
        # CPU time leaves out what other processes take; it also adds threads up, or misses them.
        self._clock = time.thread_time if threads == 1 else time.perf_counter
        self.clock_name = "CPU time of the thread" if threads == 1 else "wall-clock time"
        self._progress = progress
        self._steps, self._step = races * (repeats + 1), 0

    def run(self, name: str, contestants: list[Contestant]) -> tuple[Row, ...]:
        """Code and decode with each, once to warm up and then timed; rows in the same order."""
        for repeat in range(self.repeats + 1):
            if self._progress is not None:
                self._progress(self._step, self._steps, name)
            self._step += 1
            for one in contestants:
                with using_simd(one.simd):
                    self._once(name, one, timed=repeat > 0)
        peer = next((one for one in contestants if one.coder == self.reference), None)
        return tuple(_row(one, peer) for one in contestants)

    def _once(self, name: str, one: Contestant, timed: bool) -> None:
        encoding, stream = self._seconds(one.encode)
        decoding, decoded = self._seconds(lambda: one.decode(stream))
        if not one.right(decoded):
            raise KodecError(f"{one.coder} did not give back the symbols of {name}")
        one.stream = stream
        if timed:
            one.encode_seconds.append(encoding)
            one.decode_seconds.append(decoding)

    def _seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """How long `work` takes, and what it returns.

        Short work is done over and over, the median counts, and the first time doesn't: caches are
        then as they are in the course of a long one.
        """
        seconds: list[float] = []
        while sum(seconds) < LEAST_SECONDS:
            start = self._clock()
            result = work()
            seconds.append(max(self._clock() - start, 1e-9))
        return float(np.median(seconds[1:] or seconds)), result

    def done(self) -> None:
        """Report the last step."""
        if self._progress is not None:
            self._progress(self._steps, self._steps, "done")


def _row(one: Contestant, peer: Contestant | None) -> Row:
    encode, decode = (_speed(one, seconds) for seconds in (one.encode_seconds, one.decode_seconds))
    size, ideal = one.size(one.stream), one.ideal_bits / 8
    ratios: tuple[float | None, float | None] = (None, None)
    if peer is not None:
        ratios = (
            encode.median / _speed(peer, peer.encode_seconds).median,
            decode.median / _speed(peer, peer.decode_seconds).median,
        )
    return Row(
        coder=one.coder,
        simd=one.simd,
        types=one.types,
        blocks=one.blocks,
        symbols=one.symbols,
        bytes=size,
        ideal_bytes=ideal,
        excess_percent=100 * (size / ideal - 1),
        encode=encode,
        decode=decode,
        encode_ratio=ratios[0],
        decode_ratio=ratios[1],
    )


def _speed(one: Contestant, seconds: list[float]) -> Speed:
    speeds = one.symbols / np.array(seconds) / 1e6
    return Speed(float(np.median(speeds)), float(speeds.min()), float(speeds.max()))
