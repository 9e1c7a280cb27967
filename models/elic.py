"""ELIC's transforms: 5x5 convolutions of stride 2, bottleneck residuals, gated attention.

Source: "ELIC: Efficient learned image compression with unevenly grouped space-channel contextual
adaptive coding" (2022).
"""

from torch import Tensor, nn

from .blocks import (
    Bottleneck,
    GatedAttention,
    PaddedConv2d,
    StrideTwoConvTranspose2d,
    channels_last,
)


def _bottlenecks(width: int) -> list[nn.Module]:
    return [Bottleneck(width) for _ in range(3)]


class ELICAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16).

    Attention at 1/4 and at 1/16 of the resolution.
    """

    stride = 16
    # 132 pixels, in latent rows.
    reach = 9

    def __init__(self, width: int = 192, latents: int = 320) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PaddedConv2d(3, width, 5, stride=2),
            *_bottlenecks(width),
            PaddedConv2d(width, width, 5, stride=2),
            *_bottlenecks(width),
            GatedAttention(width),
            PaddedConv2d(width, width, 5, stride=2),
            *_bottlenecks(width),
            PaddedConv2d(width, latents, 5, stride=2),
            GatedAttention(latents),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(channels_last(x))
        return out


class ELICSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `ELICAnalysis`.
    """

    stride = 16
    # 8.25 latent rows.
    reach = 9

    def __init__(self, width: int = 192, latents: int = 320) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            GatedAttention(latents),
            StrideTwoConvTranspose2d(latents, width),
            *_bottlenecks(width),
            StrideTwoConvTranspose2d(width, width),
            GatedAttention(width),
            *_bottlenecks(width),
            StrideTwoConvTranspose2d(width, width),
            *_bottlenecks(width),
            StrideTwoConvTranspose2d(width, 3),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(channels_last(y))
        return out
