"""Bottleneck residuals, and the gated attention made of them."""

from typing import Literal

import torch
from torch import Tensor, nn

from .convolution import PaddedConv2d
from .memory import add_to

Rectifier = Literal["relu", "gelu"]


def _rectifier(name: Rectifier) -> nn.Module:
    return nn.GELU() if name == "gelu" else nn.ReLU(inplace=True)


class Bottleneck(nn.Module):
    """x + conv1(relu(conv3(relu(conv1(x))))), at half the width inside: (N, C, H, W), same shape.

    Source: "Deep residual learning for image recognition" (2016), without normalisation.
    """

    def __init__(self, channels: int, activation: Rectifier = "relu") -> None:
        super().__init__()
        half = channels // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, half, 1),
            _rectifier(activation),
            PaddedConv2d(half, half),
            _rectifier(activation),
            nn.Conv2d(half, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return add_to(self.layers(x), x)


class RectifiedBottleneck(Bottleneck):
    """A `Bottleneck` with one more activation behind the sum."""

    def __init__(self, channels: int, activation: Rectifier = "relu") -> None:
        super().__init__(channels, activation)
        self.activation = _rectifier(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = self.activation(super().forward(x))
        return out


class GatedAttention(nn.Module):
    """x + trunk(x) * sigmoid(gate(x)), local: (N, C, H, W) -> the same shape.

    Both branches are three bottlenecks; `gate_head`, a module (N, C, H, W) -> the same shape, may
    stand in front of the gate's. Source: "Learned image compression with discretized Gaussian
    mixture likelihoods and attention modules" (2020).
    """

    def __init__(
        self,
        channels: int,
        gate_head: nn.Module | None = None,
        activation: Rectifier = "relu",
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*(RectifiedBottleneck(channels, activation) for _ in range(3)))
        self.gate = nn.Sequential(
            *([] if gate_head is None else [gate_head]),
            *(RectifiedBottleneck(channels, activation) for _ in range(3)),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return add_to(self.trunk(x) * torch.sigmoid(self.gate(x)), x)
