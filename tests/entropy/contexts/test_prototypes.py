"""Prototypes of regions: what is coded is as large for every picture, and follows its cells."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kodec.entropy import (
    ChannelSlices,
    Conditions,
    MeanScaleHyperprior,
    RateMeter,
    RegionAdaptation,
    RegionPrototypes,
    SymbolReader,
    SymbolWriter,
    build_tables,
)
from kodec.native import InvalidInputError


def last_weight(layers: nn.Sequential) -> Tensor:
    weight = layers[-1].weight
    assert isinstance(weight, Tensor)
    return weight


def coder() -> RegionPrototypes:
    torch.manual_seed(0)
    made = RegionPrototypes(6, (5, 4), (5,), grid=3)
    with torch.no_grad():
        last_weight(made.analysis).mul_(20)
    build_tables(made)
    return made


@torch.no_grad()
def test_the_reader_gets_the_writers_prototypes_whatever_the_size() -> None:
    made = coder()
    for h, w in [(1, 1), (4, 7), (12, 9)]:
        features = torch.randn(2, 6, 4 * h, 4 * w)
        cond = Conditions(torch.Size((2, 8, h, w)))
        writer = SymbolWriter(2)
        sent = made.code(features, cond, writer)
        assert sent.shape == features.shape
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
    assert moved[4:8, 8:12].all()
    assert moved.sum() == 16


def bits_with(labels: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Prototypes, and bits of each item."""
    meter = RateMeter(training=True)
    cond = Conditions(torch.Size((2, 8, 3, 3)), hints={"regions": labels})
    return coder().code(features, cond, meter), meter.bits["prototypes"]


@torch.no_grad()
def test_every_region_of_an_item_costs_bits_and_no_other_items_do() -> None:
    features = 5 * torch.randn(2, 6, 12, 12)
    one = torch.zeros(2, 48, 48, dtype=torch.int64)
    more = one.clone()
    more[1, :24], more[1, 24:, :24], more[1, 24:, 24:] = 3, 900, 2**24 - 1
    prototypes, bits = bits_with(one, features)
    assert prototypes.shape == features.shape
    assert torch.equal(prototypes, prototypes[..., :1, :1].expand_as(prototypes))
    torch.manual_seed(0)
    prototypes, bits_of_more = bits_with(more, features)
    assert len(prototypes[1].flatten(1).unique(dim=1).T) == 3
    # Noise moves bits a little, regions threefold.
    assert bits_of_more[0] == pytest.approx(float(bits[0]), rel=0.3)
    assert bits_of_more[1] > 2 * bits[1]


def test_features_of_another_size_are_refused() -> None:
    cond = Conditions(torch.Size((1, 8, 3, 3)))
    with pytest.raises(InvalidInputError, match="per_latent"):
        coder().code(torch.zeros(1, 6, 3, 3), cond, RateMeter(training=True))


def test_an_adaptation_fits_its_hyperprior() -> None:
    for channels, features in ((8, (12, 12)), (12, (12,))):
        adaptation = RegionAdaptation(channels, features, (4, 3), (4,))
        with pytest.raises(InvalidInputError, match="give both the same"):
            MeanScaleHyperprior(12, 6, adaptation=adaptation)


@torch.no_grad()
def test_the_hyper_networks_follow_the_prototypes() -> None:
    """Without bits for it: what the prototypes say is known before z."""
    torch.manual_seed(0)
    adaptation = RegionAdaptation(8, (8, 8), (6, 4), (4,), grid=2)
    model = ChannelSlices(8, 4, count=2, widths=(4,), kernel=3, adaptation=adaptation)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    last_weight(adaptation.prototypes.analysis).mul_(20)
    y = torch.randn(1, 8, 8, 8)
    meter = RateMeter(training=False)
    model.code(y, Conditions(y.shape), meter)
    assert list(meter.bits) == ["latent_prototypes", "z", "y0", "y1"]
    before = meter.bits["y0"]
    last: Any = adaptation.prototypes.synthesis[-1]
    last.bias.add_(1)
    meter = RateMeter(training=False)
    model.code(y, Conditions(y.shape), meter)
    assert meter.bits["y0"] != before
