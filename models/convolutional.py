"""The convolutional transforms with generalised divisive normalisation."""

from torch import Tensor, nn

from .blocks import GDN, PaddedConv2d, StrideTwoConvTranspose2d, channels_last


class GDNAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16).

    Four 5x5 convolutions of stride 2 with generalised divisive normalisation between them.
    Source: "Variational image compression with a scale hyperprior" (2018).
    """

    stride = 16
    # 2 + 4 + 8 + 16 pixels, in latent rows.
    reach = 2

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PaddedConv2d(3, width, 5, stride=2),
            GDN(width, inplace=True),
            PaddedConv2d(width, width, 5, stride=2),
            GDN(width, inplace=True),
            PaddedConv2d(width, width, 5, stride=2),
            GDN(width, inplace=True),
            PaddedConv2d(width, latents, 5, stride=2),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(channels_last(x))
        return out


class GDNSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `GDNAnalysis`. Source: "Variational image compression with a scale hyperprior" (2018).
    """

    stride = 16
    # 1 + 1/2 + 1/4 + 1/8 latent rows.
    reach = 2

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            StrideTwoConvTranspose2d(latents, width),
            GDN(width, inverse=True, inplace=True),
            StrideTwoConvTranspose2d(width, width),
            GDN(width, inverse=True, inplace=True),
            StrideTwoConvTranspose2d(width, width),
            GDN(width, inverse=True, inplace=True),
            StrideTwoConvTranspose2d(width, 3),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(channels_last(y))
        return out
