"""Convolutions that change the resolution by a factor of 2."""

from torch import nn

from .winograd import StrideOneConv2d


def conv5_down(inputs: int, outputs: int) -> nn.Conv2d:
    """5x5, stride 2: (N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def deconv5_up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """5x5, transposed, stride 2: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def subpixel3_up(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 to four times the channels, then pixels: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return nn.Sequential(StrideOneConv2d(inputs, 4 * outputs), nn.PixelShuffle(2))
