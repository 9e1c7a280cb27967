"""Residual blocks of two 3x3 convolutions that keep, halve or double the resolution.

Source: "Learned image compression with discretized Gaussian mixture likelihoods and attention
modules" (2020), there with leaky ReLU; MLIC++ has them with GELU.
"""

from torch import Tensor, nn

from .activation import Activation, activated, checked
from .convolution import PaddedConv2d
from .finish import Finish
from .gdn import GDN
from .upsampling import SubpixelConv2d


class PlainResidual(nn.Module):
    """skip(x) + act(conv3(act(conv3(x)))): (N, inputs, H, W) -> (N, outputs, H, W).

    The skip is 1x1 where the widths differ, else nothing.
    """

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = PaddedConv2d(inputs, outputs)
        self.second = PaddedConv2d(outputs, outputs)
        self.activation = checked(activation)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        h = activated(self.first, x, self.activation)
        return activated(self.second, h, self.activation, plus=self.skip(x))


class DownResidual(nn.Module):
    """skip(x) + GDN(conv3(act(conv3(x)))): (N, inputs, H, W) -> (N, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = PaddedConv2d(inputs, outputs, stride=2)
        self.second = PaddedConv2d(outputs, outputs)
        self.activation = checked(activation)
        self.normalise = GDN(outputs, inplace=True)
        self.skip = PaddedConv2d(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
        h = self.normalise(self.second(activated(self.first, x, self.activation)))
        out: Tensor = self.skip(x, Finish(plus=h))
        return out


class UpResidual(nn.Module):
    """skip(x) + IGDN(conv3(act(subpixel3(x)))): (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = SubpixelConv2d(inputs, outputs)
        self.second = PaddedConv2d(outputs, outputs)
        self.activation = checked(activation)
        self.normalise = GDN(outputs, inverse=True, inplace=True)
        self.skip = SubpixelConv2d(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        h = self.normalise(self.second(activated(self.first, x, self.activation)))
        out: Tensor = self.skip(x, Finish(plus=h))
        return out
