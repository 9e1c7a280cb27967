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


def pair(grown: bool = False) -> tuple[RefinedLappedAnalysis, RefinedLappedSynthesis]:
    """A small pair; grown: with all that is off by default."""
    torch.manual_seed(0)
    return (
        RefinedLappedAnalysis((4, 8, 12)),
        RefinedLappedSynthesis((4, 8, 12), blocks=2, deringing=grown),
    )


@pytest.mark.parametrize("quality", [QUALITY, None])
@pytest.mark.parametrize("grown", [False, True])
@torch.no_grad()
def test_shapes_and_start(quality: torch.Tensor | None, grown: bool) -> None:
    analysis, synthesis = pair(grown)
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
    analysis, synthesis = pair(grown=True)
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


@torch.no_grad()
def test_strips_of_what_reaches_are_the_whole_picture() -> None:
    """Rows further away than the reach change nothing, with all that is off by default."""
    analysis, synthesis = pair(grown=True)
    for parameter in [*analysis.parameters(), *synthesis.parameters()]:
        parameter.add_(0.05 * torch.randn_like(parameter))
    x = torch.rand(1, 3, 16 * 20, 16)
    other = x.clone()
    other[..., -16:, :] = 0
    y, changed = analysis(x), analysis(other)
    assert torch.allclose(y[..., : 19 - analysis.reach, :], changed[..., : 19 - analysis.reach, :])
    assert not torch.allclose(y[..., 18:, :], changed[..., 18:, :])
    latents = y.clone()
    latents[..., -1:, :] = 0
    rows = 16 * (19 - synthesis.reach)
    x_hat, changed = synthesis(y), synthesis(latents)
    assert torch.allclose(x_hat[..., :rows, :], changed[..., :rows, :], atol=1e-6)
