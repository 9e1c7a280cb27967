"""Networks of single positions by the core: what PyTorch computes in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from double_precision import assert_as_in_double
from kodec.models.blocks.position_network import (
    Activation,
    Pieces,
    PositionLayer,
    position_network,
)
from kodec.native import InvalidInputError

STRAIGHT = Pieces((-2.0, -0.3, 0.0, 0.7), (-0.1, 0.4, 0.2, 0.5))
# Widths of layers, which of them are residual, what follows each.
NETWORKS: list[tuple[list[int], tuple[int, ...], tuple[Activation, ...]]] = [
    ([7, 48, 3], (), ("relu", None)),
    ([20, 20, 20, 2], (0, 1), ("relu", "relu", None)),
    ([5, 1], (), ("relu",)),
    ([1, 13, 13, 13, 9], (1, 2), (None, "gelu", "relu", None)),
    ([24, 18, 18, 2], (), (STRAIGHT, STRAIGHT, None)),
    ([7, 18, 18, 3], (1,), ("gelu", "gelu", None)),
]


def activated(x: Tensor, activation: Activation) -> Tensor:
    """As it is defined."""
    if isinstance(activation, Pieces):
        pieces = zip(activation.knots, activation.growth, strict=True)
        return sum((growth * (x - knot).relu() for knot, growth in pieces), torch.zeros_like(x))
    if activation is None:
        return x
    return x.relu() if activation == "relu" else functional.gelu(x)


def weights_of(widths: list[int]) -> list[Tensor]:
    return [
        tensor
        for inputs, outputs in zip(widths, widths[1:], strict=False)
        for tensor in (torch.randn(outputs, inputs) / inputs**0.5, torch.randn(outputs))
    ]


@pytest.mark.parametrize("positions", [1, 127, 1000, 9001])
@pytest.mark.parametrize(("widths", "residual", "activations"), NETWORKS)
def test_a_network_with_its_branch(
    widths: list[int],
    residual: tuple[int, ...],
    activations: tuple[Activation, ...],
    positions: int,
) -> None:
    torch.manual_seed(0)
    count = len(widths) - 1

    def by_core(x: Tensor, *weights: Tensor) -> Tensor:
        layers = [
            PositionLayer(weights[2 * n], weights[2 * n + 1], n in residual, activations[n])
            for n in range(count)
        ]
        return torch.cat(position_network(x, layers, PositionLayer(weights[-2], weights[-1])))

    def plain(x: Tensor, *weights: Tensor) -> Tensor:
        h = x
        for n in range(count):
            made = weights[2 * n] @ h + weights[2 * n + 1][:, None]
            h = activated(made + h if n in residual else made, activations[n])
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
    with pytest.raises(InvalidInputError, match="the last layer's activation"):
        position_network(torch.zeros(4, 9), [first._replace(activation="gelu")])
