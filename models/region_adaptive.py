"""SegPIC's transforms: they adapt to prototypes of regions, which travel as side latents.

    x --> fine --+--------> adapt --> coarse --> y
                 |            ^
                 +--> send ---+          prototypes: coded in mid-analysis
                              v
    y --> coarse -----------> adapt --> fine --> x_hat

`fine` works down to 1/4 of the resolution, `coarse` from there to 1/16. Source: "Region-adaptive
transform with segmentation prior for image compression" (2024).
"""

from collections.abc import Callable

from torch import Tensor, nn

from .blocks import (
    GDN,
    GatedAttention,
    PaddedConv2d,
    RegionAdaptive,
    ScaleAffine,
    ShiftedWindowAttention,
    StrideTwoConvTranspose2d,
    channels_last,
)

# Channels in front of the last layer of the synthesis.
LAST_WIDTH = 32


class _Down(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.resample = PaddedConv2d(inputs, outputs, 5, stride=2)
        self.normalise = GDN(outputs, inplace=True)
        self.affine = ScaleAffine(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.affine(self.normalise(self.resample(x)))
        return out


class _Up(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W); it divides, where others multiply."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.affine = ScaleAffine(inputs)
        self.resample = StrideTwoConvTranspose2d(inputs, outputs)
        self.normalise = GDN(outputs, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.normalise(self.resample(self.affine(x)))
        return out


def _attention(channels: int, heads: int, window: int) -> GatedAttention:
    return GatedAttention(channels, ShiftedWindowAttention(channels, heads, window), "gelu")


class RegionAdaptiveAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16), and prototypes.

    heads: divides `width` and `latents`. windows: of the attention at 1/4 and at 1/16 of the
    resolution, even. Needs side latents of `side_channels` channels.
    """

    stride = 16

    def __init__(
        self,
        width: int = 192,
        latents: int = 320,
        heads: int = 8,
        windows: tuple[int, int] = (8, 4),
    ) -> None:
        super().__init__()
        self.side_channels = width
        self.fine = nn.Sequential(
            _Down(3, width), _Down(width, width), _attention(width, heads, windows[0])
        )
        self.adapt = RegionAdaptive(width, width)
        self.coarse = nn.Sequential(
            _Down(width, width), _Down(width, latents), _attention(latents, heads, windows[1])
        )

    def forward(
        self, x: Tensor, quality: Tensor | None, send: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16).

        send: passes features (N, width, H/4, W/4) to the other side; returns what that will have
        of them, at every position the prototype of its region, in the same shape.
        """
        features = self.fine(channels_last(x))
        out: Tensor = self.coarse(self.adapt(features, send(features)))
        return out


class RegionAdaptiveSynthesis(nn.Module):
    """Latents (N, `latents`, h, w), prototypes -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `RegionAdaptiveAnalysis`; the same arguments.
    """

    stride = 16

    def __init__(
        self,
        width: int = 192,
        latents: int = 320,
        heads: int = 8,
        windows: tuple[int, int] = (8, 4),
    ) -> None:
        super().__init__()
        self.side_channels = width
        self.coarse = nn.Sequential(
            _attention(latents, heads, windows[1]), _Up(latents, width), _Up(width, width)
        )
        self.adapt = RegionAdaptive(width, width)
        self.fine = nn.Sequential(
            _attention(width, heads, windows[0]),
            _Up(width, width),
            _Up(width, LAST_WIDTH),
            nn.Conv2d(LAST_WIDTH, 3, 1),
        )

    def forward(self, y: Tensor, quality: Tensor | None, prototypes: Tensor) -> Tensor:
        """(N, latents, h, w), (N, width, 4 h, 4 w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.fine(self.adapt(self.coarse(channels_last(y)), prototypes))
        return out
