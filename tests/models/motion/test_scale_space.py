"""Scale-space volumes and warps, beside CompressAI's own functions."""

import pytest
import torch
from compressai.models.video.google import ScaleSpaceFlow
from torch import Tensor

from kodec.models.motion import scale_space_volume, scale_space_warp


def _picture(dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(2, 3, 32, 48, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_the_published_models(dtype: torch.dtype) -> None:
    """The prediction too where motion points far beyond the edges and the planes."""
    x = _picture(dtype)
    volume = scale_space_volume(x)
    assert volume.shape == (2, 3, 6, 32, 48) and volume.dtype == dtype
    theirs = ScaleSpaceFlow.gaussian_volume(x, 1.5, 5)
    assert torch.allclose(volume, theirs, atol=1e-6 if dtype == torch.float32 else 1e-13)
    motion = torch.cat(
        [torch.randn(2, 2, 32, 48, dtype=dtype), 1.5 * torch.randn(2, 1, 32, 48, dtype=dtype)], 1
    )
    # Theirs needs no weights here, and computes in float32.
    warped = ScaleSpaceFlow.warp_volume(None, volume, *motion.split((2, 1), dim=1))
    ours = scale_space_warp(volume, motion)
    assert ours.dtype == dtype
    assert torch.allclose(ours, warped.to(dtype), atol=1e-5)


def test_a_displacement_moves_the_picture_and_the_scale_blurs_it() -> None:
    x = _picture(torch.float64)
    volume = scale_space_volume(x, sigma=1.0, levels=3)
    motion = torch.zeros(2, 3, 32, 48, dtype=torch.float64)
    motion[:, 0], motion[:, 1] = 2 * 5 / 48, -2 * 3 / 32
    motion[:, 2] = -1
    moved = scale_space_warp(volume, motion)
    assert torch.allclose(moved[..., 3:, :-5], x[..., :-3, 5:])
    assert torch.allclose(moved[..., :3, -5:], x[..., :1, -1:].expand(-1, -1, 3, 5))
    spreads = []
    # Centres of the planes lie at -3/4, -1/4, 1/4 and 3/4.
    for plane in range(4):
        motion = torch.zeros_like(motion)
        motion[:, 2] = -0.75 + plane / 2
        assert torch.allclose(scale_space_warp(volume, motion), volume[:, :, plane])
        spreads.append(float(volume[:, :, plane].std()))
    assert spreads == sorted(spreads, reverse=True)


def test_gradients_reach_motion_and_picture() -> None:
    x = _picture()[:, :, :16, :16].requires_grad_()
    motion = (0.1 * torch.randn(2, 3, 16, 16)).requires_grad_()
    scale_space_warp(scale_space_volume(x), motion).square().sum().backward()
    for given in (x, motion):
        assert given.grad is not None and given.grad.isfinite().all() and given.grad.any()
    assert motion.grad is not None and motion.grad[:, 2].any()
