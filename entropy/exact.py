"""Layers in integers: what comes out is the same on every machine, bit for bit.

    y = floor((W x + b) / 2^fraction + 1/2),  W, b, x, y integers

Every sum of products stays below 2^53, which float64 holds without rounding in whatever order a
library adds. They are plain matrix products: minimal filtering and transforms would round.
"""

import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError

# Above, float64 leaves out integers.
LARGEST = 2**53


def round_through(x: Tensor) -> Tensor:
    """Half up; gradients pass as if nothing was rounded."""
    return x + (torch.floor(x + 0.5) - x).detach()


class ExactLinear(nn.Module):
    """Integers (..., `inputs`) of at most `bound` either way -> integers (..., `outputs`).

    Weights are trained as floats and used as multiples of 2^-fraction. Inputs beyond the bound are
    set to it, so that no stream leads out of what `prove` showed.
    """

    def __init__(self, inputs: int, outputs: int, bound: int, fraction: int = 8) -> None:
        super().__init__()
        if bound < 1 or not 0 <= fraction <= 30:
            raise InvalidInputError(
                f"exact layers need bound >= 1 and 0 <= fraction <= 30, not {bound} and {fraction}"
            )
        self.bound = bound
        self.fraction = fraction
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def integers(self) -> tuple[Tensor, Tensor]:
        """Weights (outputs, inputs) and biases (outputs,), float64 with integer values."""
        one = 2.0**self.fraction
        return round_through(self.weight.double() * one), round_through(self.bias.double() * one)

    @torch.no_grad()
    def prove(self) -> int:
        """The largest output either way; raises `InvalidInputError` where sums may round."""
        weight, bias = self.integers()
        if not (weight.isfinite().all() and bias.isfinite().all()):
            raise InvalidInputError("an exact layer has weights that are not finite")
        rows = zip(weight.flatten(1).abs().tolist(), bias.abs().tolist(), strict=True)
        # In Python's integers, which don't round either.
        most = max(sum(map(int, row)) * self.bound + int(b) for row, b in rows)
        half = (1 << self.fraction) // 2
        if most + half >= LARGEST:
            raise InvalidInputError(
                f"an exact layer's sums may reach {most}, beyond 2^53: lower its weights or `bound`"
            )
        return (most + half) >> self.fraction

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs), integer values -> (..., outputs), float64 with integer values."""
        weight, bias = self.integers()
        sums = nn.functional.linear(x.double().clamp(-self.bound, self.bound), weight, bias)
        return round_through(sums * 2.0**-self.fraction)


class ExactConv2d(ExactLinear):
    """The same over k x k neighbourhoods: (N, `inputs`, h, w) -> (N, `outputs`, h, w).

    Zeros surround the grid. kernel: odd.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bound: int, fraction: int = 8
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise InvalidInputError(f"exact convolutions have odd kernels, not {kernel}")
        super().__init__(inputs * kernel**2, outputs, bound, fraction)
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w), integer values -> (N, outputs, h, w), float64 with integer values."""
        n, _, h, w = x.shape
        # As columns, since convolution routines choose their algorithm.
        seen = nn.functional.unfold(x.double(), self.kernel, padding=self.kernel // 2)
        return super().forward(seen.transpose(1, 2)).transpose(1, 2).reshape(n, -1, h, w)
