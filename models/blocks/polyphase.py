"""5x5 convolutions with a stride of 2, as 3x3 ones of stride 1 over the phases of the pixels.

The pixels at even and odd rows and columns become channels of their own. That takes 36 products
for 25, but products that `winograd` has a quick way for: on CPUs with AVX2 and no AVX-512, and
for many channels and positions, 1.3 to 1.6 times as fast.
"""

from torch import Tensor, nn

from .phases import from_phases, to_phases
from .winograd import nnpack_convolution, nnpack_takes

PHASES = 2
KERNEL = 5
PIXEL_CHANNELS = 3
# Positions of the lower resolution, and channels, below which nothing is gained; but pixels have
# few channels, and with those direct convolution is at its worst.
LEAST_POSITIONS_DOWN, LEAST_CHANNELS_DOWN = 128 * 96, 160
LEAST_POSITIONS_UP, LEAST_CHANNELS_UP = 64 * 96, 96


def _taps_by_phase(weight: Tensor) -> Tensor:
    """(A, B, 5, 5) -> (A, B, 3, row phase, 3, column phase): tap 2 t + p is tap t of phase p."""
    even = nn.functional.pad(weight, (0, 1, 0, 1))
    return even.reshape(*weight.shape[:2], 3, PHASES, 3, PHASES)


class StrideTwoConv2d(nn.Conv2d):
    """5x5, stride 2, zero-padded: (N, inputs, H, W) -> (N, outputs, ceil(H / 2), ceil(W / 2))."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, KERNEL, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / 2), ceil(W / 2))."""
        h, w = x.shape[-2:]
        if (
            h % PHASES == w % PHASES == 0
            and h * w >= LEAST_POSITIONS_DOWN * PHASES**2
            and self.out_channels >= LEAST_CHANNELS_DOWN
            and (self.in_channels >= LEAST_CHANNELS_DOWN or self.in_channels == PIXEL_CHANNELS)
            and nnpack_takes(x)
        ):
            phases = to_phases(x)
            weight = _taps_by_phase(self.weight).permute(0, 1, 3, 5, 2, 4)
            return nnpack_convolution(phases, weight.flatten(1, 3), self.bias)
        return super().forward(x)


class StrideTwoConvTranspose2d(nn.ConvTranspose2d):
    """Transposed 5x5, stride 2: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, KERNEL, stride=2, padding=2, output_padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        if (
            output_size is None
            and x.shape[-2] * x.shape[-1] >= LEAST_POSITIONS_UP
            and self.in_channels >= LEAST_CHANNELS_UP
            and nnpack_takes(x)
        ):
            # Transposed, the taps lie the other way round.
            weight = _taps_by_phase(self.weight).flip(2, 4).permute(1, 3, 5, 0, 2, 4)
            bias = self.bias.repeat_interleave(PHASES**2)
            phases = nnpack_convolution(x, weight.flatten(0, 2), bias)
            return from_phases(phases)
        return super().forward(x, output_size)
