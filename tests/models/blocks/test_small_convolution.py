"""Small convolutions by the core: what PyTorch computes in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from double_precision import assert_as_in_double
from kodec.models.blocks.small_convolution import small_convolution
from kodec.native import InvalidInputError


@pytest.mark.parametrize("size", [(1, 1), (2, 37), (17, 33), (40, 3)])
@pytest.mark.parametrize(
    ("inputs", "outputs", "side", "residual", "rectified"),
    [
        (3, 3, 3, True, True),
        (3, 3, 3, True, False),
        (1, 5, 5, False, True),
        (7, 4, 7, False, False),
    ],
)
def test_convolution(
    size: tuple[int, int], inputs: int, outputs: int, side: int, residual: bool, rectified: bool
) -> None:
    def by_core(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return small_convolution(x, weight, bias, residual=residual, rectified=rectified)

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = functional.pad(x[None], (side // 2,) * 4, mode="replicate")
        found = functional.conv2d(padded, weight, bias)[0]
        found = found + x if residual else found
        return found.relu() if rectified else found

    torch.manual_seed(0)
    weight = torch.randn(outputs, inputs, side, side) / (side * inputs**0.5)
    assert_as_in_double(by_core, plain, [torch.randn(inputs, *size), weight, torch.randn(outputs)])


def test_weights_that_do_not_fit() -> None:
    x, bias = torch.zeros(3, 8, 8), torch.zeros(3)
    for weight, reason in (
        (torch.zeros(3, 3, 2, 2), "odd in number"),
        (torch.zeros(3, 4, 3, 3), "must be x's channels"),
        (torch.zeros(2, 3, 3, 3), "as many outputs as inputs"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            small_convolution(x, weight, bias[: len(weight)], residual=True)
