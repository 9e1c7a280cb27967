"""A coder on an item: what it does in a race, and what a report says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .race import Contestant, Ratio, Spread, ratio_of, spread_of


@dataclass(frozen=True)
class Row:
    """One coder on one item; speeds in million symbols a second."""

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
    encode: Spread
    decode: Spread
    encode_ratio: Ratio | None = None
    """How many times as fast as the reference in the same rounds; None where it took no part."""
    decode_ratio: Ratio | None = None


@dataclass
class Coder:
    """What takes part: the contestant, and what its row says of it."""

    contestant: Contestant
    types: str
    blocks: int
    symbols: int
    ideal_bits: float
    size: Callable[[Any], int]

    @property
    def stream(self) -> Any:
        """What it wrote last."""
        return self.contestant.results["encode"]

    def row(self, reference: "Coder | None") -> Row:
        """After the race."""
        size, ideal = self.size(self.stream), self.ideal_bits / 8
        encode, decode = (self._speeds(step) for step in ("encode", "decode"))
        ratios: list[Ratio | None] = [None, None]
        if reference is not None:
            # Peers code fewer symbols, so that seconds alone do not compare.
            theirs = [reference._speeds(step) for step in ("encode", "decode")]
            ratios = [
                ratio_of(np.array(a), np.array(b))
                for a, b in zip((encode, decode), theirs, strict=True)
            ]
        return Row(
            coder=self.contestant.name,
            simd=self.contestant.simd,
            types=self.types,
            blocks=self.blocks,
            symbols=self.symbols,
            bytes=size,
            ideal_bytes=ideal,
            excess_percent=100 * (size / ideal - 1),
            encode=spread_of(encode),
            decode=spread_of(decode),
            encode_ratio=ratios[0],
            decode_ratio=ratios[1],
        )

    def _speeds(self, step: str) -> list[float]:
        return [self.symbols / seconds / 1e6 for seconds in self.contestant.seconds[step]]
