"""Positions and masked convolutions: nothing is seen before it is coded."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kodec.entropy import Block, Conditions, RasterAutoregression, RateMeter, ScanStep
from kodec.entropy.contexts.masked_convolution import MaskedConv2d
from kodec.entropy.contexts.positions import front_positions, phase_positions
from kodec.entropy.latents.orders import Order
from kodec.entropy.latents.slices import Slice
from kodec.native import InvalidInputError
from listed_orders import four_steps

SIZES = [(1, 1), (1, 9), (9, 1), (4, 7), (8, 12)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reach", [1, 2])
def test_a_front_depends_on_earlier_fronts_alone(size: tuple[int, int], reach: int) -> None:
    h, w = size
    fronts = front_positions(h, w, reach)
    assert torch.equal(torch.cat(fronts).sort().values, torch.arange(h * w))
    assert len(fronts) <= w + (reach + 1) * (h - 1)
    front_of = torch.empty(h * w, dtype=torch.int64)
    for number, places in enumerate(fronts):
        front_of[places] = number
    for place in range(h * w):
        row, column = divmod(place, w)
        for above in range(max(row - reach, 0), row + 1):
            last = column if above == row else min(column + reach + 1, w)
            for beside in range(max(column - reach, 0), last):
                assert front_of[above * w + beside] < front_of[place]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["raster", "checkerboard"])
@torch.no_grad()
def test_a_masked_convolution_is_the_same_at_single_positions(
    order: str, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = MaskedConv2d(3, 5, 5, order).double()
    grid = torch.randn(2, 3, *size, dtype=torch.float64)
    places = torch.arange(size[0] * size[1])[::2]
    everywhere = layer(grid).flatten(2).transpose(1, 2)
    there = layer.at(layer.pad(grid), places, layer.matrix())
    assert torch.allclose(there, everywhere[:, places], atol=1e-12)


@torch.no_grad()
def test_a_checkerboard_convolution_sees_the_other_colour_alone() -> None:
    layer = MaskedConv2d(1, 1, 5, "checkerboard")
    first, second = phase_positions(6, 6, 2)
    grid = torch.randn(1, 1, 6, 6)
    changed = grid.clone()
    changed.view(-1)[second] += 1
    before, after = layer(grid).view(-1), layer(changed).view(-1)
    assert torch.equal(before[second], after[second])
    assert not torch.isclose(before[first], after[first]).any()


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="odd-sized"):
        MaskedConv2d(1, 1, 4)
    with pytest.raises(InvalidInputError, match="odd-sized"):
        MaskedConv2d(1, 1, 5, "spiral")
    with pytest.raises(InvalidInputError, match="phases"):
        phase_positions(2, 2, 3)


@pytest.mark.parametrize("size", SIZES)
def test_an_order_s_blocks_are_its_list(size: tuple[int, int]) -> None:
    """A quarter of the channels everywhere in each step, at each position another."""
    (part,) = four_steps(12).slices
    assert isinstance(part, Slice)
    h, w = size
    tokens = torch.arange(12 * h * w).reshape(1, h * w, 12)
    rebuilt = torch.full_like(tokens, -1)
    blocks = part.order.blocks(h, w, torch.device("cpu"))
    for block in blocks:
        values = block.of(tokens)
        assert values.numel() == 3 * h * w
        place, channel = values // 12, values % 12
        expected = (phase_of(h, w)[place] + block.number) % 4
        assert torch.equal(channel // 3, expected)
        rebuilt = block.put(rebuilt, values)
    assert len(blocks) == 4 and torch.equal(rebuilt, tokens)


def phase_of(h: int, w: int) -> Tensor:
    """The phase of each position, of four."""
    found = torch.empty(h * w, dtype=torch.int64)
    for phase, places in enumerate(phase_positions(h, w, 4)):
        found[places] = phase
    return found


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([[(0, slice(0, 4))], [(1, slice(0, 3))]], "channel 3 is coded 0 times at phase 1"),
        ([[(0, slice(0, 4)), (0, slice(2, 4))], [(1, slice(0, 4))]], "channel 2 is coded 2 times"),
        ([[(2, slice(0, 4))]], "phase 2 of 2"),
    ],
)
def test_an_order_codes_everything_once(steps: list[list[tuple[int, slice]]], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Slice(4, [], order=Order(2, steps))


class BothWays(RateMeter):
    """Estimates, and asks the same step for everything in one pass."""

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        values = super().scan(name, y, fronts, step)
        self.in_one_pass: Any = step.whole(values)
        return values


@torch.no_grad()
def test_one_pass_over_known_latents_gives_the_fronts_distributions() -> None:
    torch.manual_seed(0)
    model = RasterAutoregression(6, 4).double()
    y = 3 * torch.randn(2, 6, 5, 7, dtype=torch.float64)
    port = BothWays(training=False)
    y_hat = model.code(y, Conditions(y.shape), port)
    tokens = y_hat.flatten(2).transpose(1, 2)
    bits = port.in_one_pass.bits(tokens).sum((1, 2))
    assert torch.allclose(bits, port.bits["y"], rtol=1e-9)
