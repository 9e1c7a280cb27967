"""There only where the package was built with a CUDA compiler; see cuda.py."""

from collections.abc import Sequence
from typing import Any, final

from ._core import Tables

# Tensors of any library that speaks DLPack; of torch, without gradient. native has no torch.
_DeviceTensor = Any

def device_count() -> int:
    """CUDA devices that can be used; 0 where there is no driver."""

@final
class CudaEncoder:
    """Encoder of several items (the pictures of a batch) at once, from a CUDA device's memory.

    The streams are byte by byte those of `Encoder`, item by item, for the same `segments` and
    `lanes`. It keeps 10 bytes of device memory a symbol (11 with `overridden`) until it ends.

    `stream` is always the handle of the CUDA stream that the work is put on: for torch,
    `torch.cuda.current_stream(device).cuda_stream`; 0 is the default stream, which is not always
    the current one. Calls may name different ones; each then waits for the one before. What a
    call was given is read after it returns: who frees it in another stream's order waits (for
    torch, `Tensor.record_stream`).

    Memory comes from a pool of the coder's own, which keeps up to 512 MiB from one use to the next.
    """

    def __init__(self, items: int, device: int = 0) -> None:
        """Raises InvalidInputError: no such device, or not 0..65535 items."""

    def add(
        self,
        symbols: _DeviceTensor,
        indexes: _DeviceTensor,
        tables: Tables,
        overridden: _DeviceTensor | None = None,
        *,
        stream: int,
    ) -> None:
        """Append a block; all is copied, in the stream's order. Does not wait.

        Args:
            symbols: (items, n), int16 or int32; 0 where the index is 0.
            indexes: (items, n), uint8 or uint16, each 0..len(tables). A value beyond is an
                InvalidInputError of `finish`, as is a symbol with index 0 that is not 0.
            tables: may be another set for each block. A set is copied to the device once.
            overridden: (items, n), bool or uint8; where it is not 0 the index is written into the
                stream, so that the decoder's own does not matter there.

        Raises:
            InvalidInputError: a shape, type or device is wrong. The encoder is then as before.
            DeviceError: the device failed.
        """

    def finish(self, segments: int = 0, lanes: int = 0, *, stream: int) -> list[bytes]:
        """Wait, and return the streams, one an item; the encoder is of no further use.

        Args:
            segments: 1..1024 independently decodable parts, a warp each; 0 chooses one for each
                20 KiB, which cost 0.5 % at most.
            lanes: 1, 4, 8, 16 or 32 interleaved states; 0 chooses by compressed size.

        Raises:
            InvalidInputError: an index named no table, or a skipped symbol was not 0.
            DeviceError: the device failed.
        """

@final
class CudaDecoder:
    """Decoder of several items at once, into a CUDA device's memory.

    Any streams of the coder, the CPU's too. `stream` as in `CudaEncoder`.
    """

    def __init__(
        self, streams: Sequence[bytes | bytearray | memoryview], device: int = 0, *, stream: int
    ) -> None:
        """Copy and check the streams, one an item, and copy them to the device.

        Raises:
            BitstreamError: one is damaged or truncated.
            UnsupportedError: one is intact, but needs another coder.
            InvalidInputError: no such device, or a stream of 4 GiB or more.
        """

    @property
    def symbols(self) -> list[int]:
        """Number of symbols in each stream, as `Decoder.symbols`."""

    def decode(
        self, indexes: _DeviceTensor, tables: Tables, out: _DeviceTensor, *, stream: int
    ) -> None:
        """Write the next block's symbols to `out`, in the stream's order. Does not wait.

        What the stream or the indexes have wrong, `check` and `finish` tell. From there on, the
        item's symbols of that segment are 0.

        Args:
            indexes: (items, n), uint8 or uint16.
            out: (items, n), int32.

        Raises:
            InvalidInputError: a shape, type or device is wrong; nothing has been decoded.
            BitstreamError: more symbols are asked for than were encoded.
            DeviceError: the device failed.
        """

    def check(self, *, stream: int) -> None:
        """Wait until all is decoded that was asked for.

        Raises:
            MismatchError: a stream ran out or makes no sense with these indexes.
            InvalidInputError: an index named no table.
            DeviceError: the device failed.
        """

    def finish(self, *, stream: int) -> None:
        """As `check`; and check that all was decoded with the encoder's indexes. Ends the decoder.

        Raises:
            MismatchError: the indexes were not the encoder's (after its overrides).
            BitstreamError: symbols are left, or the tables were other ones.
            InvalidInputError, DeviceError: as `check`.
        """
