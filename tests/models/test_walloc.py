"""WaLLoC's transforms: published sizes, and a linear analysis."""

import pytest
import torch

from kodec.models import WaLLoCAnalysis, WaLLoCSynthesis


@pytest.mark.parametrize(
    "levels, latents, encoder, decoder",
    [(3, 12, 2_316, 56_883_648), (4, 48, 36_912, 61_114_368)],
)
def test_published_sizes(levels: int, latents: int, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        analysis = WaLLoCAnalysis(levels, latents)
        synthesis = WaLLoCSynthesis(levels, latents)
    assert sum(p.numel() for p in analysis.parameters()) == encoder
    assert sum(p.numel() for p in synthesis.parameters()) == decoder


@torch.no_grad()
def test_the_analysis_is_affine() -> None:
    torch.manual_seed(0)
    analysis = WaLLoCAnalysis(2, 5).double()
    a, b = torch.rand(2, 1, 3, 16, 8, dtype=torch.float64)
    middle = analysis((a + b) / 2)
    assert torch.allclose(middle, (analysis(a) + analysis(b)) / 2, atol=1e-12)
