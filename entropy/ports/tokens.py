"""Codebook indices: a class by frequency rank, then the member's digits.

    index --rank by frequency--> rank --> class (one table) and member (raw bits)

Ranks 0, 1, 2, ... fall into classes of 1, 1, ..., 2, 2, ..., 4, ... members, whose entries are
about equally frequent, so that 262,144 entries take one table of at most 255 classes.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.distributions import Integers
from kodec.entropy.integer_tables import IntegerTables, WithTables, quantise_pmf
from kodec.native import BitstreamError, InvalidInputError, Tables

from .port import SymbolPort

LARGEST_CODEBOOK = 2**24
DIGIT_BITS = 8
# Classes of each size, from one member on: 128 classes of 1, then 6 of each power of two.
SINGLE = 128
OF_EACH_SIZE = 6


@cache
def class_sizes(entries: int) -> NDArray[np.int64]:
    """Bits of a member of each class, (classes,): all classes together hold `entries` or more."""
    bits, held, size = [], 0, 0
    while held < entries:
        number = SINGLE if size == 0 else OF_EACH_SIZE
        for _ in range(number):
            if held < entries:
                bits.append(size)
                held += 1 << size
        size += 1
    return np.array(bits, np.int64)


class Categorical(WithTables):
    """How often each of `entries` codebook entries is used, the same at every position.

    counts (buffer, (entries,) float64): learned by `count`; uniform before. Raises
    `InvalidInputError` for a codebook of less than 1 or more than 2^24 entries.
    """

    counts: Tensor

    def __init__(self, entries: int) -> None:
        super().__init__()
        if not 1 <= entries <= LARGEST_CODEBOOK:
            raise InvalidInputError(
                f"a codebook has 1 to {LARGEST_CODEBOOK} entries, not {entries}"
            )
        self.entries = entries
        self.register_buffer("counts", torch.ones(entries, dtype=torch.float64))
        self.coder = IntegerTables()
        self._ranked: tuple[Tensor, Tensor, Tensor] | None = None
        """Counts, and the entries by them and their ranks: sorted once while counts stay."""

    @property
    def digits(self) -> int:
        """Symbols that a member takes; with its class, an index takes one more."""
        return -(-int(class_sizes(self.entries)[-1]) // DIGIT_BITS)

    @torch.no_grad()
    def count(self, indices: Tensor, keep: float = 0.0) -> None:
        """Let the counts be those of `indices` (integers, any shape), old ones times `keep`."""
        new = torch.bincount(indices.reshape(-1).to(self.counts.device), minlength=self.entries)
        self.counts.mul_(keep).add_(new)

    def ranks(self) -> tuple[Tensor, Tensor]:
        """The entries by falling count, and each entry's rank; both (entries,) int64."""
        counts, ranked = self.counts, self._ranked
        if ranked is None or ranked[0].device != counts.device or not ranked[0].equal(counts):
            by_rank = torch.argsort(-counts, stable=True)
            rank = torch.empty_like(by_rank)
            rank[by_rank] = torch.arange(self.entries, device=rank.device)
            ranked = self._ranked = counts.clone(), by_rank, rank
        return ranked[1:]

    def class_counts(self, by_rank: Tensor) -> NDArray[np.float64]:
        """How often each class is used, (classes,), given the entries by rank; never 0."""
        counts = self.counts[by_rank].cpu().numpy() + 1 / 16
        return np.add.reduceat(counts, _first_ranks(self.entries))

    def build(self) -> None:
        """Fill the classes' table from the counts."""
        mass = self.class_counts(self.ranks()[0])
        # Two codes at least, and the escape, which nothing uses.
        pmf = np.append(mass, [0.0] if len(mass) > 1 else [0.0, 0.0])
        self.coder.fill([quantise_pmf(pmf)], [0], [0])


def code_tokens(
    port: SymbolPort, name: str, indices: Tensor | None, categorical: Categorical, shape: torch.Size
) -> Tensor:
    """Pass codebook indices of `shape` (N, ...) through the port; int64, on the CPU.

    Raises `BitstreamError` where a stream names an entry that the codebook lacks.
    """
    by_rank, rank = categorical.ranks()
    bits = torch.from_numpy(class_sizes(categorical.entries))
    first = torch.from_numpy(_first_ranks(categorical.entries))
    classes = members = None
    if indices is not None:
        if indices.shape != shape:
            raise InvalidInputError(
                f"{name!r} has shape {tuple(indices.shape)}, not {tuple(shape)}"
            )
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(rank):
            raise InvalidInputError(f"{name!r} names entries outside of 0..{len(rank) - 1}")
        ranks = rank[indices.to(rank.device).long()].cpu()
        classes = torch.searchsorted(first, ranks, right=True) - 1
        members = ranks - first[classes]
    chosen = port.code(name, classes, _Classes(categorical, by_rank, shape)).long().cpu()
    if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(bits):
        raise BitstreamError(f"{name!r} names a class that its codebook lacks: a damaged stream")
    left = bits[chosen]
    total = torch.zeros(shape, dtype=torch.int64)
    for place in range(categorical.digits):
        width = (left - DIGIT_BITS * place).clamp(0, DIGIT_BITS)
        digit = None
        if members is not None:
            digit = members >> (DIGIT_BITS * place) & ((1 << width) - 1)
        digits = port.code(name, digit, RawDigits(width)).long().cpu()
        total += digits << (DIGIT_BITS * place)
    found = first[chosen] + total
    if found.numel() and int(found.max()) >= categorical.entries:
        raise BitstreamError(f"{name!r} names an entry that its codebook lacks: a damaged stream")
    return by_rank.cpu()[found]


def _first_ranks(entries: int) -> NDArray[np.int64]:
    """The first rank of each class, (classes,)."""
    sizes: NDArray[np.int64] = 1 << class_sizes(entries)
    first: NDArray[np.int64] = np.cumsum(sizes) - sizes
    return first


class _Classes(Integers):
    """The classes of a block of indices, all of one table."""

    def __init__(self, categorical: Categorical, by_rank: Tensor, shape: torch.Size) -> None:
        self.categorical = categorical
        self.by_rank = by_rank
        self.shape = shape

    def bits(self, y: Tensor) -> Tensor:
        """By the counts."""
        mass = torch.from_numpy(self.categorical.class_counts(self.by_rank))
        return -torch.log2(mass / mass.sum())[y.long()]

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Always the one table."""
        return torch.ones(self.shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """The classes' table."""
        return self.categorical.coder.native


class RawDigits(Integers):
    """Integers of as many raw bits as `width` (N, ...), 0 to 8, says at each place."""

    def __init__(self, width: Tensor) -> None:
        self.width = width
        self.shape = width.shape

    def bits(self, y: Tensor) -> Tensor:
        """The widths."""
        return self.width.double()

    def indexes(self) -> tuple[Tensor, Tensor]:
        """The width itself: no bits are a skip."""
        return self.width.to(torch.uint8).contiguous(), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """One table a width, of one code and the escape."""
        return _raw_tables().native


@cache
def _raw_tables() -> IntegerTables:
    holder = IntegerTables()
    one_code = quantise_pmf(np.array([1.0, 0.0]))
    holder.fill([one_code] * DIGIT_BITS, [0] * DIGIT_BITS, list(range(1, DIGIT_BITS + 1)))
    return holder
