"""What a frame's time does to features."""

import torch

from kodec.models.fields.temporal import AdaptiveInstanceNorm


def test_one_position_is_its_own_mean() -> None:
    torch.manual_seed(0)
    norm = AdaptiveInstanceNorm(4, 3, "gelu")
    code = torch.randn(2, 3)
    alone = norm(torch.randn(2, 4, 1, 1), code)
    flat = norm(torch.full((2, 4, 2, 2), 0.7), code)
    assert torch.allclose(alone.expand_as(flat), flat)
