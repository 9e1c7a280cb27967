"""Zero-padded convolutions, each in the quickest way that there is for it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kodec.native.layers import Filters

from .core_floats import core_multiplies_floats, core_takes
from .core_layers import KeptFilters, convolved, core_filters, filtered, threads, tiles
from .core_tokens import core_multiplies
from .core_training import core_trains_filters, trained_filtering
from .finish import PLAIN, Finish
from .products import LEAST_PRODUCTS, product
from .winograd import INPUTS, in_tiles

PHASES = 2
# Positions below which what float64's filters cost is not worth it.
LEAST_POSITIONS = 512
# Most channels that enter where PyTorch's convolutions are slow.
FEW_CHANNELS = 4
# Elements of results, 32 MiB, from which the system is asked for memory each time.
LARGE_RESULTS = 2**23


def taps_by_phase(weight: Tensor) -> Tensor:
    """(A, B, 5, 5) -> (A, B, 3, row phase, 3, column phase): tap 2 t + p is tap t of phase p."""
    even = nn.functional.pad(weight, (0, 1, 0, 1))
    return even.reshape(*weight.shape[:2], 3, PHASES, 3, PHASES)


def _in_phases(weight: Tensor) -> Filters:
    """Of a 5x5 convolution of stride 2: over the phases of the pixels it is 3x3 of stride 1."""
    return _of_phases(weight, weight)


def _four_in_phases(weight: Tensor) -> Filters:
    """The same of 4x4 taps, which are the last ones of 5x5."""
    return _of_phases(nn.functional.pad(weight, (1, 0, 1, 0)), weight)


def _of_phases(taps: Tensor, source: Tensor) -> Filters:
    by_phase = taps_by_phase(taps).permute(0, 3, 5, 1, 2, 4).flatten(1, 3).contiguous()
    return Filters.of_tiles(by_phase, PHASES, source=source, threads=threads())


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """What `PaddedConv2d` does, with any weights, where the core keeps none of them ready."""
    kernel = weight.shape[-1]
    positions = x.shape[-2] * x.shape[-1] // stride**2
    if (kernel, stride) == (3, 1) and core_trains_filters(x, positions):
        return trained_filtering(x, weight, bias)
    double = x.dtype == torch.float64 and x.device.type == "cpu" and not torch.is_grad_enabled()
    if double and stride == 1 and kernel in INPUTS and positions >= LEAST_POSITIONS:
        return in_tiles(x, weight, bias)
    return nn.functional.conv2d(x, weight, bias, stride, kernel // 2)


class PaddedConv2d(nn.Conv2d):
    """k x k convolution, k odd: (N, inputs, H, W) -> (N, outputs, ceil(H / s), ceil(W / s)).

    On a CPU without gradients minimal filtering takes fewer products: in float64 with stride 1
    (`in_tiles`); in float32, by the core, for 3x3 taps of stride 1, and for 5x5 of stride 2: over
    the phases of the pixels, those at even and odd rows and columns as channels of their own, they
    are 3x3 of stride 1. With gradients 3x3 taps of stride 1 have the same way, forth and back.
    Results differ by rounding alone, in float32 by some 2e-5 of the largest output; threads and
    alignment make no difference.
    """

    bias: Tensor

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel_size, stride, kernel_size // 2)
        self._filters = KeptFilters()

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        positions = x.shape[-2] * x.shape[-1] // stride**2
        if (kernel, stride) in _WAYS and core_filters(x, positions):
            period, make = _WAYS[kernel, stride]
            filters = self._filters.get("tiles", self.weight, make)
            return filtered(x, filters, self.bias, finish, period)
        if core_takes(x) and self._gains_by_taps(len(x) * positions):
            filters = self._filters.get("taps", self.weight, Filters.of_taps)
            return convolved(x, filters, self.bias, stride, finish)
        return finish.after(convolve(x, self.weight, self.bias, stride))

    def _gains_by_taps(self, positions: int) -> bool:
        """Whether the core's convolution tap by tap is quicker for so many results.

        It is for products, and where inputs are few and results so large that PyTorch takes longer
        to get memory for them than to compute them; others take it 1.1 times PyTorch's time.
        """
        if (self.kernel_size[0], self.stride[0]) == (1, 1):
            return positions * self.in_channels * self.out_channels >= LEAST_PRODUCTS
        results = positions * self.out_channels
        return self.in_channels <= FEW_CHANNELS and results >= LARGE_RESULTS


# By taps and stride: how many phases of the input along a side, and what makes the filters.
_WAYS: dict[tuple[int, int], tuple[int, Callable[[Tensor], Filters]]] = {
    (3, 1): (1, tiles),
    (5, PHASES): (PHASES, _in_phases),
}


class HalvingConv2d(nn.Conv2d):
    """4x4 convolution of stride 2: (N, inputs, 2 H, 2 W) -> (N, outputs, H, W).

    On a CPU in float32 without gradients by minimal filtering, as `PaddedConv2d` of 5x5 taps.
    """

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, PHASES, 1)
        self._filters = KeptFilters()

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, 2 H, 2 W) -> (N, outputs, H, W)."""
        height, width = x.shape[-2:]
        even = height % PHASES == width % PHASES == 0
        if even and core_filters(x, height * width // PHASES**2):
            filters = self._filters.get("tiles", self.weight, _four_in_phases)
            return filtered(x, filters, self.bias, finish, PHASES)
        return finish.after(super().forward(x))


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution: (N, inputs, H, W) -> (N, outputs, H, W).

    On CPUs without gradients by the core, in float32 and in float64. Where gradients are asked for
    a product of tokens: channels last then take no copies, which PyTorch's own makes forth and
    back.
    """

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)
        self._filters = KeptFilters()

    def forward(self, x: Tensor, finish: Finish = PLAIN) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        if core_multiplies_floats(x, x.shape[1:].numel() * self.out_channels):
            filters = self._filters.get("taps", self.weight, Filters.of_taps)
            return convolved(x, filters, self.bias, finish=finish)
        apart = not torch.is_grad_enabled() or x.device.type != "cpu"
        if apart and x.dtype != torch.float64:
            return finish.after(super().forward(x))
        tokens, weight = x.movedim(1, -1), self.weight[..., 0, 0]
        if core_multiplies(tokens, weight) and finish.suits_tokens:
            plus = None if finish.plus is None else finish.plus.movedim(1, -1)
            return product(tokens, weight, self.bias, finish.curved, plus).movedim(-1, 1)
        if apart:
            return finish.after(super().forward(x))
        return finish.after(product(tokens, weight, self.bias).movedim(-1, 1))

    def of_phases(self, x: Tensor) -> Tensor:
        """Of `pixel_unshuffle(x, 2)`: (N, inputs / 4, 2 H, 2 W) -> (N, outputs, H, W)."""
        if not core_takes(x):
            out: Tensor = self(nn.functional.pixel_unshuffle(x, PHASES))
            return out
        # An input's phases are a 2x2 kernel's taps.
        filters = self._filters.get("of phases", self.weight, _taps_of_phases)
        return convolved(x, filters, self.bias, PHASES)

    def to_phases(self, x: Tensor) -> Tensor:
        """`pixel_shuffle` by 2 of the results: (N, inputs, H, W) -> (N, outputs / 4, 2 H, 2 W)."""
        if not core_takes(x):
            out: Tensor = nn.functional.pixel_shuffle(self(x), PHASES)
            return out
        filters = self._filters.get("to phases", self.weight, _taps_to_phases)
        return convolved(x, filters, phases_first(self.bias), out_period=PHASES)


def _taps_of_phases(weight: Tensor) -> Filters:
    outputs = len(weight)
    return Filters.of_taps(weight.view(outputs, -1, PHASES, PHASES), source=weight)


def _taps_to_phases(weight: Tensor) -> Filters:
    return Filters.of_taps(phases_first(weight), PHASES, source=weight)


def phases_first(x: Tensor) -> Tensor:
    """(4 C, ...), a channel's phases side by side, to a phase's channels side by side."""
    by_channel: Tensor = x.unflatten(0, (-1, PHASES**2))
    return by_channel.transpose(0, 1).flatten(0, 1).contiguous()
