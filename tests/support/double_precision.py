"""Functions with gradients in float32, held to the same in float64."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Of the largest value; what float32 leaves of sums of a few thousand products is far less.
TOLERANCE = 1e-5


def _with_gradients(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], dtype: torch.dtype
) -> list[Tensor]:
    given = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]
    found = function(*given)
    upstream = torch.linspace(-1, 2, found.numel(), dtype=torch.float64).view(found.shape)
    return [found.detach(), *torch.autograd.grad(found, given, upstream.to(dtype))]


def assert_as_in_double(
    by_core: Callable[..., Tensor],
    plain: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    tolerance: float = TOLERANCE,
) -> None:
    """The result and the gradients of all tensors, which are float32."""
    found = _with_gradients(by_core, tensors, torch.float32)
    expected = _with_gradients(plain, tensors, torch.float64)
    for place, (own, wanted) in enumerate(zip(found, expected, strict=True)):
        assert own.shape == wanted.shape
        error = (own - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6)
        assert error <= tolerance, f"{place}: {error:.1e}"
