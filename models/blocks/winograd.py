"""3x3 convolution that is quick in float64 too."""

import torch
from torch import Tensor, nn

# Minimal filtering of 4 inputs by 3 taps to 2 outputs, applied to rows and to columns.
TAPS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


class Conv3x3(nn.Conv2d):
    """3x3 convolution, zero-padded, stride 1: (N, C, H, W) -> (N, outputs, H, W).

    In float64 PyTorch copies every input nine times into a matrix; here, without gradients on a
    CPU, tiles of 2x2 outputs take 16 products for 36. The result differs by rounding alone.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, H, W)."""
        if x.dtype != torch.float64 or x.device.type != "cpu" or torch.is_grad_enabled():
            return super().forward(x)
        h, w = x.shape[-2:]
        rows, columns = -(-h // 2), -(-w // 2)
        grid = x.movedim(1, -1)
        padded = nn.functional.pad(grid, (0, 0, 1, 1 + w % 2, 1, 1 + h % 2))
        seen = x.new_empty(4, 4, len(x), rows, columns, x.shape[1])
        for i, down in enumerate(_differences([padded[:, k::2][:, :rows] for k in range(4)])):
            parts = [down[:, :, k::2][:, :, :columns] for k in range(4)]
            for j, (a, b, sign) in enumerate(_PAIRS):
                torch.add(parts[a], parts[b], alpha=sign, out=seen[i, j])
        products = torch.bmm(seen.reshape(16, -1, x.shape[1]), self._filters())
        across = _sums(products.reshape(4, 4, len(x), rows, columns, -1).unbind(0))
        out = x.new_empty(len(x), rows, 2, columns, 2, self.out_channels)
        for i, part in enumerate(across):
            for j, value in enumerate(_sums(part.unbind(0))):
                assert self.bias is not None
                torch.add(value, self.bias, out=out[:, :, i, :, j])
        whole = out.reshape(len(x), 2 * rows, 2 * columns, -1)[:, :h, :w]
        return whole.contiguous().movedim(-1, 1)

    def _filters(self) -> Tensor:
        """The weight for the 16 products, (16, C, outputs)."""
        taps = torch.tensor(TAPS, dtype=self.weight.dtype)
        both = torch.kron(taps, taps)
        flat = self.weight.permute(2, 3, 1, 0).reshape(9, -1)
        return (both @ flat).reshape(16, self.in_channels, self.out_channels)


# What each of the four products looks at: first input, second input, sign of the second.
_PAIRS = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))


def _differences(inputs: list[Tensor]) -> list[Tensor]:
    """Four inputs of a tile, combined as its four products take them."""
    return [torch.add(inputs[a], inputs[b], alpha=sign) for a, b, sign in _PAIRS]


def _sums(products: "tuple[Tensor, ...]") -> tuple[Tensor, Tensor]:
    """The two outputs of a tile, from its four products."""
    a, b, c, d = products
    return a + b + c, b - c - d
