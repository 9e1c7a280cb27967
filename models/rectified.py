"""The convolutional transforms of video codecs: rectified, of any number of planes."""

from torch import Tensor, nn

from .blocks import PaddedConv2d, StrideTwoConvTranspose2d, channels_last


class RectifiedAnalysis(nn.Module):
    """Planes (N, `inputs`, H, W), of frames, motion or residuals -> (N, `latents`, H/16, W/16).

    Four 5x5 convolutions of stride 2 with rectifiers between them. Source: "Scale-space flow for
    end-to-end optimized video compression" (2020).
    """

    stride = 16
    # 2 + 4 + 8 + 16 pixels, in latent rows.
    reach = 2

    def __init__(self, inputs: int = 3, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PaddedConv2d(inputs, width, 5, stride=2),
            nn.ReLU(inplace=True),
            PaddedConv2d(width, width, 5, stride=2),
            nn.ReLU(inplace=True),
            PaddedConv2d(width, width, 5, stride=2),
            nn.ReLU(inplace=True),
            PaddedConv2d(width, latents, 5, stride=2),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(channels_last(x))
        return out


class RectifiedSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> planes (N, `outputs`, 16 h, 16 w).

    Mirrors `RectifiedAnalysis`. Source: "Scale-space flow for end-to-end optimized video
    compression" (2020).
    """

    stride = 16
    # 1 + 1/2 + 1/4 + 1/8 latent rows.
    reach = 2

    def __init__(self, outputs: int = 3, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            StrideTwoConvTranspose2d(latents, width),
            nn.ReLU(inplace=True),
            StrideTwoConvTranspose2d(width, width),
            nn.ReLU(inplace=True),
            StrideTwoConvTranspose2d(width, width),
            nn.ReLU(inplace=True),
            StrideTwoConvTranspose2d(width, outputs),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, outputs, 16 h, 16 w)."""
        out: Tensor = self.layers(channels_last(y))
        return out
