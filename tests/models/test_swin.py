"""Window attention and dense enhancement."""

from typing import Any

import pytest
import torch

from kodec.models import DenseEnhancement, SwinAnalysis, SwinSynthesis
from kodec.models.blocks import WindowStage


@torch.no_grad()
def test_shifted_windows_see_across_borders_and_plain_ones_do_not() -> None:
    torch.manual_seed(0)
    plain, shifted = WindowStage(4, 2, 4, [0.0]), WindowStage(4, 2, 4, [0.0, 0.0])
    x = torch.randn(1, 4, 8, 8)
    changed = x.clone()
    changed[..., 0, 0] += 1
    for stage, beyond in ((plain, False), (shifted, True)):
        moved = (stage(changed) != stage(x)).any(dim=1)[0]
        assert moved[:4, :4].any()
        assert bool(moved[4:].any() or moved[:, 4:].any()) is beyond


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        WindowStage(8, 3, 4, [0.0])


@torch.no_grad()
def test_the_enhancement_starts_as_the_identity() -> None:
    x = torch.rand(1, 3, 5, 7)
    assert torch.equal(DenseEnhancement(4)(x), x)


def test_depths_heads_and_drop_rates_are_the_published_ones() -> None:
    with torch.device("meta"):
        analysis, synthesis = SwinAnalysis(), SwinSynthesis()
    for transform, depths, heads in (
        (analysis, [1, 2, 3], [4, 8, 16]),
        (synthesis, [3, 2, 1], [16, 8, 4]),
    ):
        stages: list[Any] = [m for m in transform.modules() if isinstance(m, WindowStage)]
        assert [len(s.blocks) for s in stages] == depths
        assert [s.blocks[0].attn.num_heads for s in stages] == heads
        rates = [block.stochastic_depth.p for s in stages for block in s.blocks]
        assert rates == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1])
