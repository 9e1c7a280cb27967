"""The lapped transform: inverse, orthonormal, ordered."""

import numpy as np
import pytest
import torch

from kodec.models import LappedAnalysis, LappedSynthesis
from kodec.models.blocks.frequencies import channel_order, dct2
from kodec.models.lapped import block_matrix, dct4, prefilter


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (64, 32)])
@pytest.mark.parametrize("boost", [1.0, 1.4])
@torch.no_grad()
def test_synthesis_inverts_analysis(size: tuple[int, int], boost: float) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, *size)
    y = LappedAnalysis(16, boost)(x)
    assert y.shape == (2, 768, size[0] // 16, size[1] // 16)
    assert (LappedSynthesis(16, boost)(y) - x).abs().max() < 1e-5


@torch.no_grad()
def test_orthonormal_without_boost() -> None:
    torch.manual_seed(0)
    x, x2 = torch.rand(2, 1, 3, 32, 48, dtype=torch.float64)
    analysis = LappedAnalysis(8).double()
    y, y2 = analysis(x), analysis(x2)
    product = ((x - 0.5) * (x2 - 0.5)).sum()
    assert (y * y2).sum().item() == pytest.approx(product.item(), rel=1e-5)
    for matrix in (dct2(8), dct4(8), block_matrix(4), prefilter(8, 1.0)):
        assert np.allclose(matrix @ matrix.T, np.eye(len(matrix)))
    boosted = prefilter(8, 1.4)
    assert not np.allclose(boosted @ boosted.T, np.eye(8))


@torch.no_grad()
def test_channels_are_ordered_by_variance() -> None:
    order, spread = channel_order(8)
    assert sorted(order.tolist()) == list(range(192))
    assert (np.diff(spread) <= 0).all()
    assert order[0] == 0
    # A gray, smooth picture lies in the first channels; a flat one in the very first alone.
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    energy = LappedAnalysis(8)(ramp).square().sum(dim=(0, 2, 3))
    assert energy[:16].sum() > 0.99 * energy.sum()
    flat = LappedAnalysis(8)(torch.full((1, 3, 64, 64), 0.8))
    assert flat[:, 0].abs().min() > 1 and flat[:, 1:].abs().max() < 1e-5


@torch.no_grad()
def test_blocks_overlap() -> None:
    x = torch.full((1, 3, 32, 32), 0.5)
    x[..., 10, 15] = 1.0
    y = LappedAnalysis(16)(x)
    assert (y.abs().sum(1) > 1e-4).sum() > 1
