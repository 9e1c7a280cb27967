"""Convolutions of stride 1 by minimal filtering, where that is quicker on a CPU."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

# Minimal filtering of n inputs by k taps to 2 outputs, by k. Rows of the first say how the n
# products combine inputs, rows of the second how they combine taps; the third gives the outputs.
# Points of evaluation: 0, 1, -1 and infinity; for 5 taps 2 and -2 besides.
INPUTS = {
    3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    5: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
TAPS = {
    3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    5: (
        (1 / 4, 0, 0, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6, 1 / 3, 2 / 3),
        (1 / 24, -1 / 12, 1 / 6, -1 / 3, 2 / 3),
        (0, 0, 0, 0, 1),
    ),
}
OUTPUTS = {
    3: ((1, 1, 1, 0), (0, 1, -1, -1)),
    5: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 1)),
}
# Positions below which what the filters cost is not worth it.
LEAST_POSITIONS = 512
# The same in float32, where direct convolution is at its best, and the fewest channels that enter.
LEAST_POSITIONS_FLOAT32 = 1024
LEAST_CHANNELS_FLOAT32 = 48


@cache
def nnpack_is_quicker() -> bool:
    """Whether this CPU has what NNPACK was measured with: where AVX-512 is, oneDNN uses it."""
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    available: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch, "_nnpack_spatial_convolution")


def nnpack_takes(x: Tensor) -> bool:
    """Whether `nnpack_convolution` can have this input (N, C, H, W) here, and would be quick."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and len(x) == 1
        and x.is_contiguous()
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and nnpack_is_quicker()
    )


def nnpack_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """3x3 of stride 1, zero-padded: (1, C, H, W) -> (1, outputs, H, W). See `nnpack_takes`."""
    return torch._nnpack_spatial_convolution(x, weight.contiguous(), bias, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """k x k convolution of stride 1, zero-padded: (N, C, H, W) -> (N, outputs, H, W). k: odd.

    In float64 PyTorch copies every input k^2 times into a matrix. Here, without gradients on a
    CPU, a tile of 2x2 outputs takes 16 products for 36 (k = 3) or 36 for 100 (k = 5), twice as
    fast and more. In float32 NNPACK, which is part of PyTorch, takes 64 products for 324 (k = 3,
    6x6 outputs), 1.3 to 3 times as fast as direct convolution with AVX2, where x is one item and
    lies channels first. Results differ by rounding alone, in float32 by some 2e-5 of the largest
    output; threads and alignment make no difference.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """
    kernel = weight.shape[-1]
    positions = x.shape[-2] * x.shape[-1]
    double = x.dtype == torch.float64 and x.device.type == "cpu" and kernel in INPUTS
    if double and positions >= LEAST_POSITIONS and not torch.is_grad_enabled():
        return _in_tiles(x, weight, bias)
    if (
        kernel == 3
        and positions >= LEAST_POSITIONS_FLOAT32
        and weight.shape[1] >= LEAST_CHANNELS_FLOAT32
        and nnpack_takes(x)
    ):
        return nnpack_convolution(x, weight, bias)
    return nn.functional.conv2d(x, weight, bias, padding=kernel // 2)


class StrideOneConv2d(nn.Conv2d):
    """`convolve` as a layer: (N, C, H, W) -> (N, outputs, H, W)."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, H, W)."""
        return convolve(x, self.weight, self.bias)


def _in_tiles(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`convolve` in tiles of 2x2 outputs."""
    outputs, inputs, kernel = weight.shape[:3]
    h, w = x.shape[-2:]
    rows, columns = -(-h // 2), -(-w // 2)
    margin = kernel // 2
    sides = (margin, margin + w % 2, margin, margin + h % 2)
    padded = nn.functional.pad(x.movedim(1, -1), (0, 0, *sides))
    combine, n = INPUTS[kernel], kernel + 1
    down = _combined([padded[:, k : k + 2 * rows : 2] for k in range(n)], combine)
    seen = x.new_empty(n, n, len(x), rows, columns, inputs)
    for part, places in zip(down, seen, strict=True):
        _combined([part[:, :, k : k + 2 * columns : 2] for k in range(n)], combine, places)
    products = torch.bmm(seen.flatten(0, 1).flatten(1, 3), _filters(weight))
    del seen
    products = products.reshape(n, n, len(x), rows, columns, outputs)
    out = x.new_empty(len(x), 2 * rows, 2 * columns, outputs)
    for i, part in enumerate(_combined(list(products), OUTPUTS[kernel])):
        for j, value in enumerate(_combined(list(part), OUTPUTS[kernel])):
            torch.add(value, bias, out=out[:, i::2, j::2])
    return out[:, :h, :w].contiguous().movedim(-1, 1)


def _filters(weight: Tensor) -> Tensor:
    """A weight as its products take it, (products, C, outputs)."""
    outputs, inputs, kernel = weight.shape[:3]
    taps = torch.tensor(TAPS[kernel], dtype=weight.dtype)
    flat = torch.kron(taps, taps) @ weight.flatten(2).flatten(0, 1).t()
    return flat.reshape(len(flat), outputs, inputs).transpose(1, 2)


def _combined(
    parts: Sequence[Tensor], matrix: Sequence[Sequence[float]], out: Tensor | None = None
) -> list[Tensor]:
    """Sums of `parts` weighted by each row of a matrix, where wanted in `out`."""
    found = []
    for number, row in enumerate(matrix):
        place = torch.empty_like(parts[0]) if out is None else out[number]
        first, *others = [(part, factor) for part, factor in zip(parts, row, strict=True) if factor]
        torch.mul(first[0], first[1], out=place)
        for part, factor in others:
            place.add_(part, alpha=factor)
        found.append(place)
    return found
