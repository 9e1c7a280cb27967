"""Convolutional transforms: shapes, and the sizes of the published architectures."""

import pytest
import torch
from compressai.models import Cheng2020Anchor, MeanScaleHyperprior, ScaleHyperprior
from torch import nn

from kodec.models import GDNAnalysis, GDNSynthesis, ResidualAnalysis, ResidualSynthesis


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    "analysis, synthesis, latents",
    [
        (lambda: GDNAnalysis(8, 12), lambda: GDNSynthesis(8, 12), 12),
        (lambda: ResidualAnalysis(8), lambda: ResidualSynthesis(8), 8),
    ],
    ids=["gdn", "residual"],
)
@torch.no_grad()
def test_shapes(analysis: type[nn.Module], synthesis: type[nn.Module], latents: int) -> None:
    forward, back = analysis(), synthesis()
    assert forward.stride == back.stride == 16
    y = forward(torch.rand(2, 3, 48, 32), torch.tensor([1.0, 2.0]))
    assert y.shape == (2, latents, 3, 2)
    assert back(y, None).shape == (2, 3, 48, 32)


@pytest.mark.parametrize("peer", [ScaleHyperprior, MeanScaleHyperprior])
def test_gdn_sizes_are_compressais(peer: type[nn.Module]) -> None:
    published = peer(128, 192)
    assert size(GDNAnalysis()) == size(published.g_a)
    assert size(GDNSynthesis()) == size(published.g_s)


def test_residual_sizes_are_compressais_without_attention() -> None:
    published = Cheng2020Anchor(128)
    assert size(ResidualAnalysis()) == size(published.g_a)
    assert size(ResidualSynthesis()) == size(published.g_s)


@torch.no_grad()
def test_gdn_computes_what_compressai_does() -> None:
    torch.manual_seed(0)
    ours, published = GDNAnalysis(8, 12), MeanScaleHyperprior(8, 12).g_a
    ours.layers.load_state_dict(published.state_dict())
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(ours(x), published(x))
