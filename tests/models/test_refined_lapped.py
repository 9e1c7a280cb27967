"""The default model's transforms start as the linear codec."""

import pytest
import torch

from kodec.models import (
    LappedAnalysis,
    LappedSynthesis,
    RefinedLappedAnalysis,
    RefinedLappedSynthesis,
)

QUALITY = torch.tensor([3.0, 60.0])


def pair() -> tuple[RefinedLappedAnalysis, RefinedLappedSynthesis]:
    torch.manual_seed(0)
    return RefinedLappedAnalysis((4, 8, 12)), RefinedLappedSynthesis((4, 8, 12), blocks=2)


@pytest.mark.parametrize("quality", [QUALITY, None])
@torch.no_grad()
def test_shapes_and_start(quality: torch.Tensor | None) -> None:
    analysis, synthesis = pair()
    x = torch.rand(2, 3, 48, 32)
    y = analysis(x, quality)
    assert y.shape == (2, 768, 3, 2)
    assert torch.allclose(y, LappedAnalysis(16, 1.4)(x), atol=1e-6)
    x_hat = synthesis(y, quality)
    assert x_hat.shape == x.shape
    assert (x_hat - x).abs().max() < 1e-5
    assert torch.allclose(x_hat, LappedSynthesis(16, 1.4)(y), atol=1e-6)


@torch.no_grad()
def test_networks_see_the_quality_once_they_are_trained() -> None:
    analysis, synthesis = pair()
    for parameter in [*analysis.parameters(), *synthesis.parameters()]:
        parameter.add_(0.05 * torch.randn_like(parameter))
    x = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    y = analysis(x, QUALITY)
    assert (y[0] - y[1]).abs().max() > 1e-3
    x_hat = synthesis(y[:1].expand(2, -1, -1, -1), QUALITY)
    assert (x_hat[0] - x_hat[1]).abs().max() > 1e-3


def test_every_weight_learns() -> None:
    analysis, synthesis = pair()
    for module in (analysis, synthesis):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    x = torch.rand(2, 3, 32, 32)
    synthesis(analysis(x, QUALITY), QUALITY).square().sum().backward()
    for module in (analysis, synthesis):
        assert not [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@torch.no_grad()
def test_linear_path_keeps_its_precision_under_autocast() -> None:
    analysis, synthesis = pair()
    x = torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        x_hat = synthesis(analysis(x))
    assert x_hat.dtype == torch.float32
    assert (x_hat - x).abs().max() < 1e-5
