"""Soft rounding by the core: its definition in float64."""

import pytest
import torch
from torch import Tensor

from double_precision import assert_as_in_double
from kodec.models.blocks.soft_rounding import soft_rounded_twice
from kodec.native import InvalidInputError


@pytest.mark.parametrize("temperature", [0.08, 0.35, 3.0])
@pytest.mark.parametrize("count", [1, 19, 40_000])
def test_soft_rounding(count: int, temperature: float) -> None:
    torch.manual_seed(0)
    noise, gain = 0.2 * torch.randn(count), 1.5

    def rounded(x: Tensor) -> Tensor:
        middle = torch.floor(x) + 0.5
        reach = torch.tanh(torch.tensor(0.5 / temperature, dtype=torch.float64))
        return middle + 0.5 * torch.tanh((x - middle) / temperature) / reach

    x = 3 * torch.randn(count)
    # Where the second one begins the next integer float32 may be on the other side.
    inner = rounded(x.double() * gain) + noise
    x[(inner - inner.round()).abs() < 1e-4] = 0.1
    assert_as_in_double(
        lambda own: soft_rounded_twice(own, noise, temperature, gain),
        lambda own: rounded(rounded(own * gain) + noise),
        [x],
        # Steep at the middle between integers: rounding of what goes in counts ten times.
        5e-5 if temperature < 0.1 else 1e-5,
    )


def test_integers_stay_and_shapes_fit() -> None:
    x = torch.arange(-6.0, 6).view(3, 4)
    assert torch.allclose(soft_rounded_twice(x, torch.zeros(3, 4), 0.2), x, atol=1e-6)
    with pytest.raises(InvalidInputError, match="noise must have x's shape"):
        soft_rounded_twice(x, torch.zeros(5), 0.2)
    with pytest.raises(InvalidInputError, match="temperature must be"):
        soft_rounded_twice(x, torch.zeros(3, 4), 0.0)
