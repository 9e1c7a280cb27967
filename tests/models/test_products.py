"""Products of tokens are PyTorch's: in training with their gradients, in float64 by the core."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from kodec.models.blocks import Linear, PointwiseConv2d, product, products
from kodec.models.blocks.finish import Finish
from kodec.native.layers import runs_layers

needs_core = pytest.mark.skipif(not runs_layers(), reason="layers of the core need AVX2")


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tokens", [1, 30])
def test_what_follows_a_product_is_pytorchs(tokens: int, dtype: torch.dtype) -> None:
    """With gradients and without."""
    torch.manual_seed(0)
    linear, pointwise = Linear(24, 40).to(dtype), PointwiseConv2d(24, 40).to(dtype)
    with torch.no_grad():
        pointwise.weight[..., 0, 0] = linear.weight
        pointwise.bias.copy_(linear.bias)
    x = torch.randn(2, tokens, 24, dtype=dtype)
    plus = torch.randn(2, tokens, 40, dtype=dtype)
    made = torch.nn.functional.linear(x, linear.weight, linear.bias)
    expected = torch.nn.functional.gelu(made, approximate="tanh") + plus
    grid, added = (a.transpose(1, 2)[..., None] for a in (x, plus))
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            found = linear(x, curved=True, plus=plus)
            of_grid = pointwise(grid, Finish(curved=True, plus=added))[..., 0].transpose(1, 2)
        for own in (found, of_grid):
            torch.testing.assert_close(own, expected)


@needs_core
@torch.no_grad()
def test_large_products_in_float32_are_the_cores() -> None:
    """Nearly float64's, whatever the threads and the tokens beside, and they follow the weights."""
    torch.manual_seed(0)
    layer = Linear(96, 120)
    x, plus = torch.randn(2, 400, 96), torch.randn(2, 400, 120)
    threads = torch.get_num_threads()
    for curved, beside in ((False, None), (True, plus), (True, plus[:1, :1])):
        found = layer(x, curved, beside)
        assert not torch.equal(found, product(x, layer.weight, layer.bias, curved, beside))
        wide = None if beside is None else beside.double()
        wanted = deepcopy(layer).double()(x.double(), curved, wide)
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-5)
        torch.set_num_threads(threads + 1)
        assert torch.equal(layer(x, curved, beside), found)
        torch.set_num_threads(threads)
    assert torch.equal(layer(x[1:]), layer(x)[1:])
    layer.weight.mul_(2)
    wanted = deepcopy(layer).double()(x.double())
    torch.testing.assert_close(layer(x).double(), wanted, rtol=0, atol=1e-5)
