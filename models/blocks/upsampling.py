"""Layers that double the resolution: their outputs are phases of the pixels, 3x3 taps each."""

from torch import Tensor, nn

from kodec.native.layers import Filters

from .convolution import PHASES, PaddedConv2d, phases_first, taps_by_phase
from .core_layers import KeptFilters, core_filters, filtered, threads
from .finish import PLAIN, Finish
from .transposed import in_products, products_take

# Fewest positions where a transposed layer's filters, four times as many, are worth reading.
LEAST_CORE_POSITIONS = 384


def _transposed_in_phases(weight: Tensor) -> Filters:
    # Transposed, the taps lie the other way round.
    by_phase = taps_by_phase(weight).flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    return Filters.of_tiles(
        by_phase.contiguous(), out_period=PHASES, source=weight, threads=threads()
    )


def _to_pixels(weight: Tensor) -> Filters:
    return Filters.of_tiles(
        phases_first(weight), out_period=PHASES, source=weight, threads=threads()
    )


class StrideTwoConvTranspose2d(nn.ConvTranspose2d):
    """Transposed 5x5, stride 2: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, stride=2, padding=2, output_padding=1)
        self._filters = KeptFilters()

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        positions = x.shape[-2] * x.shape[-1]
        if output_size is None and positions >= LEAST_CORE_POSITIONS and core_filters(x, positions):
            filters = self._filters.get("tiles", self.weight, _transposed_in_phases)
            bias = self.bias.repeat(PHASES**2)
            return filtered(x, filters, bias, out_period=PHASES)
        if output_size is None and products_take(x, self.out_channels):
            return in_products(x, self.weight, self.bias)
        return super().forward(x, output_size)


class SubpixelConv2d(nn.Sequential):
    """3x3 to four times the channels, then pixels: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(PaddedConv2d(inputs, outputs * PHASES**2), nn.PixelShuffle(PHASES))
        self._filters = KeptFilters()

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        convolution, shuffle = self
        assert isinstance(convolution, PaddedConv2d)
        if core_filters(x, x.shape[-2] * x.shape[-1]):
            filters = self._filters.get("tiles", convolution.weight, _to_pixels)
            bias = phases_first(convolution.bias)
            return filtered(x, filters, bias, finish, out_period=PHASES)
        return finish.after(shuffle(convolution(x)))
