"""Distributions of latents: each owns its quantisation, its likelihood and its table indexes."""

import atexit
import math
from abc import ABC, abstractmethod
from functools import cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kodec.models.blocks import lower_bound
from kodec.models.blocks.core_tokens import core_takes_tokens, laplace_rounded
from kodec.native import InvalidInputError, Tables, scale_indexes

from .integer_tables import (
    MAX_CODES,
    IntegerTables,
    WithTables,
    quantise_pmf,
    symmetric_table,
)
from .laplace_bits import laplace_training_bits

LIKELIHOOD_FLOOR = 1e-9


class Distribution(Protocol):
    """What a port needs to know about one block of latents of shape (N, ...)."""

    @property
    def shape(self) -> torch.Size:
        """Shape of the block, batch first."""

    def quantise(self, y: Tensor) -> Tensor:
        """Latents to symbols: integer-valued, same shape and dtype."""

    def dequantise(self, symbols: Tensor) -> Tensor:
        """Symbols (any dtype) to the values that the decoder sees, in the model's own dtype."""

    def bits(self, y: Tensor) -> Tensor:
        """Code length in bit of each value; `y` as `dequantise` gives it."""

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """Code length in bit of each value, with gradients fit for training.

        symbols: what `quantise` made of the latents. relaxed: the latents under what training has
        in place of rounding, such as noise.
        """

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Table index per symbol (0 = skip), and which are too close to call.

        The first is contiguous uint8, or uint16 where there are more than 255 tables. The second
        holds ascending int64 positions in the flattened block.
        """

    @property
    def tables(self) -> Tables:
        """The coder tables that the indexes refer to."""


class ScaleTables(IntegerTables, WithTables):
    """Coder tables of one zero-mean family at `levels` log-spaced scales.

    A scale's table is the nearest one in log scale; `guard` is the distance from a boundary, in
    natural-log units of scale, inside which the writer signals its choice (0 switches signalling
    off). Scales below `smallest` are skipped: no bits, the mean. Families: "gaussian" (scale =
    standard deviation) and "laplace" (scale = mean absolute value).
    """

    def __init__(
        self,
        family: str = "gaussian",
        levels: int = 64,
        smallest: float = 0.11,
        largest: float = 256.0,
        guard: float = 1e-9,
    ) -> None:
        super().__init__()
        if family not in ("gaussian", "laplace"):
            raise InvalidInputError(f"unknown family {family!r}: choose 'gaussian' or 'laplace'")
        if levels < 2 or not 0 < smallest < largest or guard < 0:
            raise InvalidInputError(
                "scale tables need levels >= 2, 0 < smallest < largest, guard >= 0"
            )
        self.family = family
        self.guard = guard
        self.log_smallest = math.log(smallest)
        self.log_step = (math.log(largest) - math.log(smallest)) / (levels - 1)
        self.levels = levels
        self._coded_from = self._least_coded()

    def _least_coded(self) -> float:
        """The least log scale that has a table."""
        least = self.log_smallest - self.log_step / 2
        while self._position(least) >= 0:
            least = math.nextafter(least, -math.inf)
        while self._position(least) < 0:
            least = math.nextafter(least, math.inf)
        return least

    def build(self) -> None:
        """Fill the tables; deterministic, from float64 on the CPU."""
        tables, offsets, shifts = [], [], []
        for level in range(self.levels):
            scale = math.exp(self.log_smallest + level * self.log_step)
            reach = scale * (4.2 if self.family == "gaussian" else 10.5)
            half = np.arange(math.ceil(reach) + 1) + 0.5
            if self.family == "gaussian":
                inside = np.array([math.erf(h / (scale * math.sqrt(2))) for h in half])
            else:
                inside = -np.expm1(-half / scale)
            table, first, shift = symmetric_table(inside)
            tables.append(table)
            offsets.append(first)
            shifts.append(shift)
        self.fill(tables, offsets, shifts)

    def _position(self, log_scale: float) -> float:
        return (log_scale - self.log_smallest) * (1 / self.log_step) + 0.5

    def skips(self, log_scale: Tensor) -> Tensor:
        """Where the index is 0, to the last bit."""
        return log_scale.double() < self._coded_from

    def rounded(self, y: Tensor, mean: Tensor, log_scale: Tensor, lagrangian: float) -> Tensor:
        """Symbols of Laplace distributed y by the core: all of one shape, the last two float64."""
        least, smallest = self._coded_from, self.log_smallest
        return laplace_rounded(y, mean, log_scale, least, smallest, lagrangian)

    def indexes(self, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Table index 0 (skip) .. `levels` of each log scale, and which are close calls.

        As in `Distribution.indexes`. Raises `InvalidInputError` where a log scale is NaN.
        """
        log_scale = log_scale.detach().double().contiguous()
        dtype = torch.uint8 if self.levels <= 255 else torch.uint16
        if log_scale.device.type != "cpu":
            return self._indexes_elsewhere(log_scale, dtype)
        indexes = torch.empty(log_scale.shape, dtype=dtype)
        close = scale_indexes(
            log_scale.reshape(-1).numpy(),
            indexes.reshape(-1).numpy(),
            self.log_smallest,
            self.log_step,
            self.levels,
            self.guard,
        )
        return indexes, torch.from_numpy(close.astype(np.int64))

    def _indexes_elsewhere(self, log_scale: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The same on another device; what differs in the last bit is a close call."""
        position = (log_scale - self.log_smallest) * (1 / self.log_step) + 0.5
        if torch.isnan(position).any():
            raise InvalidInputError("a scale is not a number; the model does not fit its input")
        level = torch.floor(position.clamp(-1.0, self.levels - 0.5))
        # Beyond the last boundary nothing is close: only 0 .. levels - 1 are boundaries.
        nearest = torch.round(position).clamp(0, self.levels - 1)
        close = (position - nearest).abs() * self.log_step < self.guard
        return (level + 1).to(dtype), close.reshape(-1).nonzero().squeeze(1)

    def last_step_bits(self, v: Tensor, scale: Tensor) -> Tensor:
        """bits(v) - bits(v - 1) for integers v >= 1."""
        if self.family == "gaussian":
            return self.bits(v, scale) - self.bits(v - 1, scale)
        half = 0.5 / scale
        first = half + math.log(2) - torch.log1p(torch.exp(-half))
        return torch.where(v < 1.5, first, 2 * half) / math.log(2)

    def bits(self, v: Tensor, scale: Tensor) -> Tensor:
        """-log2 P(v - 1/2 < X < v + 1/2) for zero-mean X; Gaussians floored at 1e-9."""
        v = v.abs()
        if self.family == "gaussian":
            inverse = math.sqrt(0.5) / scale
            p = 0.5 * (torch.erfc((v - 0.5) * inverse) - torch.erfc((v + 0.5) * inverse))
            return -torch.log2(lower_bound(p, LIKELIHOOD_FLOOR))
        # Outside the central interval the Laplace code length is linear in v: no floor needed, and
        # outliers keep their gradient.
        tail = (v - 0.5).clamp(min=0) / scale - torch.log(-0.5 * torch.expm1(-1 / scale))
        low, high = (0.5 - v).clamp(min=0) / scale, (0.5 + v) / scale
        centre = -torch.log(lower_bound(1 - 0.5 * (torch.exp(-low) + torch.exp(-high)), 1e-9))
        return torch.where(v < 0.5, centre, tail) / math.log(2)

    def training_bits(self, noisy: Tensor, symbols: Tensor, log_scale: Tensor) -> Tensor:
        """Bits of the symbols, from which scales learn; gradients of `noisy` are those under noise.

        noisy: what the symbols were rounded from, relaxed. All of shape (N, ...).
        """
        if self.family == "laplace":
            return laplace_training_bits(noisy, symbols, log_scale, self.log_smallest)
        scale = torch.exp(lower_bound(log_scale, self.log_smallest))
        under_noise = self.bits(noisy, scale.detach())
        return self.bits(symbols, scale) + under_noise - under_noise.detach()


class LocationScale:
    """A Gaussian or Laplace block with predicted mean and log scale, both (N, ...).

    Symbols are differences from the mean, rounded; with `lagrangian` > 0 a symbol moves one step
    towards zero where (error^2 + lagrangian * bits) is smaller there (rate-distortion optimised
    quantisation, at the encoder alone; unit: squared quantisation step per bit).
    """

    def __init__(
        self, mean: Tensor, log_scale: Tensor, scale_tables: ScaleTables, lagrangian: float = 0.0
    ) -> None:
        self.mean = mean
        self.log_scale = log_scale
        self.scale_tables = scale_tables
        self.lagrangian = lagrangian

    @property
    def shape(self) -> torch.Size:
        """Shape of the block, batch first."""
        return self.mean.shape

    def _scale(self) -> Tensor:
        return torch.exp(lower_bound(self.log_scale, self.scale_tables.log_smallest))

    def quantise(self, y: Tensor) -> Tensor:
        """Round the difference from the mean; skipped positions give 0."""
        tables = self.scale_tables
        if tables.family == "laplace" and core_takes_tokens(self.mean):
            return tables.rounded(y, self.mean, self.log_scale, self.lagrangian)
        d = (y - self.mean).detach().contiguous()
        symbols = torch.round(d)
        if self.lagrangian > 0:
            self._lower_where_cheaper(symbols.view(-1), d.view(-1))
        return symbols.masked_fill_(tables.skips(self.log_scale), 0.0)

    def _lower_where_cheaper(self, symbols: Tensor, d: Tensor) -> None:
        """Rate-distortion optimised quantisation of flat symbols, in place; zeros stay."""
        places: Tensor | slice = slice(None)
        if symbols.device.type == "cpu":
            # Most are zero. Elsewhere their number would have to come to the host first.
            places = symbols.nonzero().squeeze(1)
        symbol, distance = symbols[places], d[places]
        log_scale = self.log_scale.detach().reshape(-1)[places]
        scale = torch.exp(log_scale.clamp(min=self.scale_tables.log_smallest))
        lower = symbol - torch.sign(symbol)
        saved = self.scale_tables.last_step_bits(symbol.abs(), scale)
        worse = (distance - lower).square() - (distance - symbol).square()
        symbols[places] = torch.where(worse < self.lagrangian * saved, lower, symbol)

    def dequantise(self, symbols: Tensor) -> Tensor:
        """Symbols + mean."""
        # In one pass: integers are promoted to the mean's type.
        return torch.add(symbols.to(self.mean.device), self.mean)

    def bits(self, y: Tensor) -> Tensor:
        """Code length of `y` (N, ...) in bit."""
        return self.scale_tables.bits(y - self.mean, self._scale())

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """Code length of the `symbols` (N, ...) in bit.

        Scales learn from the symbols that will be coded; latents and means from the relaxed values,
        since rounding gives them no useful gradient.
        """
        return self.scale_tables.training_bits(relaxed - self.mean, symbols, self.log_scale)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Table index per symbol, and where it is too close to call."""
        return self.scale_tables.indexes(self.log_scale)

    @property
    def tables(self) -> Tables:
        """The family's tables."""
        return self.scale_tables.native


class Integers(ABC):
    """A block of integers that are coded as they are, never close to anything."""

    shape: torch.Size

    def quantise(self, y: Tensor) -> Tensor:
        """The integers themselves."""
        return torch.round(y)

    def dequantise(self, symbols: Tensor) -> Tensor:
        """The integers themselves."""
        return symbols

    @abstractmethod
    def bits(self, y: Tensor) -> Tensor:
        """Code length of each in bit."""

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """The same: integers have no gradients."""
        return self.bits(symbols)


class Uniform(Integers):
    """Integers below `high`, all equally likely: the code of `port.integers` and of bytes.

    high: 1 to 255, or 256: its eight bits go raw.
    """

    def __init__(self, shape: torch.Size, high: int) -> None:
        self.shape = shape
        self.high = high

    def bits(self, y: Tensor) -> Tensor:
        """log2(high) each."""
        return torch.full_like(y, math.log2(self.high))

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Always the one table; never close."""
        return torch.ones(self.shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """One flat table, made from integers alone."""
        return _flat_table(self.high)


@cache
def _flat_table(high: int) -> Tables:
    """The table of integers below `high`; there are 256 of them."""
    holder = IntegerTables()
    shift = 8 if high == MAX_CODES else 0
    pmf = np.append(np.ones(high >> shift), 0.0)
    holder.fill([quantise_pmf(pmf)], [0], [shift])
    return holder.native


# What a cache still holds when Python ends, the binding would report as leaked.
atexit.register(_flat_table.cache_clear)
