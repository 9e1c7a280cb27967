"""What training has in place of rounding: limits, gradients, and what the meter makes of it."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from kodec.entropy import LocationScale, RateMeter, Relaxation, ScaleTables
from kodec.entropy.ports.relaxation import soft_round, soft_round_mean
from kodec.native import InvalidInputError

POINTS = torch.linspace(-3.21, 3.19, 129, dtype=torch.float64)
"""None of them in the middle between two integers."""


def test_soft_rounding_lies_between_rounding_and_nothing() -> None:
    assert torch.allclose(soft_round(POINTS, 1e-4), torch.round(POINTS), atol=1e-9)
    assert torch.allclose(soft_round(POINTS, 1e4), POINTS, atol=1e-6)
    integers = torch.arange(-3.0, 4.0)
    for temperature in (0.05, 0.3, 2.0):
        assert (soft_round(POINTS, temperature).diff() > 0).all()
        for fixed in (integers, integers + 0.5):
            assert torch.allclose(soft_round(fixed, temperature), fixed, atol=1e-6)
    error = [(soft_round(POINTS, t) - torch.round(POINTS)).abs().mean() for t in (0.1, 0.3, 1.0)]
    assert error[0] < error[1] < error[2]


def test_the_mean_behind_lies_between_rounding_and_the_noisy_value() -> None:
    assert torch.allclose(soft_round_mean(POINTS, 0.01), torch.round(POINTS), atol=0.1)
    assert torch.allclose(soft_round_mean(POINTS, 1e3), POINTS, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.15, 0.5])
def test_the_mean_behind_is_the_mean_of_what_was_sent(temperature: float) -> None:
    """Of many values under noise, those that came to about the same."""
    torch.manual_seed(0)
    x = 4 * torch.rand(2_000_000) - 2
    z = soft_round(x, temperature) + torch.rand_like(x) - 0.5
    for wanted in (-0.8, -0.3, 0.1, 0.45, 1.2):
        mean = x[(z - wanted).abs() < 0.01].mean()
        found = soft_round_mean(torch.tensor(wanted), temperature)
        assert found.item() == pytest.approx(mean.item(), abs=0.02)


@pytest.mark.parametrize("temperature", [0.15, 0.5, 5.0])
def test_gradients_are_the_functions_own(temperature: float) -> None:
    x = (POINTS + 0.01).requires_grad_()
    for function in (soft_round, soft_round_mean):
        assert torch.autograd.gradcheck(lambda x, f=function: f(x, temperature), (x,))


def block() -> tuple[LocationScale, Tensor]:
    torch.manual_seed(1)
    mean = torch.rand(2, 500, dtype=torch.float64) - 0.5
    log_scale = torch.randn(2, 500, dtype=torch.float64).abs()
    y = 4 * torch.randn(2, 500, dtype=torch.float64)
    return LocationScale(mean, log_scale, ScaleTables()), y.requires_grad_()


def passed(values: Literal["rounding", "noise"], temperature: float | None) -> tuple[Any, ...]:
    """The block, its latents, what came out of the meter, and the gradient of its sum."""
    dist, y = block()
    meter = RateMeter(training=True, relaxation=Relaxation(values, temperature))
    torch.manual_seed(2)
    seen = meter.code("y", y, dist)
    (gradient,) = torch.autograd.grad(seen.sum(), y, retain_graph=True)
    meter.total().sum().backward()
    assert y.grad is not None and y.grad.isfinite().all() and y.grad.any()
    return dist, y.detach(), seen.detach(), gradient


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_rounding_is_what_decoders_see(temperature: float | None) -> None:
    dist, y, seen, gradient = passed("rounding", temperature)
    assert torch.allclose(seen, dist.dequantise(dist.quantise(y)), atol=1e-12)
    if temperature is None:
        assert (gradient == 1).all()
    else:
        # Steep between two integers, flat at them.
        far = (y - dist.mean - torch.round(y - dist.mean)).abs()
        assert gradient[far > 0.45].min() > 1 > gradient[far < 0.05].max() > 0


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_noise_is_what_it_is_called(temperature: float | None) -> None:
    _, y, seen, _ = passed("noise", temperature)
    assert (seen - y).abs().max() <= 1 and (seen - y).abs().mean() > 0.05


def test_soft_values_come_close_to_the_decoder_s() -> None:
    dist, y, seen, _ = passed("noise", 0.02)
    # Noise may carry a value that is rounded into the next interval nowhere but at its edge.
    rounded = dist.dequantise(dist.quantise(y))
    assert ((seen - rounded).abs() < 0.2).double().mean() > 0.95


def test_estimates_do_not_relax() -> None:
    dist, y = block()
    meters = [RateMeter(False, Relaxation("noise", t)) for t in (None, 0.3)]
    values = [meter.code("y", y, dist) for meter in meters]
    assert torch.equal(values[0], values[1]) and torch.equal(meters[0].total(), meters[1].total())


@pytest.mark.parametrize("wrong", [{"values": "gumbel"}, {"temperature": 0.0}])
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Relaxation(**wrong)
