"""Ports: one latent order, written once, run for training, estimation, writing and reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import (
    BitstreamError,
    Decoder,
    Encoder,
    InvalidInputError,
    MismatchError,
    ScanProgram,
    Tables,
)

from .distributions import Distribution, Uniform
from .snapping import Snap

LARGEST_SYMBOL = 2**30
BYTE_BITS = 8


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
        self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: "ScanStep"
    ) -> Tensor:
        """Pass tokens (N, P, C) through the channel in a serial order.

        fronts: flat positions, front by front; the positions of one do not depend on each other.
        A step that is compiled has an order of its own.
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


def payload_symbols(most: int) -> range:
    """How many symbols a payload of up to `most` bytes may put into an item's stream."""
    length = len(_places(most + 1))
    return range(length, length + most + 1)


@dataclass(frozen=True)
class CompiledScan:
    """A serial order for the core: the program, the grid, each item's side integers, the tables.

    side: (N, rows * columns * integers of a position) int32.
    """

    program: ScanProgram
    rows: int
    columns: int
    side: NDArray[np.int32]
    tables: Tables


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

    def compiled(self) -> CompiledScan | None:
        """The same order for the core, of integer tokens, row by row; None where there is none.

        Ports then code all tokens as one block, and use `whole` alone of the step.
        """


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
        symbols = dist.quantise(y).contiguous()
        rounded = dist.dequantise(symbols)
        if self.training:
            self._count(name, dist.training_bits(y, symbols))
            return y + (rounded - y).detach()
        self._count(name, dist.bits(rounded))
        return rounded

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep) -> Tensor:
        """In training one pass over everything, whose contexts see the latents under noise."""
        assert y is not None
        if not self.training:
            if step.compiled() is None:
                return scan_fronts(self, name, y, fronts, step)
            integers = torch.round(y)
            self._count(name, step.whole(integers).bits(integers))
            return integers
        return self.code(name, y, step.whole(y + torch.rand_like(y) - 0.5))

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Count log2(high) bits each."""
        values = _given(name, values, shape)
        for place, digit in _digits(values, high):
            self._count(name, Uniform(shape, place).bits(digit.float()))
        return values

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """Count the packed bytes; in training no bits, and uniform noise instead of rounding."""
        y = _given(name, y)
        if self.training:
            self._count(name, y.new_zeros(len(y), 1))
            return y + torch.rand_like(y) - 0.5
        integers, payloads = _packed(name, y, coder)
        lengths = _lengths(payloads).to(y.device)
        self.integers(name, lengths, coder.most + 1, lengths.shape)
        self._count(name, (BYTE_BITS * lengths).to(y))
        return integers

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """The grid's points, no bits; in training gradients pass, and float32 stays as it is."""
        if self.training and x.dtype != torch.float64:
            return x
        snapped = Snap(name, x, step, guard).result()
        return x + (snapped - x).detach() if self.training else snapped


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
        symbols = _codable(name, dist.quantise(y).contiguous())
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
        """Write the tokens front by front, or by the core's program."""
        compiled = step.compiled()
        if compiled is None:
            return scan_fronts(self, name, y, fronts, step)
        values = _codable(name, torch.round(_given(name, y)).contiguous())
        integers = values.to(torch.int32).reshape(len(self._encoders), -1).cpu().numpy()
        for encoder, item, side in zip(self._encoders, integers, compiled.side, strict=True):
            means, indexes = compiled.program.predict(
                compiled.rows, compiled.columns, side, item, len(compiled.tables)
            )
            encoder.add(item - means, indexes, compiled.tables, np.empty(0, np.uint32))
        return values.double()

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Write the integers digit by digit."""
        values = _given(name, values, shape)
        for place, digit in _digits(values, high):
            self.code(name, digit, Uniform(shape, place))
        return values

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """Write each item's packed bytes behind their number."""
        integers, payloads = _packed(name, _given(name, y), coder)
        lengths = _lengths(payloads)
        self.integers(name, lengths, coder.most + 1, lengths.shape)
        for encoder, payload in zip(self._encoders, payloads, strict=True):
            dist = _bytes(len(payload))
            symbols = np.frombuffer(payload, np.uint8).astype(np.int16)
            none = np.empty(0, np.uint32)
            encoder.add(symbols, dist.indexes()[0].numpy(), dist.tables, none)
        return integers

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """Signal which grid points close calls went to."""
        state = Snap(name, x, step, guard)
        for item, encoder in enumerate(self._encoders):
            encoder.choose(*state.choices(item))
        return state.result()

    def finish(self, segments: int = 0, lanes: int = 0) -> list[bytes]:
        """The streams, one an item; 0 lets the coder choose."""
        return [encoder.finish(segments, lanes) for encoder in self._encoders]


class SymbolReader:
    """Reads what `SymbolWriter` wrote, one stream an item; call `finish` at the end."""

    def __init__(self, streams: Sequence[bytes]) -> None:
        self._decoders = [Decoder(stream) for stream in streams]
        self._sizes = [len(stream) for stream in streams]

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Read the block that the writer wrote at this place; `y` is ignored.

        Raises `BitstreamError` for damage, `MismatchError` where a scale is none.
        """
        try:
            indexes = dist.indexes()[0]
        except InvalidInputError as error:
            # The writer refused to go on with such a scale: it had another one.
            raise MismatchError(
                f"block {name!r}: {error}: the file is damaged, or this machine computes otherwise "
                "than the encoder's did"
            ) from None
        choices = indexes.reshape(len(self._decoders), -1).cpu().numpy()
        symbols = torch.empty(choices.shape, dtype=torch.int32)
        for decoder, chosen, out in zip(self._decoders, choices, symbols.numpy(), strict=True):
            decoder.decode(chosen, dist.tables, out)
        return dist.dequantise(symbols.reshape(dist.shape))

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Tensor], step: ScanStep) -> Tensor:
        """Read the tokens front by front, or by the core's program."""
        compiled = step.compiled()
        if compiled is None:
            return scan_fronts(self, name, y, fronts, step)
        size = compiled.rows, compiled.columns
        items = [
            decoder.scan(compiled.program, *size, side, compiled.tables)
            for decoder, side in zip(self._decoders, compiled.side, strict=True)
        ]
        values = torch.from_numpy(np.stack(items)).double()
        return values.reshape(len(items), size[0] * size[1], -1)

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

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """Read each item's bytes and unpack them; `y` is ignored."""
        shape = torch.Size((len(self._decoders), 1))
        lengths = self.integers(name, None, coder.most + 1, shape)
        unpacked = []
        for decoder, size, length in zip(
            self._decoders, self._sizes, lengths.flatten().tolist(), strict=True
        ):
            # A byte takes one in the stream too, so that nothing is made room for in vain.
            if length > size:
                raise BitstreamError(
                    f"{name!r} claims {length} bytes in a stream of {size}: a damaged stream"
                )
            dist = _bytes(length)
            symbols = np.empty(length, np.int32)
            decoder.decode(dist.indexes()[0].numpy(), dist.tables, symbols)
            if length and not 0 <= symbols.min() <= symbols.max() < 2**BYTE_BITS:
                raise BitstreamError(f"{name!r} holds more than bytes: a damaged stream")
            unpacked.append(coder.unpack(symbols.astype(np.uint8).tobytes()))
        return torch.from_numpy(np.stack(unpacked))

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """Take the grid points that were signalled, else the nearest ones.

        Raises `MismatchError` where this side's state is no number.
        """
        try:
            state = Snap(name, x, step, guard)
        except InvalidInputError:
            if x.isfinite().all():
                raise
            raise MismatchError(
                f"state {name!r} is not finite here: the stream is not this model's"
            ) from None
        for item, decoder in enumerate(self._decoders):
            state.chosen(item, decoder.choose(state.choices(item)[0]))
        return state.result()

    def expect(self, symbols: int | range) -> None:
        """Refuse, before any work, streams that do not hold this many symbols each."""
        allowed = range(symbols, symbols + 1) if isinstance(symbols, int) else symbols
        for decoder in self._decoders:
            if decoder.symbols not in allowed:
                wanted = f"{allowed[0]}" if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"
                raise BitstreamError(
                    f"the stream holds {decoder.symbols} symbols where its picture has {wanted}: "
                    "a damaged file"
                )

    def finish(self) -> None:
        """Check that every stream ended exactly where its writer ended.

        Raises `BitstreamError` on damage and `MismatchError` where this machine computed other
        table indexes than the encoder did.
        """
        for decoder in self._decoders:
            decoder.finish()


def _given(name: str, y: Tensor | None, shape: torch.Size | None = None) -> Tensor:
    if y is None:
        raise InvalidInputError(f"block {name!r}: only a SymbolReader can do without the latents")
    if shape is not None and y.shape != shape:
        raise InvalidInputError(f"block {name!r} has shape {tuple(y.shape)}, not {tuple(shape)}")
    return y


def _codable(name: str, symbols: Tensor) -> Tensor:
    """The symbols; raises `InvalidInputError` where they are none."""
    if symbols.numel():
        least, most = torch.aminmax(symbols)
        if not (least > -LARGEST_SYMBOL and most < LARGEST_SYMBOL):
            raise InvalidInputError(
                f"latents {name!r} are not finite or out of the coder's range; "
                "the model does not fit this picture"
            )
    return symbols


def _packed(name: str, y: Tensor, coder: ForeignCoder) -> tuple[Tensor, list[bytes]]:
    """The rounded values, and each item's bytes."""
    integers = _codable(name, torch.round(y.detach()).contiguous())
    return integers, [coder.pack(item) for item in integers.to(torch.int32).cpu().numpy()]


def _lengths(payloads: Sequence[bytes]) -> Tensor:
    """Bytes of each, (N, 1)."""
    return torch.tensor([[len(payload)] for payload in payloads])


def _bytes(count: int) -> Uniform:
    return Uniform(torch.Size((count,)), 2**BYTE_BITS)


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
