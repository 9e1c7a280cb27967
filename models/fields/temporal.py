"""What the time of a frame does to its features: adaptive normalisation and modulation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .activations import Nonlinearity


class TimeCode(nn.Sequential):
    """An encoded time (N, inputs) -> (N, widths[-1]), an activation behind each layer."""

    def __init__(self, inputs: int, widths: tuple[int, ...], activation: str) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), Nonlinearity(activation)]
        super().__init__(*layers)


class AdaptiveInstanceNorm(nn.Module):
    """Features (N, C, H, W) and a time's code (N, code) -> normalised x gamma + beta.

    gamma and beta are one activated linear layer of the code. Source: "E-NeRV: Expedite Neural
    Video Representation with Disentangled Spatial-Temporal Context" (2022).
    """

    def __init__(self, channels: int, code: int, activation: str) -> None:
        super().__init__()
        self.modulation = TimeCode(code, (2 * channels,), activation)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Shapes as above, the same shape out."""
        gamma, beta = self.modulation(code)[..., None, None].chunk(2, 1)
        # One position is its own mean; PyTorch refuses to normalise it.
        alone = x.shape[-2:] == (1, 1)
        normalised = torch.zeros_like(x) if alone else functional.instance_norm(x)
        out: Tensor = normalised * gamma + beta
        return out


class SpatialFeatureTransform(nn.Module):
    """Features (N, C, H, W) and a time's code (N, code) -> x (1 + gamma) + beta.

    gamma and beta have two linear layers each. Source: "Boosting Neural Representations for Videos
    with a Conditional Decoder" (2024).
    """

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(nn.Linear(code, code), nn.ReLU(), nn.Linear(code, channels))
        self.shift = nn.Sequential(nn.Linear(code, code), nn.ReLU(), nn.Linear(code, channels))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Shapes as above, the same shape out."""
        scale, shift = self.scale(code), self.shift(code)
        out: Tensor = x * (scale[..., None, None] + 1) + shift[..., None, None]
        return out


class TemporalResidual(nn.Module):
    """x plus two 3x3 convolutions of it, each behind a modulation by time: (N, C, H, W).

    The temporal-aware affine transform block of "Boosting Neural Representations for Videos with a
    Conditional Decoder" (2024).
    """

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.first = SpatialFeatureTransform(channels, code)
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = SpatialFeatureTransform(channels, code)
        self.outer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(N, C, H, W) and (N, code) -> (N, C, H, W)."""
        hidden = functional.gelu(self.inner(self.first(x, code)))
        out: Tensor = x + self.outer(self.second(hidden, code))
        return out
