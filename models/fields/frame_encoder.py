"""HNeRV's encoder: frames to their embeddings, while the network is fitted."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .frame_network import draw_normal

EPSILON = 1e-6
# Embeddings that vary by less are all alike: nothing to scale.
LEAST_DEVIATION = 1e-8


class ChannelNorm(nn.Module):
    """Layer normalisation over channels at each place: (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        last = x.permute(0, 2, 3, 1)
        out = functional.layer_norm(last, last.shape[-1:], self.weight, self.bias, EPSILON)
        return out.permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x plus scaled features of depthwise 7x7 neighbourhoods: (N, C, H, W).

    Source: "A ConvNet for the 2020s" (2022).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        hidden = self.norm(self.spatial(x).permute(0, 2, 3, 1))
        hidden = self.gamma * self.project(functional.gelu(self.expand(hidden)))
        out: Tensor = x + hidden.permute(0, 3, 1, 2)
        return out


class ConvNeXtEncoder(nn.Sequential):
    """Frames (N, 3, H, W) in [0, 1] -> embeddings (N, widths[-1], H / s, W / s).

    A stage is a strided convolution and one ConvNeXt block. strides: of the stages; s is their
    product. It is not sent: the embeddings are. Source: "HNeRV: A Hybrid Neural Representation for
    Videos" (2023).
    """

    def __init__(self, strides: Sequence[int], widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        before = 3
        for stride, width in zip(strides, widths, strict=True):
            patches = nn.Conv2d(before, width, stride, stride=stride)
            norm = ChannelNorm(before if layers else width)
            layers += [norm, patches] if layers else [patches, norm]
            layers.append(ConvNeXtBlock(width))
            before = width
        super().__init__(*layers)
        # In the published order, so that a seed is the same encoder.
        apart = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        blocks = [part for layer in layers if layer not in apart for part in layer.modules()]
        for part in (*apart, *blocks):
            if isinstance(part, nn.Conv2d | nn.Linear):
                draw_normal(part.weight, 0.02)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    @torch.no_grad()
    def begin_evenly(self, frames: Tensor) -> None:
        """Scale embeddings: those of these frames, (N, 3, H, W) in [0, 1], vary by 1 around 0.

        As weights are drawn they vary by 0.3, and by 0.04 from frame to frame; how well a fit ends
        then hangs on the draw. Source of the method: "All you need is a good init" (2016).
        """
        last = [layer for layer in self if isinstance(layer, nn.Conv2d)][-1]
        embeddings = self(frames)
        mean = embeddings.mean((0, 2, 3), keepdim=True)
        deviation = (embeddings - mean).square().mean().sqrt()
        if deviation > LEAST_DEVIATION:
            assert last.bias is not None
            last.weight.div_(deviation)
            last.bias.sub_(mean.flatten()).div_(deviation)
