"""S2LIC's transforms: stages of shifted-window attention, and a dense enhancement of the pixels.

    x --> enhancement --> /2, attention --> /2, attention --> /2, attention --> /2 --> y

Source: "S2LIC: Learned image compression with the SwinV2 block, adaptive channel-wise and
global-inter attention context" (2024). Its blocks are not public: widths, depths, heads and the
order of the layers are the authors', the insides of attention stages and enhancement are built
from the description.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from .blocks import PaddedConv2d, SubpixelConv2d, WindowStage, zeroed

GROWTH = 32


class _Dense(nn.Module):
    """Five 3x3 convolutions, each over all before it: (N, inputs, H, W) -> (N, outputs, H, W).

    Source: "Densely connected convolutional networks" (2017).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PaddedConv2d(inputs + i * GROWTH, GROWTH) for i in range(4))
        self.last = PaddedConv2d(inputs + 4 * GROWTH, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, nn.functional.leaky_relu_(layer(x), 0.2)], dim=1)
        out: Tensor = self.last(x)
        return out


class DenseEnhancement(nn.Module):
    """x + 0.2 f(x), the identity at the start: pixels (N, 3, H, W) -> the same shape.

    f: a dense block to `width` channels, 1x1, 3x3 and 1x1 convolutions, a dense block back.
    Source: "Enhanced invertible encoding for learned image compression" (2021).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        back = _Dense(width, 3)
        zeroed(back.last)
        self.layers = nn.Sequential(
            _Dense(3, width),
            nn.Conv2d(width, width, 1),
            PaddedConv2d(width, width),
            nn.Conv2d(width, width, 1),
            back,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        out: Tensor = x + 0.2 * self.layers(x)
        return out


def _stages(
    width: int, depths: Sequence[int], heads: Sequence[int], window: int, drop_path: float
) -> Iterator[WindowStage]:
    """Attention stages whose blocks are left out ever more often, up to `drop_path`."""
    rates = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
    for depth, count in zip(depths, heads, strict=True):
        yield WindowStage(width, count, window, rates[:depth])
        del rates[:depth]


def _deconv3_up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def _enhancement(width: int) -> list[nn.Module]:
    return [DenseEnhancement(width)] if width else []


class SwinAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, `latents`, H/16, W/16).

    depths, heads: of the attention at 1/2, 1/4 and 1/8 of the resolution; heads divide `width`.
    window: positions each way. enhancement: width of the enhancement, which works on the whole
    resolution; 0 leaves it out. drop_path: how often training leaves out the last attention block.
    """

    stride = 16

    def __init__(
        self,
        width: int = 192,
        latents: int = 320,
        depths: tuple[int, int, int] = (1, 2, 3),
        heads: tuple[int, int, int] = (4, 8, 16),
        window: int = 8,
        enhancement: int = 64,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        first, second, third = _stages(width, depths, heads, window, drop_path)
        self.layers = nn.Sequential(
            *_enhancement(enhancement),
            PaddedConv2d(3, width, 5, stride=2),
            first,
            PaddedConv2d(width, width, stride=2),
            second,
            PaddedConv2d(width, width, stride=2),
            third,
            PaddedConv2d(width, latents, stride=2),
        )

    def forward(self, x: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, latents, H/16, W/16)."""
        out: Tensor = self.layers(x)
        return out


class SwinSynthesis(nn.Module):
    """Latents (N, `latents`, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    Mirrors `SwinAnalysis`; the same arguments, finest resolution first.
    """

    stride = 16

    def __init__(
        self,
        width: int = 192,
        latents: int = 320,
        depths: tuple[int, int, int] = (1, 2, 3),
        heads: tuple[int, int, int] = (4, 8, 16),
        window: int = 8,
        enhancement: int = 64,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        first, second, third = _stages(width, depths[::-1], heads[::-1], window, drop_path)
        self.layers = nn.Sequential(
            _deconv3_up(latents, width),
            first,
            _deconv3_up(width, width),
            second,
            _deconv3_up(width, width),
            third,
            SubpixelConv2d(width, 3),
            *_enhancement(enhancement),
        )

    def forward(self, y: Tensor, quality: Tensor | None = None) -> Tensor:
        """(N, latents, h, w) -> (N, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(y)
        return out
