"""Packaged tables of Laplace distributions about any mean: what they cost, and who picks them."""

import math

import numpy as np
import torch
from torch import Tensor

from kodec.entropy import LocatedLaplace, SymbolReader, SymbolWriter
from kodec.entropy.located_laplace import packaged_tables
from located_tables import make_tables

LEAST, MOST = -64, 63


def cumulative(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.5 * torch.exp(-x.abs()), 1 - 0.5 * torch.exp(-x.abs()))


def probabilities(mean: int, log_scale: int, values: Tensor) -> Tensor:
    """Of integers, mean and log scale in 1/256."""
    scale = math.exp(log_scale / 256)
    low, high = ((values + half - mean / 256) / scale for half in (-0.5, 0.5))
    return cumulative(high) - cumulative(low)


def test_tables_cost_little_more_than_the_distributions() -> None:
    values = torch.arange(LEAST, MOST + 1).double()
    for log_scale in range(-1024, 769, 61):
        for mean in (0, 3, 40, 127, 128, 129, 200, -77, 1000, -2000):
            p = probabilities(mean, log_scale, values)
            at = torch.full((1, len(values)), mean), torch.full((1, len(values)), log_scale)
            bits = LocatedLaplace(*at, LEAST, MOST).bits(values[None])[0]
            least = -(p * torch.log2(p.clamp(min=1e-300))).sum()
            # Narrow distributions about a half spend most where a mean decides between two values.
            assert (p * bits).sum() <= 1.02 * least + 0.012, (log_scale, mean)


def test_means_and_scales_are_taken_to_the_nearest() -> None:
    scales = packaged_tables().scales
    mean = torch.arange(-70 * 256, 70 * 256, 7)[None]
    for level, log_scale in ((0, -2000), (0, -1024), (63, 768), (63, 5000), (0, -1011), (1, -1009)):
        bits, first = scales.levels[level].tolist()
        dist = LocatedLaplace(mean, torch.full_like(mean, log_scale), LEAST, MOST)
        inside = mean.clamp(LEAST * 256, MOST * 256 + 255)
        found = dist.whole + dist.sign * (dist.index - first) / 2.0**bits
        assert ((found * 256 - inside).abs() <= 128 / 2.0**bits).all()
        assert dist.index.min() == first and dist.index.max() == first + 2 ** (bits - 1)
    bits, first = scales.levels[-1].tolist()
    assert first + 2 ** (bits - 1) == len(packaged_tables().tables.native)


def test_symbols_come_back_and_values_out_of_range_are_set_to_it() -> None:
    torch.manual_seed(0)
    mean, log_scale = torch.randint(-20000, 20000, (2, 500)), torch.randint(-1500, 1500, (2, 500))
    dist = LocatedLaplace(mean, log_scale, LEAST, MOST)
    y = torch.randn(2, 500).double() * 50
    writer = SymbolWriter(2)
    sent = writer.code("y", y, dist)
    assert torch.equal(sent, torch.round(y).clamp(LEAST, MOST))
    reader = SymbolReader(writer.finish())
    assert torch.equal(reader.code("y", None, dist), sent)
    reader.finish()


def test_the_file_is_what_its_command_makes() -> None:
    made, packaged = make_tables(), packaged_tables()
    arrays = packaged.tables.arrays()
    assert np.array_equal(made["mean_bits"], packaged.scales.levels[:, 0])
    assert all(np.array_equal(made[name], arrays[name]) for name in ("sizes", "offsets", "shifts"))
    # Where frequencies are moved by one, a logarithm decides.
    assert np.abs(made["frequencies"] - arrays["frequencies"]).max() <= 1
