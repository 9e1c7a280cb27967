"""Products of tokens with weights, in the quickest way that there is for them on a CPU."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kodec.native.layers import Filters

from .core_floats import core_takes
from .core_layers import KeptFilters, convolved
from .core_tokens import core_multiplies, multiplied
from .elementwise import gelu
from .finish import Finish
from .memory import add_to

# Multiplications of an item below which a call of the core takes as long as it saves, in float32.
LEAST_PRODUCTS = 2**22


@cache
def _has_quick_products() -> bool:
    """Whether oneDNN's float32 products are at hand, on a CPU where they are quicker than MKL's.

    MKL, which PyTorch takes, keeps to AVX2 on CPUs that are not Intel's: oneDNN's with AVX-512 take
    half the time there.
    """
    known = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return known and torch.backends.cpu.get_cpu_capability() == "AVX512"


def trains_products(x: Tensor) -> bool:
    """Whether `product` has a quicker way than PyTorch's for this input, here and now."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and _has_quick_products()
    )


def _multiplied(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows (P, A), weight (B, A), bias (B,) -> (P, B)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Product(torch.autograd.Function):
    """Rows (P, A) -> (P, B)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiplied(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        found: list[Tensor | None] = [None, None, None]
        if ctx.needs_input_grad[0]:
            found[0] = _multiplied(gradient, weight.t())
        if ctx.needs_input_grad[1]:
            found[1] = _multiplied(gradient.t(), x.t())
        if ctx.needs_input_grad[2]:
            found[2] = gradient.sum(0)
        return found[0], found[1], found[2]


def product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    curved: bool = False,
    plus: Tensor | None = None,
) -> Tensor:
    """x (..., A) with weight (B, A), plus bias (B,): (..., B), `torch.nn.functional.linear`.

    Of that `gelu`, if curved; then plus (..., B) is added. In float64 without gradients all this
    is one pass. Results differ from PyTorch's by rounding alone.
    """
    if core_multiplies(x, weight):
        return multiplied(x, weight, bias, curved, plus)
    if trains_products(x) and x.numel():
        rows: Tensor = _Product.apply(x.reshape(-1, x.shape[-1]), weight, bias)
        found = rows.view(*x.shape[:-1], -1)
    else:
        found = nn.functional.linear(x, weight, bias)
    if curved:
        found = gelu(found)
    return found if plus is None else add_to(found, plus)


class Linear(nn.Linear):
    """`product` as a layer: (..., inputs) -> (..., outputs).

    In float32 without gradients the core has those that are worth a call: its products with AVX-512
    take half of MKL's time, which keeps to AVX2 on CPUs that are not Intel's.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self._filters = KeptFilters()

    def forward(self, x: Tensor, curved: bool = False, plus: Tensor | None = None) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        # By an item's size, so that none depends on its batch.
        if x.shape[-2:].numel() * self.out_features < LEAST_PRODUCTS or not core_takes(x):
            return product(x, self.weight, self.bias, curved, plus)
        filters = self._filters.get("taps", self.weight[..., None, None], Filters.of_taps)
        beside = None if plus is None else _in_a_row(plus.expand(*x.shape[:-1], -1))
        found = convolved(
            _in_a_row(x), filters, self.bias, finish=Finish(plus=beside, curved=curved)
        )
        return found.movedim(1, -1).view(*x.shape[:-1], -1)


def _in_a_row(x: Tensor) -> Tensor:
    """Tokens (..., C) as a picture of one row, (1, C, 1, P)."""
    return x.reshape(1, 1, -1, x.shape[-1]).movedim(-1, 1)
