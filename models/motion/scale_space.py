"""Scale-space flow: motion that also says how blurred its prediction is.

    picture --> volume: it and ever more blurred ones --(x, y, scale) at each pixel--> prediction

Where no displacement predicts a pixel well, at a disocclusion or under motion blur, a blurred
prediction costs less than a sharp and wrong one. Source: "Scale-space flow for end-to-end optimized
video compression" (2020); the pyramid that makes the volume cheap is from "Generative video
compression as hierarchical variational inference" (2021).
"""

import math

import torch
from torch import Tensor, nn


def _gaussian(sigma: float, like: Tensor) -> Tensor:
    """Taps (2 ceil(3 sigma) + 1,) of a Gaussian, whose sum is 1; of `like`'s type and device."""
    half = math.ceil(3 * sigma)
    at = torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)
    taps = torch.exp(-0.5 * (at / sigma).square())
    return taps / taps.sum()


def _blurred(x: Tensor, taps: Tensor) -> Tensor:
    """(N, C, H, W) under a separable filter; beyond the edges lies the edge."""
    n, c, h, w = x.shape
    half = len(taps) // 2
    planes = nn.functional.pad(x.reshape(n * c, 1, h, w), (half,) * 4, mode="replicate")
    planes = nn.functional.conv2d(planes, taps.view(1, 1, -1, 1))
    return nn.functional.conv2d(planes, taps.view(1, 1, 1, -1)).view(n, c, h, w)


def scale_space_volume(x: Tensor, sigma: float = 1.5, levels: int = 5) -> Tensor:
    """Pictures (N, C, H, W) -> the same, ever more blurred: (N, C, levels + 1, H, W).

    The first plane is the picture; each further one is blurred by a Gaussian of `sigma` pixels at
    half the size of the one before it. H and W are multiples of 2^(levels - 1). In the precision of
    x, float32 or float64.
    """
    taps = _gaussian(sigma, x)
    coarse = _blurred(x, taps)
    planes = [x, coarse]
    for level in range(1, levels):
        coarse = _blurred(nn.functional.avg_pool2d(coarse, 2), taps)
        whole = coarse
        # Step by step: at once would be another filter than the published models'.
        for _ in range(level):
            whole = nn.functional.interpolate(
                whole, scale_factor=2, mode="bilinear", align_corners=False
            )
        planes.append(whole)
    return torch.stack(planes, dim=2)


def scale_space_warp(volume: Tensor, motion: Tensor) -> Tensor:
    """Volume (N, C, D, H, W), motion (N, 3, H, W) -> prediction (N, C, H, W), trilinear.

    motion: horizontal and vertical displacement, where 2 is the picture's whole width or height,
    then the scale, from -1 (before the first plane) to 1 (behind the last). Beyond the edges lies
    the edge. Both of the same precision.
    """
    n, _, h, w = motion.shape
    identity = torch.eye(2, 3, dtype=motion.dtype, device=motion.device).expand(n, 2, 3)
    still = nn.functional.affine_grid(identity, [n, 1, h, w], align_corners=False)
    x_y, scale = motion.permute(0, 2, 3, 1).split((2, 1), dim=-1)
    places = torch.cat([still + x_y, scale], dim=-1).unsqueeze(1)
    warped = nn.functional.grid_sample(
        volume, places, mode="bilinear", padding_mode="border", align_corners=False
    )
    return warped.squeeze(2)
