"""The ports that write and read streams, one an item of the batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kodec.entropy.distributions import Distribution, Uniform
from kodec.native import BitstreamError, InvalidInputError, MismatchError

from .blocks import Block
from .item_coders import HOST, Coders, ItemEncoders
from .passed_values import (
    BYTE_BITS,
    codable,
    digits_of,
    given,
    lengths_of,
    one_byte_each,
    packed,
    places_of,
)
from .port import CompiledStep, ForeignCoder, ScanStep, code_blocks
from .snapping import Snap


class SymbolWriter:
    """Writes each item of the batch to a stream of its own; `finish` returns the streams.

    coders: whose; those of a device (`coders_of`) write the same bytes where its blocks lie, and
    take no compiled scans, payloads nor state: `UnsupportedError`.
    """

    def __init__(self, items: int, coders: Coders = HOST) -> None:
        self._encoders: ItemEncoders = coders.encoders(items)

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Quantise, write, and return what the reader will see.

        Raises `InvalidInputError` where latents are not finite or beyond the coder's range.
        """
        y = given(name, y, dist.shape)
        # Contiguous like the reader's, so that both sides run the same kernels on what follows.
        symbols = codable(name, dist.quantise(y).contiguous())
        self._encoders.add(symbols, dist)
        return dist.dequantise(symbols)

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        """Write the tokens front by front, or by the core's program."""
        if not isinstance(step, CompiledStep):
            return code_blocks(self, name, y, fronts, step)
        compiled = step.compiled()
        values = codable(name, torch.round(given(name, y)).contiguous())
        encoders = self._encoders.on_host()
        integers = values.to(torch.int32).reshape(len(encoders), -1).cpu().numpy()
        for item, (encoder, own) in enumerate(zip(encoders, integers, strict=True)):
            symbols, indexes = compiled.symbols(item, own)
            encoder.add(symbols, indexes, compiled.tables, np.empty(0, np.uint32))
        return values.double()

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Write the integers digit by digit."""
        values = given(name, values, shape)
        for place, digit in digits_of(values, high):
            self.code(name, digit, Uniform(shape, place))
        return values

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """Write each item's packed bytes behind their number."""
        integers, payloads = packed(name, given(name, y), coder)
        lengths = lengths_of(payloads)
        self.integers(name, lengths, coder.most + 1, lengths.shape)
        for encoder, payload in zip(self._encoders.on_host(), payloads, strict=True):
            dist = one_byte_each(len(payload))
            symbols = np.frombuffer(payload, np.uint8).astype(np.int16)
            none = np.empty(0, np.uint32)
            encoder.add(symbols, dist.indexes()[0].numpy(), dist.tables, none)
        return integers

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """Signal which grid points close calls went to."""
        state = Snap(name, x, step, guard)
        for item, encoder in enumerate(self._encoders.on_host()):
            encoder.choose(state.numbers(item), state.close(item))
        return state.result()

    def finish(self, segments: int = 0, lanes: int = 0) -> list[bytes]:
        """The streams, one an item; 0 lets the coder choose."""
        return self._encoders.finish(segments, lanes)


class SymbolReader:
    """Reads what `SymbolWriter` wrote, one stream an item; call `finish` at the end.

    coders: as the writer's, but need not be the same.
    """

    def __init__(self, streams: Sequence[bytes], coders: Coders = HOST) -> None:
        self._decoders = coders.decoders(streams)
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
        symbols = self._decoders.decode(indexes.reshape(len(self._decoders), -1), dist.tables)
        return dist.dequantise(symbols.reshape(dist.shape))

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        """Read the tokens front by front, or by the core's program."""
        if not isinstance(step, CompiledStep):
            return code_blocks(self, name, y, fronts, step)
        compiled = step.compiled()
        decoders = self._decoders.on_host()
        items = [compiled.values(item, decoder) for item, decoder in enumerate(decoders)]
        return torch.from_numpy(np.stack(items)).double()

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Read the integers digit by digit."""
        total = torch.zeros(shape, dtype=torch.int64)
        scale = 1
        for place in places_of(high):
            total += self.code(name, None, Uniform(shape, place)).long().cpu() * scale
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
            self._decoders.on_host(), self._sizes, lengths.flatten().tolist(), strict=True
        ):
            # A byte takes one in the stream too, so that nothing is made room for in vain.
            if length > size:
                raise BitstreamError(
                    f"{name!r} claims {length} bytes in a stream of {size}: a damaged stream"
                )
            dist = one_byte_each(length)
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
        for item, decoder in enumerate(self._decoders.on_host()):
            state.take(item, decoder.choose(state.numbers(item)))
        return state.result()

    def expect(self, symbols: int | range) -> None:
        """Refuse, before any work, streams that do not hold this many symbols each."""
        allowed = range(symbols, symbols + 1) if isinstance(symbols, int) else symbols
        for held in self._decoders.symbols():
            if held not in allowed:
                wanted = f"{allowed[0]}" if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"
                raise BitstreamError(
                    f"the stream holds {held} symbols where its picture has {wanted}: "
                    "a damaged file"
                )

    def finish(self) -> None:
        """Check that every stream ended exactly where its writer ended.

        Raises `BitstreamError` on damage and `MismatchError` where this machine computed other
        table indexes than the encoder did.
        """
        self._decoders.finish()
