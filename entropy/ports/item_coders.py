"""Whose coders a port uses: the host's, one an item, or a CUDA device's, of all items at once.

symbols, indexes on the host --Encoder, Decoder--------------> a stream an item
symbols, indexes on a device --CudaEncoder, CudaDecoder------> the same streams
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kodec.entropy.distributions import Distribution
from kodec.native import Decoder, Encoder, Tables, UnsupportedError, cuda


class ItemEncoders(Protocol):
    """The encoders of a batch's items."""

    def __len__(self) -> int:
        """How many items."""

    def add(self, symbols: Tensor, dist: Distribution) -> None:
        """Append a block (N, ...) of integer-valued symbols, by the distribution's tables."""

    def on_host(self) -> Sequence[Encoder]:
        """One an item, for what only the host codes; raises `UnsupportedError` of a device."""

    def finish(self, segments: int, lanes: int) -> list[bytes]:
        """The streams, one an item; 0 lets the coder choose."""


class ItemDecoders(Protocol):
    """The decoders of a batch's items."""

    def __len__(self) -> int:
        """How many items."""

    def decode(self, indexes: Tensor, tables: Tables) -> Tensor:
        """The next block's symbols (N, n) int32, of table indexes (N, n), where the coder is."""

    def on_host(self) -> Sequence[Decoder]:
        """One an item, for what only the host codes; raises `UnsupportedError` of a device."""

    def symbols(self) -> list[int]:
        """Symbols in each stream."""

    def finish(self) -> None:
        """Check that every stream ended where its encoder ended, after the same indexes."""


class Coders(Protocol):
    """Makes both."""

    def encoders(self, items: int) -> ItemEncoders:
        """Of so many items."""

    def decoders(self, streams: Sequence[bytes]) -> ItemDecoders:
        """Of these items' streams."""


class HostEncoders:
    """`Encoder`s, or what takes the same calls; tensors from elsewhere are fetched."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._encoders = encoders

    def __len__(self) -> int:
        return len(self._encoders)

    def add(self, symbols: Tensor, dist: Distribution) -> None:
        """Append the block."""
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

    def on_host(self) -> Sequence[Encoder]:
        """All of them."""
        return self._encoders

    def finish(self, segments: int, lanes: int) -> list[bytes]:
        """The streams."""
        return [encoder.finish(segments, lanes) for encoder in self._encoders]


class HostDecoders:
    """`Decoder`s, or what takes the same calls."""

    def __init__(self, decoders: Sequence[Decoder]) -> None:
        self._decoders = decoders

    def __len__(self) -> int:
        return len(self._decoders)

    def decode(self, indexes: Tensor, tables: Tables) -> Tensor:
        """The next block's symbols, on the host."""
        choices = indexes.cpu().numpy()
        symbols = torch.empty(choices.shape, dtype=torch.int32)
        for decoder, chosen, out in zip(self._decoders, choices, symbols.numpy(), strict=True):
            decoder.decode(chosen, tables, out)
        return symbols

    def on_host(self) -> Sequence[Decoder]:
        """All of them."""
        return self._decoders

    def symbols(self) -> list[int]:
        """Symbols in each stream."""
        return [decoder.symbols for decoder in self._decoders]

    def finish(self) -> None:
        """Check the ends."""
        for decoder in self._decoders:
            decoder.finish()


class HostCoders:
    """The host's coders, the default.

    encoder, decoder: make one of an item; by default the core's, else what takes the same calls.
    """

    def __init__(
        self,
        encoder: Callable[[], Encoder] = Encoder,
        decoder: Callable[[bytes], Decoder] = Decoder,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder

    def encoders(self, items: int) -> HostEncoders:
        """Of so many items."""
        return HostEncoders([self._encoder() for _ in range(items)])

    def decoders(self, streams: Sequence[bytes]) -> HostDecoders:
        """Of these items' streams."""
        return HostDecoders([self._decoder(stream) for stream in streams])


class DeviceCoders:
    """The coders of a CUDA device, for symbols and indexes that lie there.

    module: has `CudaEncoder` and `CudaDecoder`. device: where its tensors lie. stream: gives the
    handle of the CUDA stream that they are made on. lend: such a tensor as the module takes it.
    """

    def __init__(
        self,
        module: Any,
        device: torch.device,
        stream: Callable[[], int],
        lend: Callable[[Tensor], Any],
    ) -> None:
        self.module = module
        self.device = device
        self.number = device.index or 0
        self.stream = stream
        self._lend = lend

    def lend(self, tensor: Tensor, items: int) -> Any:
        """The tensor, contiguous and (items, n), for a call of the module."""
        return self._lend(tensor.to(self.device).reshape(items, -1).contiguous())

    def encoders(self, items: int) -> "DeviceEncoders":
        """Of so many items."""
        return DeviceEncoders(self, items)

    def decoders(self, streams: Sequence[bytes]) -> "DeviceDecoders":
        """Of these items' streams."""
        return DeviceDecoders(self, streams)


class DeviceEncoders:
    """One `CudaEncoder`."""

    def __init__(self, coders: DeviceCoders, items: int) -> None:
        self._coders = coders
        self._items = items
        self._encoder = coders.module.CudaEncoder(items, coders.number)

    def __len__(self) -> int:
        return self._items

    def add(self, symbols: Tensor, dist: Distribution) -> None:
        """Append the block: nothing comes to the host."""
        indexes, close = dist.indexes()
        coders, items = self._coders, self._items
        overridden = None
        if close.numel():
            none = torch.zeros(symbols.numel(), dtype=torch.bool, device=close.device)
            overridden = coders.lend(none.index_fill_(0, close, True), items)
        self._encoder.add(
            coders.lend(symbols.to(torch.int32), items),
            coders.lend(indexes, items),
            dist.tables,
            overridden,
            stream=coders.stream(),
        )

    def on_host(self) -> Sequence[Encoder]:
        """There are none."""
        raise _host_only()

    def finish(self, segments: int, lanes: int) -> list[bytes]:
        """Wait; the streams."""
        streams: list[bytes] = self._encoder.finish(segments, lanes, stream=self._coders.stream())
        return streams


class DeviceDecoders:
    """One `CudaDecoder`."""

    def __init__(self, coders: DeviceCoders, streams: Sequence[bytes]) -> None:
        self._coders = coders
        self._items = len(streams)
        self._decoder = coders.module.CudaDecoder(streams, coders.number, stream=coders.stream())

    def __len__(self) -> int:
        return self._items

    def decode(self, indexes: Tensor, tables: Tables) -> Tensor:
        """The next block's symbols, where the indexes are; what is wrong, `finish` tells."""
        coders, items = self._coders, self._items
        symbols = torch.empty(indexes.shape, dtype=torch.int32, device=coders.device)
        lent = coders.lend(symbols, items)
        self._decoder.decode(coders.lend(indexes, items), tables, lent, stream=coders.stream())
        return symbols

    def on_host(self) -> Sequence[Decoder]:
        """There are none."""
        raise _host_only()

    def symbols(self) -> list[int]:
        """Symbols in each stream."""
        counts: list[int] = self._decoder.symbols
        return counts

    def finish(self) -> None:
        """Wait; check the ends."""
        self._decoder.finish(stream=self._coders.stream())


def _host_only() -> UnsupportedError:
    return UnsupportedError(
        "scans, payloads and snapped state are coded on the host: give the port no device's coders"
    )


HOST = HostCoders()


def coders_of(device: torch.device) -> Coders:
    """The coders to use for tensors on a device: its own, where kodec was built with them."""
    if device.type != "cuda" or not cuda.BUILT:
        return HOST
    if device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())

    def stream() -> int:
        return int(torch.cuda.current_stream(device).cuda_stream)

    def lend(tensor: Tensor) -> Tensor:
        # The coder reads and writes it after its calls return, whoever lets go of it.
        tensor.record_stream(torch.cuda.current_stream(device))
        return tensor

    return DeviceCoders(cuda, device, stream, lend)
