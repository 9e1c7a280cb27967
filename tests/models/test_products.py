"""Products of tokens in training are PyTorch's, with their gradients."""

import pytest
import torch
from torch import Tensor

from kodec.models.blocks import Linear, PointwiseConv2d, product, products


def with_gradients(layer: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """What a layer gives, and the gradients of its input and weights."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    found: Tensor = layer(x)
    torch.cos(found).sum().backward()
    assert x.grad is not None
    return [found.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("shape", [(40, 24), (2, 7, 24), (2, 0, 24)])
def test_linear_is_pytorchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours = Linear(24, 40)
    theirs = torch.nn.Linear(24, 40)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape)
    for a, b in zip(with_gradients(ours, x), with_gradients(theirs, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_pointwise_convolution_is_pytorchs_in_any_memory_format() -> None:
    torch.manual_seed(0)
    ours = PointwiseConv2d(24, 40)
    theirs = torch.nn.Conv2d(24, 40, 1)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 24, 6, 5)
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        for a, b in zip(with_gradients(ours, given), with_gradients(theirs, given), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_products_without_gradients_are_pytorchs_to_the_bit() -> None:
    x, weight = torch.randn(9, 24), torch.randn(40, 24)
    with torch.no_grad():
        assert not products.trains_products(x)
        assert torch.equal(product(x, weight), torch.nn.functional.linear(x, weight))
