"""Zero-padded convolutions, each in the quickest way that there is for it."""

import torch
from torch import Tensor, nn

from .core_layers import (
    PLAIN,
    Finish,
    convolved,
    core_convolves,
    core_filters,
    core_trains_filters,
    filtered,
    trained_filtering,
)
from .core_tokens import core_multiplies
from .elementwise import gelu
from .memory import add_to
from .products import product
from .winograd import INPUTS, in_tiles

PHASES = 2
# Positions below which what float64's filters cost is not worth it.
LEAST_POSITIONS = 512


def taps_by_phase(weight: Tensor) -> Tensor:
    """(A, B, 5, 5) -> (A, B, 3, row phase, 3, column phase): tap 2 t + p is tap t of phase p."""
    even = nn.functional.pad(weight, (0, 1, 0, 1))
    return even.reshape(*weight.shape[:2], 3, PHASES, 3, PHASES)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, finish: Finish = PLAIN
) -> Tensor:
    """k x k convolution, k odd: (N, C, H, W) -> (N, outputs, H', W').

    H' and W' are H / stride and W / stride, rounded up. On a CPU without gradients minimal
    filtering takes fewer products: in float64 with stride 1 (`in_tiles`); in float32, with AVX2 and
    no AVX-512, for 3x3 taps of stride 1, and for 5x5 of stride 2: over the phases of the pixels,
    those at even and odd rows and columns as channels of their own, they are 3x3 of stride 1. That
    is 1.5 to 3.6 times as fast (`kodec bench layers`). With gradients 3x3 taps of stride 1 have
    the same way, forth and back. Results differ by rounding alone, in float32 by some 2e-5 of the
    largest output; threads and alignment make no difference.
    """
    kernel = weight.shape[-1]
    positions = x.shape[-2] * x.shape[-1] // stride**2
    if (kernel, stride) == (3, 1) and core_filters(x, positions):
        return filtered(x, weight, bias, finish)
    if (kernel, stride) == (5, PHASES) and core_filters(x, positions):
        by_phase = taps_by_phase(weight).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        return filtered(x, by_phase, bias, finish, period=PHASES)
    if core_convolves(x, kernel, positions, finish):
        return convolved(x, weight, bias, stride, finish)
    if (kernel, stride) == (3, 1) and core_trains_filters(x, positions):
        return finish.after(trained_filtering(x, weight, bias))
    double = x.dtype == torch.float64 and x.device.type == "cpu" and not torch.is_grad_enabled()
    if double and stride == 1 and kernel in INPUTS and positions >= LEAST_POSITIONS:
        return finish.after(in_tiles(x, weight, bias))
    return finish.after(nn.functional.conv2d(x, weight, bias, stride, kernel // 2))


class PaddedConv2d(nn.Conv2d):
    """`convolve` as a layer: (N, inputs, H, W) -> (N, outputs, ceil(H / s), ceil(W / s))."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel_size, stride, kernel_size // 2)

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return convolve(x, self.weight, self.bias, self.stride[0], finish)


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution: (N, inputs, H, W) -> (N, outputs, H, W).

    On CPUs a product of tokens in float64, and where gradients are asked for: channels last then
    take no copies, which PyTorch's own makes forth and back.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, x: Tensor, curved: bool = False, plus: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W): of it GELU if curved, then plus is added."""
        weight = self.weight[..., 0, 0]
        tokens = x.movedim(1, -1)
        if x.device.type == "cpu" and (torch.is_grad_enabled() or core_multiplies(tokens, weight)):
            added = None if plus is None else plus.movedim(1, -1)
            return product(tokens, weight, self.bias, curved, added).movedim(-1, 1)
        found = super().forward(x)
        if curved:
            found = gelu(found)
        return found if plus is None else add_to(found, plus)
