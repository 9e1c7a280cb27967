"""Ports: one latent order, written once, run for training, estimation, writing and reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kodec.native import BitstreamError, Decoder, Encoder, InvalidInputError

from .distributions import Distribution, Uniform

LARGEST_SYMBOL = 2**30


@dataclass(frozen=True)
class Conditions:
    """What an order may depend on besides what was coded before; never the pixels.

    latent_shape: (N, C, h, w) of the latents. quality: (N,) in [0, 63], or None (fixed rate).
    regions: labels (N, H, W) of the pixels' regions, integers, H and W multiples of h and w. No
    decoder knows them: they are for training alone, and those who adapt to regions do without.
    """

    latent_shape: torch.Size
    quality: Tensor | None = None
    regions: Tensor | None = None


class SymbolPort(Protocol):
    """The channel between the two sides: see `RateMeter`, `SymbolWriter`, `SymbolReader`."""

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Pass one block through the channel; return what the decoder will see (N, ...)."""

    def scan(
        self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: "ScanStep"
    ) -> Tensor:
        """Pass tokens (N, P, C) through the channel in a serial order.

        fronts: flat positions, front by front; the positions of one do not depend on each other.
        """

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Pass side integers 0 <= v < high of `shape` (N, ...) through the channel."""


class ScanStep(Protocol):
    """One serial pass over latents: tokens (N, P, C) of which each depends on some before it."""

    def whole(self, y: Tensor) -> Distribution:
        """The distribution of all tokens at once, where the latents `y` (N, P, C) are known."""

    def front(self, places: Tensor) -> Distribution:
        """The distribution of the tokens at `places` (F,), from what was taken so far."""

    def take(self, places: Tensor, values: Tensor) -> None:
        """Keep the tokens (N, F, C) that the port gave for `places`."""

    def result(self) -> Tensor:
        """All tokens that were taken, (N, P, C)."""


def scan_fronts(
    port: SymbolPort, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep
) -> Tensor:
    """A serial order as blocks, front by front: what `scan` does wherever values are exact."""
    for places in fronts:
        known = None if y is None else y[:, places]
        step.take(places, port.code(name, known, step.front(places)))
    return step.result()


class RateMeter:
    """Counts bits, without writing any.

    training=True: the distributions' training bits, straight-through rounded values for what
    follows (as in "Channel-wise autoregressive entropy models", 2020, mixed quantisation).
    training=False: likelihoods of the rounded values, so that estimates compare with files.
    `bits` maps each block's name to bits per sample, shape (N,).
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self.bits: dict[str, Tensor] = {}

    def _count(self, name: str, bits: Tensor) -> None:
        per_sample = bits.flatten(1).sum(1)
        self.bits[name] = self.bits[name] + per_sample if name in self.bits else per_sample

    def total(self) -> Tensor:
        """Bits per sample over all blocks, shape (N,)."""
        return torch.stack(list(self.bits.values())).sum(0)

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Count the block's bits; return straight-through (training) or rounded values."""
        y = _given(name, y, dist.shape)
        rounded = dist.dequantise(dist.quantise(y).contiguous())
        if self.training:
            self._count(name, dist.training_bits(y))
            return y + (rounded - y).detach()
        self._count(name, dist.bits(rounded))
        return rounded

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep) -> Tensor:
        """In training one pass over everything, whose contexts see the latents under noise."""
        if not self.training:
            return scan_fronts(self, name, y, fronts, step)
        assert y is not None
        return self.code(name, y, step.whole(y + torch.rand_like(y) - 0.5))

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Count log2(high) bits each."""
        values = _given(name, values, shape)
        for place, digit in _digits(values, high):
            self._count(name, Uniform(shape, place).bits(digit.float()))
        return values


class SymbolWriter:
    """Writes each item of the batch to a stream of its own; `finish` returns the streams."""

    def __init__(self, items: int) -> None:
        self._encoders = [Encoder() for _ in range(items)]

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Quantise, write, and return what the reader will see.

        Raises `InvalidInputError` where latents are not finite or beyond the coder's range.
        """
        y = _given(name, y, dist.shape)
        # Contiguous like the reader's, so that both sides run the same kernels on what follows.
        symbols = dist.quantise(y).contiguous()
        if symbols.numel():
            least, most = torch.aminmax(symbols)
            if not (least > -LARGEST_SYMBOL and most < LARGEST_SYMBOL):
                raise InvalidInputError(
                    f"latents {name!r} are not finite or out of the coder's range; "
                    "the model does not fit this picture"
                )
        items = len(self._encoders)
        indexes, close = dist.indexes()
        integers = symbols.to(torch.int32).reshape(items, -1).cpu().numpy()
        choices = indexes.reshape(items, -1).cpu().numpy()
        positions = close.cpu().numpy()
        size = integers.shape[1]
        # Where each item's positions begin among those of the whole block.
        bounds = np.searchsorted(positions, np.arange(items + 1) * size)
        for i, encoder in enumerate(self._encoders):
            overrides = positions[bounds[i] : bounds[i + 1]] - i * size
            encoder.add(integers[i], choices[i], dist.tables, overrides.astype(np.uint32))
        return dist.dequantise(symbols)

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep) -> Tensor:
        """Write the tokens front by front."""
        return scan_fronts(self, name, y, fronts, step)

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Write the integers digit by digit."""
        values = _given(name, values, shape)
        for place, digit in _digits(values, high):
            self.code(name, digit, Uniform(shape, place))
        return values

    def finish(self, segments: int = 0, lanes: int = 0) -> list[bytes]:
        """The streams, one an item; 0 lets the coder choose."""
        return [encoder.finish(segments, lanes) for encoder in self._encoders]


class SymbolReader:
    """Reads what `SymbolWriter` wrote, one stream an item; call `finish` at the end."""

    def __init__(self, streams: Sequence[bytes]) -> None:
        self._decoders = [Decoder(stream) for stream in streams]

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Read the block that the writer wrote at this place; `y` is ignored."""
        choices = dist.indexes()[0].reshape(len(self._decoders), -1).cpu().numpy()
        symbols = torch.empty(choices.shape, dtype=torch.int32)
        for decoder, indexes, out in zip(self._decoders, choices, symbols.numpy(), strict=True):
            decoder.decode(indexes, dist.tables, out)
        return dist.dequantise(symbols.reshape(dist.shape))

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep) -> Tensor:
        """Read the tokens front by front."""
        return scan_fronts(self, name, y, fronts, step)

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Read the integers digit by digit."""
        total = torch.zeros(shape, dtype=torch.int64)
        scale = 1
        for place in _places(high):
            total += self.code(name, None, Uniform(shape, place)).long() * scale
            scale *= place
        if (total >= high).any():
            raise BitstreamError(f"side integers {name!r} are out of range: a damaged stream")
        return total

    def expect(self, symbols: int) -> None:
        """Refuse, before any work, streams that do not hold this many symbols each."""
        for decoder in self._decoders:
            if decoder.symbols != symbols:
                raise BitstreamError(
                    f"the stream holds {decoder.symbols} symbols where its picture has {symbols}: "
                    "a damaged file"
                )

    def finish(self) -> None:
        """Check that every stream ended exactly where its writer ended.

        Raises `BitstreamError` on damage and `MismatchError` where this machine computed other
        table indexes than the encoder did.
        """
        for decoder in self._decoders:
            decoder.finish()


def _given(name: str, y: Tensor | None, shape: torch.Size) -> Tensor:
    if y is None:
        raise InvalidInputError(f"block {name!r}: only a SymbolReader can do without the latents")
    if y.shape != shape:
        raise InvalidInputError(f"block {name!r} has shape {tuple(y.shape)}, not {tuple(shape)}")
    return y


def _places(high: int) -> list[int]:
    """Mixed-radix alphabet sizes, least significant first, for integers below `high`."""
    if not 1 <= high <= 2**31:
        raise InvalidInputError(f"side integers need 1 <= high <= 2**31, not {high}")
    places = []
    while high > 255:
        places.append(128)
        high = -(-high // 128)
    return [*places, high]


def _digits(values: Tensor, high: int) -> list[tuple[int, Tensor]]:
    if values.numel() and not bool(((values >= 0) & (values < high)).all()):
        raise InvalidInputError(f"side integers must lie in 0..{high - 1}")
    digits, rest = [], values.long()
    for place in _places(high):
        digits.append((place, rest % place))
        rest = rest // place
    return digits
