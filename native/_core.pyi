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
class ScanProgram:
    """A serial order in integers: a small network that predicts each position from those before it.

    Immutable; the same on every machine, since no sum reaches 2**53 (which float64 holds exactly).
    At each position, row by row, the first layer takes the taps' values, then the position's side
    integers; the last gives a mean for each channel, then a table index for each channel. A layer
    is y = (W x + b + 2**(fraction - 1)) >> fraction of x set to [-bound, bound], then max(y, 0) if
    it is rectified.

    Args:
        channels: values of a position, 1..4096.
        side: integers of a position that both sides know beforehand, 0..4096.
        taps: (t, 3) int32, each (rows above, columns to the right, channel), at most 64 away, of
            earlier positions alone; beyond the grid are zeros.
        layers: (weights (outputs, inputs) int32, biases (outputs,) int64, fraction 0..30, bound
            1..2**30, rectified 0 or 1) each.

    Raises InvalidInputError for anything else.
    """

    def __init__(
        self,
        channels: int,
        side: int,
        taps: NDArray[np.int32],
        layers: list[tuple[NDArray[np.int32], NDArray[np.int64], int, int, int]],
    ) -> None: ...
    def predict(
        self,
        rows: int,
        columns: int,
        side: NDArray[np.int32],
        values: NDArray[np.int32],
        highest_index: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Means and indexes of all positions, from all values: what an encoder needs.

        Args:
            rows, columns: of the grid, at most 2**30 positions.
            side: (rows * columns * side,) in (position, integer) order.
            values: (rows * columns * channels,) in (position, channel) order.
            highest_index: indexes are set to 1..highest_index, 1..65535.

        Returns means, within +-2**30, and indexes, as many as values. Raises InvalidInputError.
        """

@final
class FrontProgram:
    """A serial order in integers, front by front: a small network predicts a grid's values.

    Immutable; the same on every machine, since no sum reaches 2**53 (which float64 holds exactly).
    Positions with the same column + slope * row form a front, coded by rows, where slope is the
    least with which all taps lie in earlier fronts. The first layer takes the taps' values, then
    the position's side integers; the last takes what the one before it gives and then, if it is not
    the first, these inputs again. A layer is y = (W x + b) >> shift, then max(y, 0) if it is
    rectified.

    The two outputs are a mean and a log scale, both with 8 fraction bits. The log scale is set to
    [lowest, highest] and names the nearest level, halves up; the mean is set to [least, most + 1)
    and rounded, halves up, to a multiple of 2**-mean_bits of its level, and this to an integer. The
    symbol is the value less that integer, negated where the multiple lies below it; its table's
    index is the level's first one plus the distance in multiples.

    Args:
        taps: (t, 2) int32, each (rows down, columns right), at most 16 away, of earlier positions
            alone; beyond the grid are zeros. 1..256.
        side: integers of a position that both sides know beforehand, 0..256.
        side_bound: they are set to [-side_bound, side_bound], at most 2**30.
        least, most: of the values, 0 among them, at most 2**15 either way.
        layers: (weights (outputs, inputs) int64, biases (outputs,) int64, shift 0 or 2..32,
            rectified 0 or 1) each; at most 16 layers of 256 outputs.
        lowest, highest: of log scales.
        levels: (n, 2) int32, each (mean_bits 1..8, first index), 2..4096.

    Raises InvalidInputError for anything else, and where a sum may reach 2**53.
    """

    def __init__(
        self,
        taps: NDArray[np.int32],
        side: int,
        side_bound: int,
        least: int,
        most: int,
        layers: list[tuple[NDArray[np.int64], NDArray[np.int64], int, int]],
        lowest: int,
        highest: int,
        levels: NDArray[np.int32],
    ) -> None: ...
    @property
    def slope(self) -> int:
        """Of the fronts."""
    def predict(
        self,
        rows: int,
        columns: int,
        side: NDArray[np.int32],
        side_shift: int,
        values: NDArray[np.int32],
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Symbols and indexes of all positions in coding order, from all values.

        Args:
            rows, columns: of the grid, at most 2**16 each and 2**30 positions.
            side: integers of each 2**side_shift x 2**side_shift positions, row by row.
            values: (rows * columns,) row by row.

        Raises InvalidInputError, also for values out of range.
        """

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

    def choose(self, indexes: NDArray[np.uint16], overrides: NDArray[np.uint32]) -> None:
        """Append choices: indexes that the decoder computes too, and that no symbols follow.

        They cost nothing but their overrides, enter the index checksum, and count as symbols.

        Args:
            indexes: (n,) any values.
            overrides: (m,) strictly ascending positions whose index is written into the stream.

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

    def choose(self, indexes: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """The encoder's choices (n,), where it signalled them, else those given.

        To be trusted only after `finish`, like symbols.

        Raises:
            InvalidInputError: an argument is wrong; nothing has been decoded.
            BitstreamError: more are asked for than were encoded.
        """

    def scan(
        self,
        program: ScanProgram,
        rows: int,
        columns: int,
        side: NDArray[np.int32],
        tables: Tables,
    ) -> NDArray[np.int32]:
        """The next block's values, each a symbol plus the program's mean, position by position.

        The encoder had one block of all symbols, in (position, channel) order, with the indexes and
        means that `program.predict` gives. Arguments and order: see there.

        Raises as `decode` does, and BitstreamError where a value lies beyond 2**30.
        """

    def scan_fronts(
        self,
        program: FrontProgram,
        rows: int,
        columns: int,
        side: NDArray[np.int32],
        side_shift: int,
        tables: Tables,
    ) -> NDArray[np.int32]:
        """The next block's values (rows * columns,), row by row, decoded front by front.

        The encoder had one block of the symbols and indexes that `program.predict` gives.
        Arguments: see there.

        Raises as `decode` does, and BitstreamError where a value is out of the program's range.
        """

    def finish(self) -> None:
        """Check that all was decoded, and with the encoder's indexes; ends the decoder.

        Raises:
            MismatchError: the indexes were not the encoder's (after its overrides).
            BitstreamError: symbols are left, or the tables were other ones.
        """
