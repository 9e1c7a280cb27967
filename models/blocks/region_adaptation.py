"""Blocks whose transform adapts: to a region's prototype, and to their own input.

Source: "Region-adaptive transform with segmentation prior for image compression" (2024).
"""

import torch
from torch import Tensor, nn

from .convolution import PaddedConv2d

TAPS = 9


class ScaleAffine(nn.Module):
    """x * (1 + a) + b, where 1x1 layers compute a and b from x: (N, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.GELU(), nn.Conv2d(channels, 2 * channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        scale, shift = self.layers(x).chunk(2, dim=1)
        out: Tensor = x * (1 + scale) + shift
        return out


class RegionAdaptive(nn.Module):
    """x + a depthwise 3x3 filter of its own at every position and channel, then gated channels.

    The filters come from the features and from the prototype of the region a position lies in.
    (N, C, H, W) and the prototypes at every position, (N, `prototypes`, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, prototypes: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.LeakyReLU(0.1), nn.Conv2d(channels, channels, 1)
        )
        self.filters = nn.Sequential(
            nn.Conv2d(channels + prototypes, channels, 1),
            nn.LeakyReLU(0.1),
            PaddedConv2d(channels, channels),
            nn.LeakyReLU(0.1),
            nn.Conv2d(channels, TAPS * channels, 3, padding=1, groups=channels),
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, prototypes: Tensor) -> Tensor:
        """(N, C, H, W), (N, prototypes, H, W) -> (N, C, H, W)."""
        h, w = x.shape[-2:]
        projected = self.project(x)
        filters = self.filters(torch.cat([projected, prototypes], dim=1)).unflatten(1, (-1, TAPS))
        around = nn.functional.pad(projected, (1, 1, 1, 1))
        filtered = torch.zeros_like(projected)
        for tap in range(TAPS):
            down, along = divmod(tap, 3)
            neighbour = around[..., down : down + h, along : along + w]
            filtered = filtered + filters[:, :, tap] * neighbour
        out: Tensor = x + self.out(self.gate(filtered) * filtered)
        return out
