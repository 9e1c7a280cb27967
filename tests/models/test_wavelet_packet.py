"""The wavelet packet beside PyWavelets, and its inverse."""

import numpy as np
import pytest
import pywt
import torch

from kodec.models import WaveletPacket


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (8, 2), (16, 34)])
def test_one_level_is_pywavelets(size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    low, (down, along, both) = pywt.dwt2(x, "bior4.4", mode="periodization")
    ours = WaveletPacket(1)(torch.from_numpy(x)).numpy()
    for band, expected in enumerate((low, down, along, both)):
        assert np.allclose(ours[:, band::4], expected, atol=1e-12)


def test_levels_split_every_band_again() -> None:
    x = torch.randn(1, 2, 16, 8, dtype=torch.float64)
    once = WaveletPacket(1)
    assert torch.equal(WaveletPacket(3)(x), once(once(once(x))))


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_the_inverse_is_exact(levels: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    packet = WaveletPacket(levels)
    x = torch.randn(2, 3, *(side << levels for side in size), dtype=torch.float64)
    y = packet(x)
    assert y.shape == (2, 3 << 2 * levels, *size)
    # The published taps themselves are exact to 1e-12.
    assert (packet.inverse(y) - x).abs().max() < 1e-10
    coefficients = torch.randn_like(y)
    assert (packet(packet.inverse(coefficients)) - coefficients).abs().max() < 1e-10
    single = packet.inverse(packet(x.float()))
    assert single.dtype == torch.float32 and (single - x).abs().max() < 1e-5


def test_autocasting_does_not_coarsen_it() -> None:
    x = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (WaveletPacket(2).inverse(WaveletPacket(2)(x)) - x).abs().max() < 1e-5
