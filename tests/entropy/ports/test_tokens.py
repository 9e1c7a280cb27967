"""Codebook indices through the ports."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kodec.entropy import (
    Categorical,
    RateMeter,
    SymbolReader,
    SymbolWriter,
    build_tables,
    code_tokens,
)
from kodec.native import InvalidInputError, KodecError


def skewed(entries: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Probabilities that fall as 1 / rank, the ranks in no order, and indices drawn from them."""
    torch.manual_seed(entries)
    p = 1 / torch.arange(1, entries + 1).double()
    p = (p / p.sum())[torch.randperm(entries)]
    drawn = torch.multinomial(p, torch.Size(shape).numel(), replacement=True)
    return p, drawn.reshape(shape)


@pytest.mark.parametrize("entries", [1, 2, 128, 129, 1000, 2**18])
def test_indices_come_back_at_their_entropy(entries: int) -> None:
    p, indices = skewed(entries, (2, 40, 50))
    categorical = Categorical(entries)
    categorical.counts.copy_(1e8 * p)
    build_tables(categorical)
    writer = SymbolWriter(2)
    assert torch.equal(code_tokens(writer, "t", indices, categorical, indices.shape), indices)
    streams = writer.finish()
    reader = SymbolReader(streams)
    reader.expect((1 + categorical.digits) * 40 * 50)
    assert torch.equal(code_tokens(reader, "t", None, categorical, indices.shape), indices)
    reader.finish()

    meter = RateMeter(training=False)
    code_tokens(meter, "t", indices, categorical, indices.shape)
    bits = meter.total().sum().item()
    assert 8 * sum(map(len, streams)) <= 1.01 * bits + 2 * 8 * 64
    # Within a class all count as equally frequent: a little beside each entry's own code.
    ideal = -p[indices].log2().sum().item()
    assert ideal - 1 <= bits <= 1.005 * ideal + 1


def test_frequent_entries_are_cheaper() -> None:
    categorical = Categorical(4096)
    often, rare = torch.full((1, 100), 3000), torch.full((1, 100), 17)
    categorical.count(torch.cat([often] * 50 + [torch.arange(4096)[None]], dim=1))
    costs = []
    for indices in (often, rare):
        meter = RateMeter(training=True)
        code_tokens(meter, "t", indices, categorical, indices.shape)
        costs.append(meter.total().item() / 100)
    assert costs[0] < 1 < 9 < costs[1]


def test_ranks_follow_the_counts_however_these_change() -> None:
    categorical = Categorical(5)
    other = Categorical(5)
    other.count(torch.tensor([4, 4]))
    changes: list[Callable[[], object]] = [
        lambda: categorical.count(torch.tensor([2])),
        lambda: categorical.load_state_dict(other.state_dict()),
        lambda: categorical.counts[1].add_(9),
    ]
    first = [int(categorical.ranks()[0][0])]
    for change in changes:
        change()
        first.append(int(categorical.ranks()[0][0]))
        assert categorical.ranks()[1][first[-1]] == 0
    assert first == [0, 2, 4, 1]


def test_entries_that_a_codebook_lacks_are_refused() -> None:
    """On writing, and on reading with a smaller codebook of as many classes."""
    small, large = Categorical(1000), Categorical(1001)
    build_tables(small)
    build_tables(large)
    indices = torch.full((1, 50), 1000)
    with pytest.raises(InvalidInputError, match="outside of 0..999"):
        code_tokens(SymbolWriter(1), "t", indices, small, indices.shape)
    writer = SymbolWriter(1)
    code_tokens(writer, "t", indices, large, indices.shape)
    reader = SymbolReader(writer.finish())
    with pytest.raises(KodecError):
        code_tokens(reader, "t", None, small, indices.shape)
        reader.finish()
    with pytest.raises(InvalidInputError, match="1 to"):
        Categorical(0)
