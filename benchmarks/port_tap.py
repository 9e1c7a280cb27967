"""Writers and readers of symbols that something listens to, and that may move the log scales."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy import (
    HOST,
    Coders,
    Distribution,
    LocationScale,
    SymbolReader,
    SymbolWriter,
)
from kodec.native import Tables


@dataclass
class Tap:
    """What passed through a port, and how far to move the log scales on the way (0: not)."""

    shift: float = 0.0
    seed: int = 0
    symbols: Any = field(default_factory=hashlib.sha256)
    log_scales: list[NDArray[np.float64]] = field(default_factory=list)
    close: int = 0
    coded: int = 0

    def of(self, dist: Distribution) -> "Tapped":
        """`dist`, listened to and moved."""
        if isinstance(dist, LocationScale):
            self.log_scales.append(dist.log_scale.double().reshape(-1).numpy())
            if self.shift:
                self.seed += 1
                generator = torch.Generator().manual_seed(self.seed)
                up = torch.rand(dist.log_scale.shape, generator=generator) < 0.5
                moved = dist.log_scale + torch.where(up, self.shift, -self.shift).to(dist.log_scale)
                dist = LocationScale(dist.mean, moved, dist.scale_tables, dist.lagrangian)
        return Tapped(dist, self)


class Tapped:
    """A distribution whose symbols and close calls a `Tap` hears of."""

    def __init__(self, inner: Distribution, tap: Tap) -> None:
        self.inner = inner
        self.tap = tap

    @property
    def shape(self) -> torch.Size:
        """Of the block."""
        return self.inner.shape

    @property
    def tables(self) -> Tables:
        """Of the block's family."""
        return self.inner.tables

    def quantise(self, y: Tensor) -> Tensor:
        """As the inner one's."""
        return self.inner.quantise(y)

    def bits(self, y: Tensor) -> Tensor:
        """As the inner one's."""
        return self.inner.bits(y)

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """As the inner one's."""
        return self.inner.training_bits(relaxed, symbols)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """The inner one's, close calls counted."""
        indexes, close = self.inner.indexes()
        self.tap.close += close.numel()
        return indexes, close

    def dequantise(self, symbols: Tensor) -> Tensor:
        """The inner one's; both ports pass every symbol through here."""
        self.tap.coded += symbols.numel()
        self.tap.symbols.update(symbols.to(torch.int32).contiguous().numpy().tobytes())
        return self.inner.dequantise(symbols)


class TappedWriter(SymbolWriter):
    """A writer that a `Tap` listens to."""

    def __init__(self, tap: Tap, items: int, coders: Coders = HOST) -> None:
        super().__init__(items, coders)
        self.tap = tap

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Write the block."""
        return super().code(name, y, self.tap.of(dist))


class TappedReader(SymbolReader):
    """A reader that a `Tap` listens to."""

    def __init__(self, tap: Tap, streams: Sequence[bytes], coders: Coders = HOST) -> None:
        super().__init__(streams, coders)
        self.tap = tap

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Read the block."""
        return super().code(name, y, self.tap.of(dist))
