"""Residual blocks of two 3x3 convolutions that keep, halve or double the resolution.

Source: "Learned image compression with discretized Gaussian mixture likelihoods and attention
modules" (2020), there with leaky ReLU; MLIC++ has them with GELU.
"""

from typing import Literal, get_args

from torch import Tensor, nn

from .gdn import GDN
from .memory import add_to
from .sampling import subpixel3_up
from .winograd import StrideOneConv2d

Activation = Literal["leaky_relu", "gelu"]


def _activation(name: Activation) -> nn.Module:
    if name not in get_args(Activation):
        raise ValueError(f"activation is one of {get_args(Activation)}, not {name!r}")
    return nn.GELU() if name == "gelu" else nn.LeakyReLU(inplace=True)


class PlainResidual(nn.Module):
    """skip(x) + act(conv3(act(conv3(x)))): (N, inputs, H, W) -> (N, outputs, H, W).

    The skip is 1x1 where the widths differ, else nothing.
    """

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = StrideOneConv2d(inputs, outputs)
        self.second = StrideOneConv2d(outputs, outputs)
        self.activation = _activation(activation)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        h = self.activation(self.first(x))
        return add_to(self.activation(self.second(h)), self.skip(x))


class DownResidual(nn.Module):
    """skip(x) + GDN(conv3(act(conv3(x)))): (N, inputs, H, W) -> (N, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.activation = _activation(activation)
        self.second = StrideOneConv2d(outputs, outputs)
        self.normalise = GDN(outputs, inplace=True)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
        h = self.normalise(self.second(self.activation(self.first(x))))
        # A stride of the layer's own would be slower, channels first.
        return add_to(h, self.skip(x[..., ::2, ::2]))


class UpResidual(nn.Module):
    """skip(x) + IGDN(conv3(act(subpixel3(x)))): (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.first = subpixel3_up(inputs, outputs)
        self.activation = _activation(activation)
        self.second = StrideOneConv2d(outputs, outputs)
        self.normalise = GDN(outputs, inverse=True, inplace=True)
        self.skip = subpixel3_up(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        h = self.normalise(self.second(self.activation(self.first(x))))
        return add_to(h, self.skip(x))
