"""What every transform keeps to: a new one joins by a line below."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from kodec.models import (
    ELICAnalysis,
    ELICSynthesis,
    GDNAnalysis,
    GDNSynthesis,
    RectifiedAnalysis,
    RectifiedSynthesis,
    ResidualAnalysis,
    ResidualSynthesis,
    SwinAnalysis,
    SwinSynthesis,
    WaLLoCAnalysis,
    WaLLoCSynthesis,
)


class Pair(NamedTuple):
    analysis: Callable[[], nn.Module]
    synthesis: Callable[[], nn.Module]
    channels: int
    stride: int = 16


def pair(
    analysis: Callable[..., nn.Module],
    synthesis: Callable[..., nn.Module],
    channels: int,
    stride: int = 16,
    **arguments: object,
) -> Pair:
    return Pair(lambda: analysis(**arguments), lambda: synthesis(**arguments), channels, stride)


PAIRS = {
    "gdn": pair(GDNAnalysis, GDNSynthesis, 7, width=5, latents=7),
    "rectified": pair(RectifiedAnalysis, RectifiedSynthesis, 7, width=5, latents=7),
    "residual": pair(ResidualAnalysis, ResidualSynthesis, 5, width=5),
    "attention": pair(ResidualAnalysis, ResidualSynthesis, 6, width=6, attention=True),
    "mlic++": pair(ResidualAnalysis, ResidualSynthesis, 7, width=4, latents=7, activation="gelu"),
    "elic": pair(ELICAnalysis, ELICSynthesis, 10, width=6, latents=10),
    "swin": pair(
        SwinAnalysis,
        SwinSynthesis,
        6,
        width=8,
        latents=6,
        depths=(1, 2, 1),
        heads=(1, 2, 4),
        window=4,
        enhancement=4,
    ),
    "swin without enhancement": pair(
        SwinAnalysis,
        SwinSynthesis,
        6,
        width=8,
        latents=6,
        depths=(1, 1, 1),
        heads=(1, 2, 4),
        window=4,
        enhancement=0,
    ),
    "walloc": Pair(lambda: WaLLoCAnalysis(2, 5), lambda: WaLLoCSynthesis(2, 5, width=6), 5, 4),
    "walloc, 3 levels": Pair(lambda: WaLLoCAnalysis(), lambda: WaLLoCSynthesis(width=8), 12, 8),
}
every_pair = pytest.mark.parametrize("name", PAIRS)


@every_pair
@torch.no_grad()
def test_shapes_and_stride(name: str) -> None:
    torch.manual_seed(0)
    analysis, synthesis = PAIRS[name].analysis(), PAIRS[name].synthesis()
    stride = PAIRS[name].stride
    assert analysis.stride == synthesis.stride == stride
    for rows, columns in [(1, 1), (3, 2)]:
        x = torch.rand(2, 3, rows * stride, columns * stride)
        y = analysis(x, torch.tensor([1.0, 2.0]))
        assert y.shape == (2, PAIRS[name].channels, rows, columns)
        assert synthesis(y, None).shape == x.shape


@every_pair
def test_gradients_reach_every_weight_and_the_pixels(name: str) -> None:
    torch.manual_seed(0)
    transform = nn.Sequential(PAIRS[name].analysis(), PAIRS[name].synthesis())
    x = torch.rand(1, 3, 4 * PAIRS[name].stride, 3 * PAIRS[name].stride, requires_grad=True)
    transform(x).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and x.grad.any()
    for weight_name, weight in transform.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), weight_name


@every_pair
@torch.no_grad()
def test_items_of_a_batch_are_independent(name: str) -> None:
    torch.manual_seed(0)
    transform = nn.Sequential(PAIRS[name].analysis(), PAIRS[name].synthesis()).eval()
    x = torch.rand(2, 3, 2 * PAIRS[name].stride, 3 * PAIRS[name].stride)
    assert torch.allclose(transform(x)[1:], transform(x[1:]), atol=1e-5)


def farthest(transform: nn.Module, x: torch.Tensor, unit_in: int, unit_out: int) -> int:
    """How many latent rows away an output row still depends on an input row."""
    x = x.requires_grad_()
    out = transform(x)
    rows = x.shape[-2] // unit_in
    most = 0
    for row in (rows // 2, rows // 2 + 1):
        for inner in {0, unit_out - 1}:
            weights = torch.randn_like(out[..., row * unit_out + inner, :])
            target = (out[..., row * unit_out + inner, :] * weights).sum()
            (grad,) = torch.autograd.grad(target, x, retain_graph=True)
            touched = grad.abs().amax(dim=(0, 1, 3)).nonzero().flatten() // unit_in
            most = max(most, int((touched - row).abs().max()))
    return most


@pytest.mark.parametrize(
    "name", [n for n, p in PAIRS.items() if getattr(p.analysis(), "reach", None) is not None]
)
def test_reach_is_as_far_as_the_networks_look(name: str) -> None:
    torch.manual_seed(0)
    analysis: Any = PAIRS[name].analysis().double()
    synthesis: Any = PAIRS[name].synthesis().double()
    stride = PAIRS[name].stride
    x = torch.rand(2, 3, 28 * stride, stride, dtype=torch.float64)
    y = torch.randn(2, PAIRS[name].channels, 28, 2, dtype=torch.float64)
    assert analysis.reach - 1 <= farthest(analysis, x, stride, 1) <= analysis.reach
    assert synthesis.reach - 1 <= farthest(synthesis, y, 1, stride) <= synthesis.reach


@torch.no_grad()
def test_unknown_activations_are_refused() -> None:
    with pytest.raises(ValueError, match="gelu"):
        ResidualAnalysis(4, activation="tanh")  # type: ignore[arg-type]
