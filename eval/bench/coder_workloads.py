"""What the coder benchmark codes: drawn Gaussian symbols, and the latents of real pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs import Codec, Picture, to_tensor
from kodec.entropy import HostCoders, ScaleTables, SymbolWriter
from kodec.native import Encoder, InvalidInputError, Tables

SEED = 2024
LEAST_SYMBOLS, MOST_SYMBOLS = 1000, 2**26
"""CompressAI 1.2.8 writes behind its buffer where it encodes one symbol."""

Symbols = NDArray[np.int16] | NDArray[np.int32]
Indexes = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Block:
    """The arguments of one `Encoder.add`: symbols (n,), indexes (n,), tables, overrides (m,)."""

    symbols: Symbols
    indexes: Indexes
    tables: Tables
    overrides: NDArray[np.uint32]


@dataclass(frozen=True)
class Item:
    """What one stream holds, and how few bits its symbols could take."""

    name: str
    description: str
    blocks: tuple[Block, ...]
    ideal_bits: float

    @property
    def symbols(self) -> int:
        """Symbols in all blocks."""
        return sum(block.symbols.size for block in self.blocks)

    @property
    def zeros(self) -> float:
        """The share of symbols that are 0, in [0, 1]."""
        return sum(int((block.symbols == 0).sum()) for block in self.blocks) / self.symbols


class GaussianWorkload:
    """Seeded symbols of zero-mean Gaussians whose scales are drawn from a table, all alike.

    The table is the usual one of 64 log-spaced scales from 0.11 to 256 (`ScaleTables`' default);
    the first `levels` of them are drawn from. Ideal bits are -log2 of the probability that the
    symbol's own Gaussian, integrated over unit bins, gives it.
    """

    ideal = "-log2 of the true Gaussians, integrated over unit bins, of the symbols drawn"

    def __init__(self, name: str, levels: int, symbols: int) -> None:
        if not LEAST_SYMBOLS <= symbols <= MOST_SYMBOLS:
            raise InvalidInputError(
                f"a workload has {LEAST_SYMBOLS:,} to {MOST_SYMBOLS:,} symbols, not {symbols:,}"
            )
        self.name = name
        scale_tables = ScaleTables("gaussian")
        scale_tables.build()
        self.tables = scale_tables.native
        steps = np.arange(scale_tables.levels)
        self.scales = np.exp(scale_tables.log_smallest + steps * scale_tables.log_step)
        self.description = (
            f"Gaussians of scale {self.scales[0]:.3g}..{self.scales[levels - 1]:.3g}, "
            f"{levels} of {scale_tables.levels} tables"
        )
        rng = np.random.default_rng((SEED, levels))
        self.levels = rng.integers(0, levels, symbols, dtype=np.uint8)
        """(n,) number of each symbol's scale, from 0."""
        scale = self.scales[self.levels]
        self.symbols = np.rint(rng.standard_normal(symbols) * scale).astype(np.int16)
        """(n,)"""
        drawn, scale_ = torch.from_numpy(self.symbols).double(), torch.from_numpy(scale)
        self.bits = scale_tables.bits(drawn, scale_).numpy()
        """(n,) ideal bits of each symbol."""

    def item(
        self,
        symbols: int | None = None,
        blocks: int = 1,
        wide: bool = False,
        start: int = 0,
    ) -> Item:
        """`symbols` of them (all by default) from `start`, in contiguous blocks of one size.

        Symbols are int16, or int32 if `wide`; indexes are uint8.
        """
        stop = self.symbols.size if symbols is None else start + symbols
        edges = np.linspace(start, stop, blocks + 1).astype(int).tolist()
        symbols_: Symbols = self.symbols.astype(np.int32) if wide else self.symbols
        indexes: NDArray[np.uint8] = self.levels + np.uint8(1)  # 0 would be "skip".
        none = np.zeros(0, np.uint32)
        return Item(
            self.name,
            self.description,
            tuple(
                Block(symbols_[a:b], indexes[a:b], self.tables, none)
                for a, b in zip(edges[:-1], edges[1:], strict=True)
            ),
            float(self.bits[start:stop].sum()),
        )


class _RecordingEncoder:
    """Stands in for an `Encoder` and keeps what it is given, types and all."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.blocks: list[Block] = []

    def add(
        self,
        symbols: Symbols,
        indexes: Indexes,
        tables: Tables,
        overrides: NDArray[np.uint32],
    ) -> None:
        """Append a block."""
        # Copies, as a writer may use its arrays again.
        self.blocks.append(Block(symbols.copy(), indexes.copy(), tables, overrides.copy()))
        self.encoder.add(symbols, indexes, tables, overrides)

    def finish(self, segments: int, lanes: int) -> bytes:
        """The stream."""
        return self.encoder.finish(segments, lanes)


class RecordingWriter(SymbolWriter):
    """A `SymbolWriter` of one item that keeps the blocks which it hands to the coder."""

    def __init__(self) -> None:
        self._recorder = _RecordingEncoder(Encoder())
        super().__init__(1, HostCoders(lambda: cast(Encoder, self._recorder)))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What has been handed over so far."""
        return tuple(self._recorder.blocks)


@torch.inference_mode()
def picture_items(
    codec: Codec, name: str, pixels: NDArray[np.uint8], qualities: Sequence[int | None]
) -> list[tuple[Item, bytes]]:
    """The blocks that `codec` hands to the coder for a picture (H, W, C), and the coder's stream.

    One item for each quality (None for a fixed-rate model). Ideal bits are the model's own
    likelihoods of its symbols, with scales as they are instead of the nearest table's.
    """
    items = []
    height, width, _ = pixels.shape
    for asked in qualities:
        quality = codec.check_quality(asked)
        writer = RecordingWriter()
        condition = codec.condition(quality)
        x = to_tensor(pixels).to(codec.device)
        codec.network.code_picture(x, (1, height, width), condition, writer)
        bits = math.fsum(codec.estimate_bits(Picture(pixels), quality).values())
        label = name if quality is None else f"{name}, quality {quality}"
        description = f"latents of a {width}x{height} picture by the model {codec.name}"
        (stream,) = writer.finish()
        items.append((Item(label, description, writer.blocks, bits), stream))
    return items


PICTURE_IDEAL = "the model's own likelihoods of the symbols, scales not rounded to tables"
