"""Bottleneck residuals, and the gated attention made of them."""

import torch
from torch import Tensor, nn

from .activation import Activation, activated, activated_sum, checked
from .convolution import PaddedConv2d
from .finish import Finish


class Bottleneck(nn.Module):
    """x + conv1(act(conv3(act(conv1(x))))), at half the width inside: (N, C, H, W), same shape.

    Source: "Deep residual learning for image recognition" (2016), without normalisation.
    """

    def __init__(self, channels: int, activation: Activation = "relu") -> None:
        super().__init__()
        half = channels // 2
        self.activation = checked(activation)
        # Activations hold places that public implementations give them.
        self.layers = nn.Sequential(
            PaddedConv2d(channels, half, 1),
            nn.Identity(),
            PaddedConv2d(half, half),
            nn.Identity(),
            PaddedConv2d(half, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = self.layers[-1](self._hidden(x), Finish(plus=x))
        return out

    def _hidden(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C // 2, H, W)."""
        first, _, middle, _, _ = self.layers
        return activated(middle, activated(first, x, self.activation), self.activation)


class RectifiedBottleneck(Bottleneck):
    """A `Bottleneck` with one more activation behind the sum."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return activated_sum(self.layers[-1], self._hidden(x), self.activation, x)


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
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*(RectifiedBottleneck(channels, activation) for _ in range(3)))
        self.gate = nn.Sequential(
            *([] if gate_head is None else [gate_head]),
            *(RectifiedBottleneck(channels, activation) for _ in range(3)),
            PaddedConv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        trunk, gate = self.trunk(x), self.gate(x)
        out: Tensor = (
            x + trunk * torch.sigmoid(gate)
            if torch.is_grad_enabled()
            else gate.sigmoid_().mul_(trunk).add_(x)
        )
        return out
