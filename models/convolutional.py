"""Convolutional transforms of stride 16: with GDN, and residual.

The layers are CompressAI's; they are imported when a transform is built, because importing them
takes seconds that decoding with other transforms should not spend.
"""

from torch import Tensor, nn


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def _deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


class GDNAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16).

    Four 5x5 convolutions of stride 2 with generalised divisive normalisation between them.
    Source: "Variational image compression with a scale hyperprior" (2018).
    """

    stride = 16

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        from compressai.layers import GDN

        self.layers = nn.Sequential(
            _conv(3, width),
            GDN(width),
            _conv(width, width),
            GDN(width),
            _conv(width, width),
            GDN(width),
            _conv(width, latents),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(x)
        return out


class GDNSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `GDNAnalysis`. Source: "Variational image compression with a scale hyperprior" (2018).
    """

    stride = 16

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        from compressai.layers import GDN

        self.layers = nn.Sequential(
            _deconv(latents, width),
            GDN(width, inverse=True),
            _deconv(width, width),
            GDN(width, inverse=True),
            _deconv(width, width),
            GDN(width, inverse=True),
            _deconv(width, 3),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(y)
        return out


class ResidualAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `width`, H/16, W/16), by residual 3x3 blocks.

    Source: "Learned image compression with discretized Gaussian mixture likelihoods and attention
    modules" (2020), without the attention.
    """

    stride = 16

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        from compressai.layers import ResidualBlock, ResidualBlockWithStride, conv3x3

        self.layers = nn.Sequential(
            ResidualBlockWithStride(3, width, stride=2),
            ResidualBlock(width, width),
            ResidualBlockWithStride(width, width, stride=2),
            ResidualBlock(width, width),
            ResidualBlockWithStride(width, width, stride=2),
            ResidualBlock(width, width),
            conv3x3(width, width, stride=2),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, width, H/16, W/16)."""
        out: Tensor = self.layers(x)
        return out


class ResidualSynthesis(nn.Module):
    """Latents (N, `width`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `ResidualAnalysis`, with sub-pixel upsampling.
    """

    stride = 16

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        from compressai.layers import ResidualBlock, ResidualBlockUpsample, subpel_conv3x3

        self.layers = nn.Sequential(
            ResidualBlock(width, width),
            ResidualBlockUpsample(width, width, 2),
            ResidualBlock(width, width),
            ResidualBlockUpsample(width, width, 2),
            ResidualBlock(width, width),
            ResidualBlockUpsample(width, width, 2),
            ResidualBlock(width, width),
            subpel_conv3x3(width, 3, 2),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, width, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(y)
        return out
