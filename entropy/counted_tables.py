"""Integers under tables that were counted: one for each context, smoothed by what contexts share.

Nothing here is a floating-point number where coding depends on it: contexts are integers, and so
are the tables, which a model file holds.
"""

import torch
from torch import Tensor

from kodec.native import InvalidInputError, Tables

from .distributions import Integers
from .integer_tables import MAX_CODES, IntegerTables, WithTables, quantise_pmf

# How many counts of what all contexts of a group have together a context has before its own.
_PRIOR = 12.0
_ESCAPE_BITS = 8.0


class CountedTables(WithTables):
    """Tables of integers `least` to `most` by context; others are escapes.

    counts (buffer, (contexts, codes) int32, the last code the escape): how often each was seen.
    group: how many neighbouring contexts share what is expected before any is counted.
    """

    counts: Tensor

    def __init__(self, contexts: int, least: int, most: int, group: int = 1) -> None:
        super().__init__()
        codes = most - least + 2
        if not (1 <= contexts < 2**16 and 2 <= codes <= MAX_CODES and contexts % group == 0):
            raise InvalidInputError(
                f"counted tables have 1 to 65535 contexts in whole groups and 2 to {MAX_CODES} "
                f"codes, not {contexts} by {group} and {codes}"
            )
        self.least, self.most, self.group = least, most, group
        self.register_buffer("counts", torch.zeros(contexts, codes, dtype=torch.int32))
        self.coder = IntegerTables()
        self._costs: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def count(self, values: Tensor, contexts: Tensor) -> None:
        """Count integers (any shape) in contexts of the same shape, -1 for none."""
        codes = self.counts.shape[1]
        counted = contexts >= 0
        code = self._codes(values[counted].long())
        flat = contexts[counted].long() * codes + code
        found = torch.bincount(flat, minlength=self.counts.numel())
        self.counts += found.view_as(self.counts).to(self.counts)

    def _codes(self, values: Tensor) -> Tensor:
        last = self.counts.shape[1] - 1
        code = values - self.least
        return torch.where((code < 0) | (code >= last), last, code)

    def probabilities(self) -> Tensor:
        """Of each context's codes, (contexts, codes) float64."""
        counts = self.counts.double().cpu()
        whole = counts.sum(0, keepdim=True) + 1 / 16
        groups = counts.view(-1, self.group, counts.shape[1]).sum(1)
        groups = groups + _PRIOR * whole / whole.sum()
        groups = (groups / groups.sum(1, keepdim=True)).repeat_interleave(self.group, 0)
        mixed = counts + _PRIOR * groups
        return mixed / mixed.sum(1, keepdim=True)

    def build(self) -> None:
        """Fill the tables from the counts."""
        tables = [quantise_pmf(row) for row in self.probabilities().numpy()]
        self.coder.fill(tables, [self.least] * len(tables), [0] * len(tables))
        self._costs = None

    def lengths(self) -> Tensor:
        """Bits of each context's codes, (contexts, codes) float64; escapes whole."""
        if self._costs is None or not torch.equal(self._costs[0], self.counts):
            costs = -torch.log2(self.probabilities())
            costs[:, -1] += _ESCAPE_BITS
            self._costs = self.counts.clone(), costs
        return self._costs[1]

    def bits(self, values: Tensor, contexts: Tensor) -> Tensor:
        """Code length of integers (any shape) in contexts; none in context -1."""
        costs = self.lengths()[contexts.clamp(min=0).long(), self._codes(values.long())]
        return torch.where(contexts >= 0, costs, 0.0)


class CountedBlock(Integers):
    """Integers (N, ...) in contexts of the same shape; in context -1 they are 0 and no bits."""

    def __init__(self, counted: CountedTables, contexts: Tensor) -> None:
        self.counted, self.contexts = counted, contexts
        self.shape = contexts.shape

    def bits(self, y: Tensor) -> Tensor:
        """Code length of each in bit."""
        return self.counted.bits(y, self.contexts)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Context + 1; never close."""
        kind = torch.uint8 if len(self.counted.counts) < 256 else torch.uint16
        return (self.contexts + 1).to(kind).contiguous(), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """One a context."""
        return self.counted.coder.native
