"""Blocks that bring features to a higher resolution, and heads."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .activations import Nonlinearity
from .temporal import AdaptiveInstanceNorm, TemporalResidual


class UpBlock(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, s H, s W): k x k convolution, pixel shuffle, activation.

    With a kernel of 1 and a stride of 1 it is HNeRV's first layer. Source: "NeRV: Neural
    Representations for Videos" (2021).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int, activation: str):
        super().__init__()
        self.stride = stride
        self.convolution = nn.Conv2d(inputs, outputs * stride**2, kernel, padding=kernel // 2)
        self.shuffle = nn.PixelShuffle(stride)
        self.activation = Nonlinearity(activation)

    @property
    def before(self) -> list[nn.Module]:
        """Its layers before the shuffle; `behind`: after it."""
        return [self.convolution]

    @property
    def behind(self) -> list[nn.Module]:
        """See `before`."""
        return []

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, s H, s W)."""
        # The activation before the shuffle: the same values, which lie side by side.
        out: Tensor = self.shuffle(self.activation(self.convolution(x)))
        return out


class FactorisedUpBlock(nn.Module):
    """An `UpBlock` in two convolutions, with few channels between them.

    Where the width grows, upsampling to a quarter of the inputs comes first. Source: "E-NeRV:
    Expedite Neural Video Representation with Disentangled Spatial-Temporal Context" (2022).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int, activation: str):
        super().__init__()
        self.stride = stride
        grows = inputs <= outputs
        middle = inputs // 4 if grows else outputs
        wide, pad = stride**2, kernel // 2
        self.layers = (
            nn.Sequential(
                nn.Conv2d(inputs, middle * wide, kernel, padding=pad),
                nn.PixelShuffle(stride),
                nn.Conv2d(middle, outputs, 3, padding=1),
            )
            if grows
            else nn.Sequential(
                nn.Conv2d(inputs, middle, 3, padding=1),
                nn.Conv2d(middle, outputs * wide, kernel, padding=pad),
                nn.PixelShuffle(stride),
            )
        )
        self.activation = Nonlinearity(activation)

    @property
    def before(self) -> list[nn.Module]:
        """Its layers before the shuffle; `behind`: after it."""
        return list(self.layers[: self._shuffle])

    @property
    def behind(self) -> list[nn.Module]:
        """See `before`."""
        return list(self.layers[self._shuffle :])

    @property
    def _shuffle(self) -> int:
        return next(n for n, part in enumerate(self.layers) if isinstance(part, nn.PixelShuffle))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, s H, s W)."""
        out: Tensor = self.activation(self.layers(x))
        return out


class GatedConvolution(nn.Module):
    """x plus a linear layer of gated features, some of them behind a depthwise 5x5: (N, C, H, W).

    Source: "NeRV++: An Enhanced Implicit Neural Video Representation" (2024).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = int(channels * 8 / 3)
        self.expand = nn.Linear(channels, 2 * self.hidden)
        self.spatial = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.project = nn.Linear(self.hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        last = x.permute(0, 2, 3, 1)
        channels = last.shape[-1]
        parts = (self.hidden, self.hidden - channels, channels)
        gate, plain, spatial = self.expand(last).split(parts, -1)
        spatial = self.spatial(spatial.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mixed = functional.gelu(gate) * torch.cat((plain, spatial), -1)
        out: Tensor = (self.project(mixed) + last).permute(0, 3, 1, 2)
        return out


class GatedUpBlock(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, s H, s W): gated convolution, upsampling, refinement.

    The projected input, bilinearly enlarged, is added. Source: "NeRV++: An Enhanced Implicit Neural
    Video Representation" (2024).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int, activation: str):
        super().__init__()
        self.stride = stride
        self.project = nn.Conv2d(inputs, outputs, 1)
        self.gated = GatedConvolution(outputs)
        self.up = UpBlock(outputs, outputs, stride, kernel, activation)
        self.refine = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs),
            nn.Conv2d(outputs, outputs, 1),
            nn.GELU(),
            nn.Conv2d(outputs, outputs, 1),
        )

    @property
    def before(self) -> list[nn.Module]:
        """Its layers before the shuffle; `behind`: after it."""
        return [self.project, self.gated, self.up]

    @property
    def behind(self) -> list[nn.Module]:
        """See `before`."""
        return [self.refine]

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, s H, s W)."""
        x = self.project(x)
        up = self.up(self.gated(x))
        skip = functional.interpolate(x, scale_factor=float(self.stride), mode="bilinear")
        out: Tensor = self.refine(up) + up + skip
        return out


class Stage(nn.Module):
    """A block, with what the frame's time does to its input or its output, if anything."""

    def __init__(
        self,
        block: nn.Module,
        before: AdaptiveInstanceNorm | None = None,
        after: TemporalResidual | None = None,
    ) -> None:
        super().__init__()
        self.before, self.block, self.after = before, block, after

    def forward(self, x: Tensor, code: Tensor | None) -> Tensor:
        """Features and the time's code (N, code) -> features."""
        if self.before is not None and code is not None:
            x = self.before(x, code)
        x = self.block(x)
        return x if self.after is None or code is None else self.after(x, code)


# Colours that heads begin with are so far from 0 and 1.
LEAST = 0.02


class Head(nn.Module):
    """Features (N, inputs, H, W) -> colours (N, outputs, H, W) in [0, 1]: (tanh + 1) / 2."""

    def __init__(self, inputs: int, kernel: int, outputs: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        out: Tensor = torch.tanh(self.convolution(x)) * 0.5 + 0.5
        return out

    @torch.no_grad()
    def begin_at(self, colours: Tensor) -> None:
        """Begin with these, (outputs,) in (0, 1), where features say nothing."""
        assert self.convolution.bias is not None
        self.convolution.bias.copy_(torch.logit(colours, LEAST) / 2)
