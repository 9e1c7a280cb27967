"""Higher resolution by pixels that lie in channels."""

from torch import nn

from .phases import FromPhases
from .winograd import StrideOneConv2d


def subpixel3_up(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 to four times the channels, then pixels: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return nn.Sequential(StrideOneConv2d(inputs, 4 * outputs), FromPhases())
