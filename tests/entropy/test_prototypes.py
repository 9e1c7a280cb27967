"""Prototypes of regions: what is coded is as large for every picture, and follows its cells."""

import torch

from kodec.entropy import Conditions, RateMeter, RegionPrototypes, SymbolReader, SymbolWriter


def coder() -> RegionPrototypes:
    torch.manual_seed(0)
    made = RegionPrototypes(6, (5, 4), (5,), grid=3)
    with torch.no_grad():
        made.analysis[-1].weight.mul_(20)
    made.build_tables()
    return made


@torch.no_grad()
def test_the_reader_gets_the_writers_prototypes_whatever_the_size() -> None:
    made = coder()
    for h, w in [(1, 1), (4, 7), (12, 9)]:
        features = torch.randn(2, 6, 4 * h, 4 * w)
        cond = Conditions(torch.Size((2, 8, h, w)))
        writer = SymbolWriter(2)
        sent = made.code(features, cond, writer)
        assert sent.shape == (2, 6, 3, 3)
        reader = SymbolReader(writer.finish())
        reader.expect(made.symbols(h, w))
        assert torch.equal(made.code(None, cond, reader), sent)
        reader.finish()


@torch.no_grad()
def test_a_prototype_follows_its_own_cell() -> None:
    made = coder()
    features = torch.randn(1, 6, 12, 12)
    changed = features.clone()
    changed[..., 4:8, 8:12] += 3
    cond = Conditions(torch.Size((1, 8, 3, 3)))
    before, after = (made.code(f, cond, RateMeter(training=False)) for f in (features, changed))
    moved = (before != after).any(dim=1)[0]
    assert moved.nonzero().tolist() == [[1, 2]]
