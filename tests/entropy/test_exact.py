"""Layers in integers, against Python's integers."""

import pytest
import torch

from kodec.entropy import ExactConv2d, ExactLinear
from kodec.native import InvalidInputError


def by_hand(layer: ExactLinear, x: list[int]) -> list[int]:
    weight, bias = layer.integers()
    clipped = [max(-layer.bound, min(layer.bound, v)) for v in x]
    sums = [
        sum(int(w) * v for w, v in zip(row, clipped, strict=True)) + int(b)
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]
    half = (1 << layer.fraction) // 2
    return [(total + half) >> layer.fraction for total in sums]


@torch.no_grad()
def test_outputs_are_those_of_integers_up_to_the_bound() -> None:
    """With sums close to 2^53 and inputs beyond the bound, where any rounding would show."""
    torch.manual_seed(1)
    layer = ExactLinear(31, 7, bound=2**20, fraction=20)
    layer.weight.copy_(torch.randn(7, 31) * 60)
    layer.bias.copy_(torch.randn(7))
    most = layer.prove()
    assert most > 2**30
    for scale in (3, 2**20, 2**24):
        x = torch.randint(-scale, scale + 1, (5, 31))
        out = layer(x)
        assert out.dtype == torch.float64
        for given, got in zip(x.tolist(), out.tolist(), strict=True):
            assert got == by_hand(layer, given)
        assert out.abs().max() <= most


@torch.no_grad()
def test_convolution_is_the_linear_layer_at_every_position() -> None:
    torch.manual_seed(2)
    layer = ExactConv2d(2, 3, 3, bound=1000)
    layer.weight.copy_(torch.randn_like(layer.weight))
    x = torch.randint(-900, 900, (1, 2, 4, 5))
    out = layer(x)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    for row in range(4):
        for column in range(5):
            seen = padded[0, :, row : row + 3, column : column + 3].reshape(-1).tolist()
            assert out[0, :, row, column].tolist() == by_hand(layer, seen)


def test_what_may_round_is_refused() -> None:
    layer = ExactLinear(4, 1, bound=2**26, fraction=24)
    layer.prove()
    with torch.no_grad():
        layer.weight.fill_(4.0)
    with pytest.raises(InvalidInputError, match="beyond 2\\^53"):
        layer.prove()
    with torch.no_grad():
        layer.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInputError, match="not finite"):
        layer.prove()


def test_it_trains() -> None:
    """Gradients pass the rounding: a layer learns integers that it is shown."""
    torch.manual_seed(3)
    x = torch.randint(-20, 21, (256, 3)).double()
    wanted = torch.floor(x @ torch.tensor([[1.5], [-0.75], [0.25]]).double() + 2.5)
    layer = ExactLinear(3, 1, bound=100)
    optimiser = torch.optim.Adam(layer.parameters(), 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss = (layer(x) - wanted).square().mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.3
