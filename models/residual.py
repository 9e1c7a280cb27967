"""Residual transforms: 3x3 convolutions in residual blocks, sub-pixel upsampling.

Sources: "Learned image compression with discretized Gaussian mixture likelihoods and attention
modules" (2020), which CompressAI calls cheng2020: `attention` tells its two variants apart.
"MLIC++: Linear complexity multi-reference entropy modeling for learned image compression" (2023)
has them with GELU and more latents: `width` 192, `latents` 320, `activation` "gelu".
"""

from torch import Tensor, nn

from .blocks import (
    Activation,
    DownResidual,
    GatedAttention,
    PaddedConv2d,
    PlainResidual,
    SubpixelConv2d,
    UpResidual,
    channels_last,
)


class ResidualAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16).

    latents: `width` where None. attention: gated attention at 1/4 and at 1/16 of the resolution.
    """

    stride = 16

    def __init__(
        self,
        width: int = 128,
        latents: int | None = None,
        attention: bool = False,
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__()
        latents = width if latents is None else latents
        # 57 pixels, in latent rows; attention adds 12 pixels at 1/4 and 48 at 1/16.
        self.reach = 8 if attention else 4
        self.layers = nn.Sequential(
            DownResidual(3, width, activation),
            PlainResidual(width, width, activation),
            DownResidual(width, width, activation),
            *([GatedAttention(width)] if attention else []),
            PlainResidual(width, width, activation),
            DownResidual(width, width, activation),
            PlainResidual(width, width, activation),
            PaddedConv2d(width, latents, stride=2),
            *([GatedAttention(latents)] if attention else []),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(channels_last(x))
        return out


class ResidualSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `ResidualAnalysis`, with sub-pixel upsampling; the same arguments.
    """

    stride = 16

    def __init__(
        self,
        width: int = 128,
        latents: int | None = None,
        attention: bool = False,
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__()
        latents = width if latents is None else latents
        # 6.5 latent rows; attention adds 3 at 1/16 and 3/4 at 1/4.
        self.reach = 11 if attention else 7
        self.layers = nn.Sequential(
            *([GatedAttention(latents)] if attention else []),
            PlainResidual(latents, latents, activation),
            UpResidual(latents, width, activation),
            PlainResidual(width, width, activation),
            UpResidual(width, width, activation),
            *([GatedAttention(width)] if attention else []),
            PlainResidual(width, width, activation),
            UpResidual(width, width, activation),
            PlainResidual(width, width, activation),
            SubpixelConv2d(width, 3),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(channels_last(y))
        return out
