"""Integer probability tables: what the coder codes with, built once from float64 on the CPU."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kodec.native import InvalidInputError, Tables

PRECISION = 14
MAX_CODES = 256

Array = NDArray[np.float64]


def quantise_pmf(pmf: Array) -> NDArray[np.uint16]:
    """Frequencies that sum to 2**14, each at least 1, close to `pmf` in coding cost.

    `pmf`: (n,) non-negative, 2 <= n <= 256; it need not be normalised. The surplus or deficit
    of rounding goes where it changes the expected code length least.
    """
    total = 1 << PRECISION
    if pmf.ndim != 1 or not 2 <= len(pmf) <= MAX_CODES:
        raise InvalidInputError(f"a table has 2 to {MAX_CODES} codes, not {pmf.shape}")
    if not np.isfinite(pmf).all() or (pmf < 0).any() or pmf.sum() <= 0:
        raise InvalidInputError("probabilities must be finite, non-negative and not all zero")
    p = pmf / pmf.sum()
    freq = np.maximum(np.rint(p * total), 1).astype(np.int64)
    while (excess := int(freq.sum()) - total) != 0:
        step = -1 if excess > 0 else 1
        # Expected extra bits of moving one unit, infinite where the code would vanish.
        with np.errstate(divide="ignore"):
            cost = np.where(freq + step > 0, p * np.log2(freq / np.maximum(freq + step, 1e-9)), 0)
        cost[freq + step <= 0] = math.inf
        cheapest = np.argsort(cost, kind="stable")[: abs(excess)]
        cheapest = cheapest[np.isfinite(cost[cheapest])]
        freq[cheapest] += step
    result: NDArray[np.uint16] = freq.astype(np.uint16)
    return result


class IntegerTables(nn.Module):
    """A set of coder tables that travels with the model that it was built from.

    Empty until `fill` is called at export; `native` refuses to code before that. The arrays are
    kept out of the state dict: a checkpoint holds weights, a model file holds weights and tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self._arrays: dict[str, NDArray[np.int32]] | None = None
        self._native: Tables | None = None

    def fill(
        self, tables: Sequence[NDArray[np.uint16]], offsets: Sequence[int], shifts: Sequence[int]
    ) -> None:
        """Replace the set: frequencies per table (last code the escape), first symbol, raw bits."""
        self.load_arrays(
            {
                "frequencies": np.concatenate(tables).astype(np.int32),
                "sizes": np.array([len(t) for t in tables], np.int32),
                "offsets": np.asarray(offsets, np.int32),
                "shifts": np.asarray(shifts, np.int32),
            }
        )

    def load_arrays(self, arrays: dict[str, NDArray[np.int32]]) -> None:
        """Take `frequencies`, `sizes`, `offsets`, `shifts` (int32); the coder validates them."""
        for name in ("frequencies", "sizes", "shifts"):
            a = arrays[name]
            if a.size and (a.min() < 0 or a.max() > 0xFFFF):
                raise InvalidInputError(f"table array {name!r} has values out of range")
        self._native = Tables(
            arrays["frequencies"].astype(np.uint16),
            arrays["sizes"].astype(np.uint16),
            arrays["offsets"].astype(np.int32),
            arrays["shifts"].astype(np.uint8),
        )
        self._arrays = arrays

    def arrays(self) -> dict[str, NDArray[np.int32]]:
        """The arrays to store in a model file."""
        if self._arrays is None:
            raise InvalidInputError("this model has no coding tables yet: export it first")
        return self._arrays

    @property
    def native(self) -> Tables:
        """The compiled set; raises `InvalidInputError` before the model was exported."""
        if self._native is None:
            raise InvalidInputError("this model has no coding tables yet: export it first")
        return self._native

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_native"}

    def __setstate__(self, state: dict[str, object]) -> None:
        # The compiled set can't be copied or pickled; it is made again from the arrays.
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._native = None
        if self._arrays is not None:
            self.load_arrays(self._arrays)


class WithTables(nn.Module):
    """A part whose coder tables follow from its weights or settings."""

    def build(self) -> None:
        """Fill its tables; deterministic, from float64 on the CPU."""
        raise TypeError(f"{type(self).__name__} does not say how its tables are built")


def build_tables(root: nn.Module) -> None:
    """Build all coder tables inside `root` from the present weights."""
    for module in root.modules():
        if isinstance(module, WithTables):
            module.build()


def symmetric_table(cdf_half: Array) -> tuple[NDArray[np.uint16], int, int]:
    """Table of a zero-mean unimodal symmetric density: frequencies, first symbol, raw low bits.

    `cdf_half[j]` is P(|v| <= j + 1/2) for j = 0, 1, ... up to the last symbol that gets a code of
    its own. Where more than 255 codes would be needed, 2**k neighbouring symbols share one code
    and the k low bits go raw (k <= 8).
    """
    last = len(cdf_half) - 1
    shift = 0
    while (2 * last + (1 << shift)) >> shift > MAX_CODES - 2:
        shift += 1
    # Codes cover [-reach, reach'] in steps of 2**shift, aligned so that zero's bucket is central.
    buckets = -(-(2 * last + 1) // (1 << shift))
    first = -last
    edges = np.abs(np.arange(buckets + 1) * (1 << shift) + first - 0.5)
    signs = np.where(np.arange(buckets + 1) * (1 << shift) + first - 0.5 < 0, -1.0, 1.0)
    inside = np.minimum(np.floor(edges).astype(np.int64), last)
    cumulative = 0.5 * (1 + signs * cdf_half[inside])
    pmf = np.diff(cumulative)
    pmf = np.append(np.maximum(pmf, 0), max(1 - cdf_half[last], 0))
    return quantise_pmf(pmf), first, shift


def tables_of(module: nn.Module) -> dict[str, IntegerTables]:
    """Every table set inside `module`, by module path."""
    return {n: m for n, m in module.named_modules() if isinstance(m, IntegerTables)}
