from typing import Any, Protocol, TypeVar, final, overload

import numpy as np
from numpy.typing import NDArray

class _SupportsDLPack(Protocol):
    """A contiguous array in CPU memory, of whatever library: read and written in place."""

    def __dlpack__(self) -> Any: ...

_Out = TypeVar("_Out", bound=_SupportsDLPack)

def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """CRC32C of `data`, continuing from `value`, the checksum of what came before."""

def set_threads(count: int) -> None:
    """Let every call use up to `count` threads, its own among them; 0 (the default) for all cores.

    The streams do not depend on it. Raises InvalidInputError for anything but an integer from 0 on.
    """

def simd() -> str:
    """The instruction set that encoders and decoders made now use: scalar, avx2 or avx512.

    The machine's best, unless the environment variable KODEC_SIMD names one; it is read each time.

    Raises InvalidInputError if it names none, or one that this machine lacks. Encoder and Decoder
    do so too.
    """

def scale_indexes(
    logarithms: NDArray[np.float64],
    out: NDArray[np.uint8] | NDArray[np.uint16],
    first: float,
    step: float,
    levels: int,
    guard: float,
) -> NDArray[np.uint32]:
    """Table indexes of scales that are log-spaced; returns the positions of close calls.

    Args:
        logarithms: (n,) natural logarithms of scales.
        out: (n,) gets 0 for scales below the first by more than half a step, otherwise the number
            of the nearest level, from 1 to `levels`.
        first: logarithm of the smallest level.
        step: from one level's logarithm to the next's.
        levels: number of levels, at most 255 for uint8, 65535 for uint16.
        guard: how close to where the index changes a logarithm is a close call.

    Raises InvalidInputError for other arguments, and where a logarithm is NaN.
    """

def runs_layers() -> bool:
    """Whether this CPU has AVX2 with FMA, which the layers below are written for."""

def convolution(
    x: NDArray[np.float32] | _SupportsDLPack,
    weight: NDArray[np.float32] | _SupportsDLPack,
    bias: NDArray[np.float32] | _SupportsDLPack,
    stride: int = 1,
    slope: float = 1.0,
    plus: NDArray[np.float32] | _SupportsDLPack | None = None,
    last_slope: float = 1.0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """k x k convolution with zeros around: (N, H, W, inputs) -> (N, H', W', outputs).

    H' and W' are H / stride and W / stride, rounded up. All float32, contiguous. For few inputs,
    where PyTorch's own is slow. The number of threads changes no bit.

    Args:
        x: (N, H, W, inputs).
        weight: (outputs, inputs, k, k), k odd.
        bias: (outputs,).
        stride: 1..16.
        slope: 0..1, what results are multiplied by where negative.
        plus: of the result's shape, added to that.
        last_slope: 0..1, what the sums are multiplied by where negative.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.
    """

def minimal_filtering(
    x: NDArray[np.float32] | _SupportsDLPack,
    weight: NDArray[np.float32] | _SupportsDLPack,
    bias: NDArray[np.float32] | _SupportsDLPack,
    period: int = 1,
    out_period: int = 1,
    slope: float = 1.0,
    plus: NDArray[np.float32] | _SupportsDLPack | None = None,
    last_slope: float = 1.0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """3x3 convolution of stride 1 with zeros around: (N, H, W, inputs) -> (N, H, W, outputs).

    With a period of 2 the pixels at even and odd rows and columns are channels of their own:
    those of channel c at rows 2 y + i and columns 2 x + j are channel (2 i + j) * inputs + c at
    (y, x); odd sides are filled up with zeros. With an out_period of 2 the result's are likewise,
    so that it has twice as many rows and columns as there are positions. All float32, contiguous.
    Results differ from direct convolution by rounding, some 2e-5 of the largest; the number of
    threads changes no bit.

    Args:
        x: (N, H, W, inputs).
        weight: (outputs * out_period^2, inputs * period^2, 3, 3).
        bias: (outputs * out_period^2,).
        period: 1 or 2.
        out_period: 1 or 2.
        slope: 0..1, what results are multiplied by where negative.
        plus: of the result's shape, added to that.
        last_slope: 0..1, what the sums are multiplied by where negative.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """

def divisive_normalisation(
    x: NDArray[np.float32] | _SupportsDLPack,
    gamma: NDArray[np.float32] | _SupportsDLPack,
    beta: NDArray[np.float32] | _SupportsDLPack,
    out: _SupportsDLPack,
    inverse: bool = False,
    threads: int = 1,
) -> None:
    """x[i] / sqrt(beta[i] + sum_j gamma[i, j] x[j]^2), or times the root: (n, C) -> out (n, C).

    All float32, contiguous; out may be x. gamma: (C, C). beta: (C,). threads: 1..1024, which
    changes no bit.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Density modeling of images using a generalized normalization transformation" (2016).
    """

@final
class Tables:
    """An immutable set of integer probability tables.

    Table t has `sizes[t]` codes (2..256), the last of which is the escape; `frequencies` is the
    concatenation of all tables' frequencies, each at least 1, each table's sum 2**14.
    `offsets[t]` is the symbol value of code 0. `shifts[t]` (0..8) low bits of each symbol are sent
    raw: symbol v has code (v - offset) >> shift. Symbols outside the codes are escaped.

    A symbol's index selects its table: 0 is "skip" (no bits, the symbol is 0), i is table i - 1.

    Raises InvalidInputError for anything else.
    """

    def __init__(
        self,
        frequencies: NDArray[np.uint16],
        sizes: NDArray[np.uint16],
        offsets: NDArray[np.int32],
        shifts: NDArray[np.uint8],
    ) -> None: ...
    def __len__(self) -> int:
        """Number of tables, without skip."""
    @property
    def fingerprint(self) -> int:
        """CRC32C of sizes, offsets, shifts and frequencies, in this order, little-endian."""

@final
class Encoder:
    """Table rANS encoder: one item (picture, tile, frame), block by block."""

    def __init__(self) -> None: ...
    def add(
        self,
        symbols: NDArray[np.int16] | NDArray[np.int32] | _SupportsDLPack,
        indexes: NDArray[np.uint8] | NDArray[np.uint16] | _SupportsDLPack,
        tables: Tables,
        overrides: NDArray[np.uint32],
    ) -> None:
        """Append a block; all is copied.

        Args:
            symbols: (n,) int16 or int32, any value; 0 where the index is 0.
            indexes: (n,) uint8 or uint16, each 0..len(tables).
            tables: may be another set for each block.
            overrides: (m,) strictly ascending positions in this block whose index is written into
                the stream, so that the decoder's own does not matter there.

        Raises:
            InvalidInputError: an argument is not so. The encoder is then as before.
        """

    def finish(self, segments: int = 0, lanes: int = 0) -> bytes:
        """Return the stream; the encoder is of no further use.

        Args:
            segments: 1..1024 independently decodable parts; 0 chooses by compressed size.
            lanes: 1, 4, 8, 16 or 32 interleaved states; 0 chooses by compressed size.
        """

@final
class Decoder:
    """Table rANS decoder of what an Encoder wrote, block by block."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        """Copy and check the whole stream.

        Raises:
            BitstreamError: it is damaged or truncated.
            UnsupportedError: it is intact, but needs another coder.
        """

    @property
    def symbols(self) -> int:
        """Number of symbols in the stream, as its headers say; all segments together.

        To compare with what is expected, never to allocate by: a forged header may say anything.
        """

    @overload
    def decode(
        self,
        indexes: NDArray[np.uint8] | NDArray[np.uint16] | _SupportsDLPack,
        tables: Tables,
        out: None = None,
    ) -> NDArray[np.int32]: ...
    @overload
    def decode(
        self,
        indexes: NDArray[np.uint8] | NDArray[np.uint16] | _SupportsDLPack,
        tables: Tables,
        out: _Out,
    ) -> _Out:
        """Return the next block's symbols (n,) for its indexes (n,).

        Blocks must have the sizes they were encoded with. Symbols are to be trusted only after
        `finish`: wrong indexes may go unnoticed until then.

        Args:
            indexes: (n,) uint8 or uint16, each 0..len(tables).
            tables: the encoder's.
            out: (n,) int32 to write the symbols to; it is what is returned. Of no use after a
                MismatchError or BitstreamError. By default, a new NumPy array.

        Raises:
            InvalidInputError: an argument is wrong; nothing has been decoded.
            MismatchError: the stream ran out or makes no sense with these indexes.
            BitstreamError: more symbols are asked for than were encoded.
        """

    def finish(self) -> None:
        """Check that all was decoded, and with the encoder's indexes; ends the decoder.

        Raises:
            MismatchError: the indexes were not the encoder's (after its overrides).
            BitstreamError: symbols are left, or the tables were other ones.
        """
