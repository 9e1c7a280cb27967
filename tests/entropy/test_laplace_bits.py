"""Closed forms of the gradients against those of the code length itself."""

import math

import pytest
import torch

from kodec.entropy.distributions import ScaleTables
from kodec.entropy.laplace_bits import laplace_training_bits
from kodec.models.blocks import lower_bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_and_gradients_are_those_of_the_code_length(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tables = ScaleTables("laplace", smallest=0.05, largest=200.0)
    log_scale = torch.linspace(-4.0, 5.3, 4000, dtype=dtype).requires_grad_()
    spread = log_scale.detach().exp()
    noisy = (torch.randn(4000, dtype=dtype) * (spread + 0.4)).requires_grad_()
    symbols = torch.round(noisy.detach())
    given = torch.randn(4000, dtype=dtype)

    found = laplace_training_bits(noisy, symbols, log_scale, tables.log_smallest)
    ours = torch.autograd.grad(found, (noisy, log_scale), given)

    scale = torch.exp(lower_bound(log_scale, tables.log_smallest))
    under_noise = tables.bits(noisy, scale.detach())
    expected = tables.bits(symbols, scale) + under_noise - under_noise.detach()
    theirs = torch.autograd.grad(expected, (noisy, log_scale), given)

    close = 2e-4 if dtype == torch.float32 else 1e-9
    assert torch.allclose(found, expected, rtol=close, atol=close)
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, rtol=close, atol=close * 20)
    # Neither zeros nor the smallest scale are missing from what was compared.
    assert 0.1 < (symbols == 0).double().mean() < 0.9
    assert (log_scale < math.log(0.05)).any()
