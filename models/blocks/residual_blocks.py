"""Residual blocks."""

import torch
from torch import Tensor, nn

from .convolution import PaddedConv2d, PointwiseConv2d
from .depthwise import DepthwiseConv2d
from .finish import CURVED, Finish
from .quality import Modulation
from .zero import zeroed


class ResidualBlock(nn.Module):
    """x + conv3(gelu(conv3(x))), the identity at the start: (N, C, H, W) -> the same shape.

    With `embedding` > 0 the hidden features are modulated by a quality embedding (N, embedding).
    """

    def __init__(self, channels: int, embedding: int = 0) -> None:
        super().__init__()
        self.first = PaddedConv2d(channels, channels)
        self.second = zeroed(PaddedConv2d(channels, channels))
        self.modulation = Modulation(embedding, channels) if embedding else None

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.modulation is None or e is None:
            h = self.first(x, CURVED)
        elif torch.is_grad_enabled() or len(e) > 1:
            h = self.modulation.gelu(self.first(x), e)
        else:
            h = self.modulation.gelu_after(self.first, x, e)
        out: Tensor = self.second(h, Finish(plus=x))
        return out


class DepthwiseBlock(nn.Module):
    """x + W2 gelu(W1 depthwise3(x)), expansion 2, the identity at the start.

    Cheap spatial mixing at latent resolution: (N, C, H, W) -> the same shape.
    """

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        self.mix = DepthwiseConv2d(channels, 3)
        self.expand = PointwiseConv2d(channels, expansion * channels)
        self.project = zeroed(PointwiseConv2d(expansion * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = self.project(self.expand(self.mix(x), CURVED), Finish(plus=x))
        return out
