"""Convolutions of stride 1 that are quick in float64 too."""

from collections.abc import Sequence

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


class StrideOneConv2d(nn.Conv2d):
    """k x k convolution, zero-padded: (N, C, H, W) -> (N, outputs, H, W). k: odd.

    In float64 PyTorch copies every input k^2 times into a matrix. Here, without gradients on a
    CPU, a tile of 2x2 outputs takes 16 products for 36 (k = 3) or 36 for 100 (k = 5), twice as
    fast and more. The result differs by rounding alone.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, H, W)."""
        h, w = x.shape[-2:]
        kernel = self.kernel_size[0]
        slow = x.dtype == torch.float64 and x.device.type == "cpu" and kernel in INPUTS
        if not slow or torch.is_grad_enabled() or h * w < LEAST_POSITIONS:
            return super().forward(x)
        rows, columns = -(-h // 2), -(-w // 2)
        margin = kernel // 2
        sides = (margin, margin + w % 2, margin, margin + h % 2)
        padded = nn.functional.pad(x.movedim(1, -1), (0, 0, *sides))
        combine, n = INPUTS[kernel], kernel + 1
        down = _combined([padded[:, k : k + 2 * rows : 2] for k in range(n)], combine)
        seen = x.new_empty(n, n, len(x), rows, columns, self.in_channels)
        for part, places in zip(down, seen, strict=True):
            _combined([part[:, :, k : k + 2 * columns : 2] for k in range(n)], combine, places)
        products = torch.bmm(seen.flatten(0, 1).flatten(1, 3), self._filters())
        del seen
        products = products.reshape(n, n, len(x), rows, columns, self.out_channels)
        out = x.new_empty(len(x), 2 * rows, 2 * columns, self.out_channels)
        for i, part in enumerate(_combined(list(products), OUTPUTS[kernel])):
            for j, value in enumerate(_combined(list(part), OUTPUTS[kernel])):
                assert self.bias is not None
                torch.add(value, self.bias, out=out[:, i::2, j::2])
        return out[:, :h, :w].contiguous().movedim(-1, 1)

    def _filters(self) -> Tensor:
        """The weight as its products take it, (products, C, outputs)."""
        taps = torch.tensor(TAPS[self.kernel_size[0]], dtype=self.weight.dtype)
        flat = torch.kron(taps, taps) @ self.weight.flatten(2).flatten(0, 1).t()
        return flat.reshape(len(flat), self.out_channels, self.in_channels).transpose(1, 2)


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
