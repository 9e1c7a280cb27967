"""Networks of single positions by the core: what PyTorch computes in float64."""

import pytest
import torch
from torch import Tensor

from double_precision import assert_as_in_double
from kodec.models.blocks.position_network import PositionLayer, position_network
from kodec.native import InvalidInputError

# Widths of layers, which of them are residual, which rectified.
NETWORKS = [
    ([7, 48, 3], (), (0,)),
    ([20, 20, 20, 2], (0, 1), (0, 1)),
    ([5, 1], (), (0,)),
    ([1, 13, 13, 13, 9], (1, 2), (1,)),
]


def weights_of(widths: list[int]) -> list[Tensor]:
    return [
        tensor
        for inputs, outputs in zip(widths, widths[1:], strict=False)
        for tensor in (torch.randn(outputs, inputs) / inputs**0.5, torch.randn(outputs))
    ]


@pytest.mark.parametrize("positions", [1, 127, 1000, 9001])
@pytest.mark.parametrize(("widths", "residual", "rectified"), NETWORKS)
def test_a_network_with_its_branch(
    widths: list[int], residual: tuple[int, ...], rectified: tuple[int, ...], positions: int
) -> None:
    torch.manual_seed(0)
    count = len(widths) - 1

    def by_core(x: Tensor, *weights: Tensor) -> Tensor:
        layers = [
            PositionLayer(weights[2 * n], weights[2 * n + 1], n in residual, n in rectified)
            for n in range(count)
        ]
        return torch.cat(position_network(x, layers, PositionLayer(weights[-2], weights[-1])))

    def plain(x: Tensor, *weights: Tensor) -> Tensor:
        h = x
        for n in range(count):
            made = weights[2 * n] @ h + weights[2 * n + 1][:, None]
            h = made + h if n in residual else made
            h = h.relu() if n in rectified else h
        return torch.cat([h, weights[-2] @ x + weights[-1][:, None]])

    tensors = [torch.randn(widths[0], positions), *weights_of(widths)]
    tensors += weights_of([widths[0], widths[-1]])
    assert_as_in_double(by_core, plain, tensors)


def test_without_a_branch_and_without_the_gradient_of_what_it_sees() -> None:
    torch.manual_seed(0)
    x, (weight, bias) = torch.randn(4, 300), weights_of([4, 3])
    weight.requires_grad_()
    (found,) = position_network(x, [PositionLayer(weight, bias)])
    (gradient,) = torch.autograd.grad(found.sum(), [weight])
    assert torch.allclose(gradient, x.sum(1).expand(3, 4), rtol=1e-5, atol=1e-4)


def test_layers_that_do_not_fit() -> None:
    weights = weights_of([4, 3]) + weights_of([2, 3])
    first, second = PositionLayer(weights[0], weights[1]), PositionLayer(weights[2], weights[3])
    with pytest.raises(InvalidInputError, match="a layer's inputs must be as many"):
        position_network(torch.zeros(4, 9), [first, second])
    with pytest.raises(InvalidInputError, match="x must have a row for each"):
        position_network(torch.zeros(5, 9), [first])
    with pytest.raises(InvalidInputError, match="as many outputs as inputs"):
        position_network(torch.zeros(4, 9), [first._replace(residual=True)])
