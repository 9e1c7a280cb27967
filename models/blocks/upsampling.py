"""Layers that double the resolution: their outputs are phases of the pixels, 3x3 taps each."""

from torch import Tensor, nn

from .convolution import PHASES, PaddedConv2d, taps_by_phase
from .core_layers import PLAIN, Finish, core_filters, filtered
from .transposed import in_products, products_take


class StrideTwoConvTranspose2d(nn.ConvTranspose2d):
    """Transposed 5x5, stride 2: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, stride=2, padding=2, output_padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        if output_size is None and core_filters(x, x.shape[-2] * x.shape[-1]):
            # Transposed, the taps lie the other way round.
            weight = taps_by_phase(self.weight).flip(2, 4).permute(3, 5, 1, 0, 2, 4)
            bias = self.bias.repeat(PHASES**2)
            return filtered(x, weight.flatten(0, 2), bias, out_period=PHASES)
        if output_size is None and products_take(x, self.out_channels):
            return in_products(x, self.weight, self.bias)
        return super().forward(x, output_size)


class SubpixelConv2d(nn.Sequential):
    """3x3 to four times the channels, then pixels: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(PaddedConv2d(inputs, outputs * PHASES**2), nn.PixelShuffle(PHASES))

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        convolution, shuffle = self
        assert isinstance(convolution, PaddedConv2d)
        if core_filters(x, x.shape[-2] * x.shape[-1]):
            # PixelShuffle has a channel's phases side by side.
            weight = convolution.weight
            weight = weight.view(-1, PHASES**2, *weight.shape[1:]).transpose(0, 1).flatten(0, 1)
            bias = convolution.bias.view(-1, PHASES**2).t().flatten()
            return filtered(x, weight, bias, finish, out_period=PHASES)
        return finish.after(shuffle(convolution(x)))
