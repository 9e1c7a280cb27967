"""Ports: one latent order, written once, run for training, estimation, writing and reading.

What a program codes against. Who is at the other end: `RateMeter`, `SymbolWriter`, `SymbolReader`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.distributions import Distribution
from kodec.native import Decoder, FrontProgram, InvalidInputError, ScanProgram, Tables

from .blocks import Block


@dataclass(frozen=True)
class Conditions:
    """What an order may depend on besides what was coded before; never the pixels.

    latent_shape: (N, C, h, w) of the latents. quality: (N,) in [0, 63], or None (fixed rate).
    known: by name, what both sides have besides: (N, channels, h, w), in the precision of the
    entropy path, such as earlier latents, features, another view; equal to the bit on both sides.
    hints: by name, what no decoder knows, for training alone. "regions": labels (N, H, W) of the
    pixels' regions, integers, H and W multiples of h and w.
    """

    latent_shape: torch.Size
    quality: Tensor | None = None
    known: Mapping[str, Tensor] = field(default_factory=dict)
    hints: Mapping[str, Tensor] = field(default_factory=dict)


def refuse_hyper_latents(z: Tensor | None) -> None:
    """Raise `InvalidInputError` where hyper-latents are given to a latent model without any."""
    if z is not None:
        raise InvalidInputError("this latent model has no hyper-latents: give latents alone")


class SymbolPort(Protocol):
    """The channel between the two sides: see `RateMeter`, `SymbolWriter`, `SymbolReader`."""

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Pass one block through the channel; return what the decoder will see (N, ...)."""

    def scan(
        self, name: str, y: Tensor | None, fronts: Sequence[Block], step: "ScanStep"
    ) -> Tensor:
        """Pass tokens (N, P, C) through the channel in a serial order.

        fronts: blocks of all channels; the positions of one do not depend on each other.
        A `CompiledStep` has an order of its own.
        """

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Pass side integers 0 <= v < high of `shape` (N, ...) through the channel."""

    def payload(self, name: str, y: Tensor | None, coder: "ForeignCoder") -> Tensor:
        """Pass `y` (N, ...) through the channel as integers that another coder packs.

        Returns what the decoder will see, integer-valued but in training.
        """

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """State (N, ...) that both sides computed, on the grid of `step`: equal to the bit.

        x: float64. guard: how far the two sides' x may be apart, in units of x, below step / 4.
        Every tensor must pass here that enters a state which later blocks depend on. Only what is
        too close to call costs some bytes. Raises `InvalidInputError` where x is not float64, not
        finite or too large.
        """


class ForeignCoder(Protocol):
    """Another coder than kodec's own: an item's integers as one byte string.

    most: bytes of the longest. A port asks for no more, whatever a stream says.
    """

    most: int

    def pack(self, integers: NDArray[np.int32]) -> bytes:
        """The bytes of one item's integers; raises `InvalidInputError` where it can't have them."""

    def unpack(self, payload: bytes) -> NDArray[np.int32]:
        """The integers; the bytes are not to be trusted: raises `BitstreamError` for damage."""


class CompiledOrder(Protocol):
    """A serial order for the core, of each item's tokens (P * C,) int32."""

    tables: Tables

    def symbols(
        self, item: int, values: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Symbols and table indexes of an item's values, in coding order."""

    def values(self, item: int, decoder: Decoder) -> NDArray[np.int32]:
        """An item's values (P, C), from its stream."""


@dataclass(frozen=True)
class CompiledScan:
    """A `CompiledOrder` row by row: the program, the grid, each item's side integers, the tables.

    side: (N, rows * columns * integers of a position) int32.
    """

    program: ScanProgram
    rows: int
    columns: int
    side: NDArray[np.int32]
    tables: Tables

    def symbols(
        self, item: int, values: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Differences from the program's means, and its indexes."""
        means, indexes = self.program.predict(
            self.rows, self.columns, self.side[item], values, len(self.tables)
        )
        return values - means, indexes

    def values(self, item: int, decoder: Decoder) -> NDArray[np.int32]:
        """An item's values (P, C), from its stream."""
        side = self.side[item]
        values = decoder.scan(self.program, self.rows, self.columns, side, self.tables)
        return values.reshape(self.rows * self.columns, -1)


@dataclass(frozen=True)
class CompiledFronts:
    """A `CompiledOrder` front by front, of one value a position.

    side: (N, integers) int32, those of each 2^side_shift x 2^side_shift positions, row by row; or
    (1, integers) for all items.
    """

    program: FrontProgram
    rows: int
    columns: int
    side: NDArray[np.int32]
    side_shift: int
    tables: Tables

    def symbols(
        self, item: int, values: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """The program's symbols and indexes."""
        side = self.side[item % len(self.side)]
        return self.program.predict(self.rows, self.columns, side, self.side_shift, values)

    def values(self, item: int, decoder: Decoder) -> NDArray[np.int32]:
        """An item's values (P, 1), from its stream."""
        side = self.side[item % len(self.side)]
        values = decoder.scan_fronts(
            self.program, self.rows, self.columns, side, self.side_shift, self.tables
        )
        return values[:, None]


class BlockStep(Protocol):
    """One pass over latents in blocks, each of which depends on those before it."""

    def front(self, block: Block) -> Distribution:
        """The distribution of the block, from what was taken so far; shaped as `Block.of` does."""

    def take(self, block: Block, values: Tensor) -> None:
        """Keep the block's values that the port gave."""

    def result(self) -> Tensor:
        """What all blocks came to."""


class ScanStep(BlockStep, Protocol):
    """One serial pass over tokens (N, P, C); in training all of them at once."""

    def whole(self, y: Tensor) -> Distribution:
        """The distribution of all tokens at once, where the latents `y` (N, P, C) are known."""


@runtime_checkable
class CompiledStep(ScanStep, Protocol):
    """A serial pass over integer tokens in an order of its own, which the core can run.

    Ports code all its tokens as one block, and use `whole` and `compiled` alone.
    """

    def compiled(self) -> CompiledOrder:
        """The same order for the core."""


def code_blocks(
    port: SymbolPort, name: str, y: Tensor | None, blocks: Sequence[Block], step: BlockStep
) -> Tensor:
    """Pass tokens (N, P, C) through the port block by block; returns the step's result.

    What `scan` does too wherever values are exact.
    """
    for block in blocks:
        step.take(block, port.code(name, None if y is None else block.of(y), step.front(block)))
    return step.result()
