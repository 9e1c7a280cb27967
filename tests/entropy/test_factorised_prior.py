"""The factorised prior: a cumulative, and tables that follow it."""

import math

import pytest
import torch
from torch import Tensor

from kodec.entropy import FactorisedPrior, SymbolReader, SymbolWriter
from kodec.entropy.ports.relaxation import under_noise

SPREADS = torch.tensor([0.3, 2.0, 15.0])[:, None]
MEANS = torch.tensor([0.0, -4.0, 30.0])[:, None]


def samples(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return MEANS + SPREADS * torch.randn(3, count, generator=generator)


@pytest.fixture(scope="module")
def trained() -> FactorisedPrior:
    """Three channels, trained a little on Gaussian samples."""
    torch.manual_seed(0)
    prior = FactorisedPrior(3)
    optimiser = torch.optim.Adam(prior.parameters(), lr=0.03)
    for step in range(500):
        values = samples(256, step)
        block = prior.distribution(torch.Size((256, 3)))
        loss = block.training_bits(under_noise(values.T), block.quantise(values.T)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    prior.build()
    return prior.double()


@torch.no_grad()
def test_cumulative_rises(trained: FactorisedPrior) -> None:
    torch.manual_seed(1)
    rough = FactorisedPrior(3)
    for parameter in rough.parameters():
        torch.nn.init.normal_(parameter)
    points = torch.linspace(-200, 200, 4001, dtype=torch.float64).expand(3, -1)
    for prior in (trained, rough.double()):
        assert (prior.logits(points).diff(dim=1) > 0).all()
        total = prior.probability(torch.arange(-3000.0, 3001.0).double().expand(3, -1)).sum(1)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-3)


@torch.no_grad()
def test_training_approaches_the_entropy(trained: FactorisedPrior) -> None:
    values = samples(4000, 10**6).T.double()
    bits = trained.distribution(torch.Size((4000, 3))).bits(torch.round(values)).mean(0)
    ideal = torch.log2(SPREADS * math.sqrt(2 * math.pi * math.e)).squeeze(1)
    # At 0.3 the formula for fine quantisation does not hold.
    assert (bits[1:] < ideal[1:] + 0.15).all()
    assert bits[0] < 0.6


@torch.no_grad()
def test_tables_cover_the_mass_and_match_it(trained: FactorisedPrior) -> None:
    arrays = trained.coder.arrays()
    start = 0
    for channel, size in enumerate(arrays["sizes"].tolist()):
        frequencies = arrays["frequencies"][start : start + size]
        start += size
        first = int(arrays["offsets"][channel])
        points = torch.arange(first, first + size - 1, dtype=torch.float64).expand(3, -1)
        p = trained.probability(points)[channel]
        assert p.sum() > 1 - 2.0**-14
        q = torch.from_numpy(frequencies[:-1] / 2.0**14)
        # Rare codes are rounded up to one unit each, which the others pay.
        assert (p - q).abs().max() < size * 2.0**-14
        excess = (p * torch.log2(p / q)).sum()
        assert excess < 0.02


@torch.no_grad()
def test_coded_at_its_own_estimate_outliers_included(trained: FactorisedPrior) -> None:
    values = torch.round(samples(3000, 5).double())[None]
    values[0, 1, 7] = 12345
    block = trained.distribution(values.shape)
    writer = SymbolWriter(1)
    assert torch.equal(writer.code("z", values, block), values)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    assert torch.equal(reader.code("z", None, block), values)
    reader.finish()
    assert len(stream) < 1.01 * block.bits(values).sum().item() / 8 + 64


def test_building_needs_no_training_and_repeats() -> None:
    torch.manual_seed(0)
    prior = FactorisedPrior(5)
    prior.build()
    first = prior.coder.native.fingerprint
    prior.build()
    assert prior.coder.native.fingerprint == first
    assert prior.matrices[0].dtype == torch.float32


def test_supports_beyond_the_alphabet_escape() -> None:
    torch.manual_seed(0)
    prior = FactorisedPrior(2, init_scale=1e5)
    prior.build()
    assert prior.coder.arrays()["sizes"].max() <= 256
    values = torch.tensor([[[-20000.0, 0.0, 77777.0], [1.0, 2.0, 3.0]]])
    block = prior.distribution(values.shape)
    writer = SymbolWriter(1)
    writer.code("z", values, block)
    reader = SymbolReader(writer.finish())
    assert torch.equal(reader.code("z", None, block), values)
