"""Shared state on a grid, through the ports."""

import pytest
import torch
from torch import Tensor

from kodec.entropy import RateMeter, SymbolReader, SymbolWriter, Within
from kodec.native import InvalidInputError, MismatchError

STEP, GUARD = 2.0**-16, 1e-9


def state(n: int = 2) -> Tensor:
    torch.manual_seed(0)
    x = 100 * torch.randn(n, 3, 40, 50, dtype=torch.float64)
    # Some exactly in the middle, some within the guard of it on either side.
    flat = x.view(n, -1)
    middles = (torch.floor(flat[:, ::50] / STEP) + 0.5) * STEP
    flat[:, ::50] = middles + GUARD * torch.linspace(-0.9, 0.9, middles.shape[1])
    return x


def written(x: Tensor) -> tuple[Tensor, list[bytes]]:
    writer = SymbolWriter(len(x))
    snapped = writer.snap("state", x, STEP, GUARD)
    return snapped, writer.finish()


@pytest.mark.parametrize("amount", [0.0, 0.999])
def test_the_reader_s_state_is_the_writer_s_to_the_bit(amount: float) -> None:
    """Off by up to the guard in any direction, and as on another machine."""
    x = state()
    snapped, streams = written(x)
    assert (snapped - x).abs().max() <= STEP / 2 + GUARD
    assert torch.equal(snapped, torch.round(snapped / STEP) * STEP)
    torch.manual_seed(1)
    theirs = x + amount * GUARD * torch.sign(torch.randn_like(x))
    reader = SymbolReader(streams)
    reader.expect(x[0].numel())
    again = reader.snap("state", theirs, STEP, GUARD)
    reader.finish()
    assert torch.equal(again, snapped)
    # Only close calls cost: about two bytes each.
    assert sum(map(len, streams)) <= 2 * 200 + 4 * 2 * (x[0].numel() // 50)


def test_no_close_calls_cost_no_bits() -> None:
    x = torch.round(state() / STEP) * STEP + 0.1 * STEP
    assert sum(len(stream) for stream in written(x)[1]) <= 2 * 16


def test_a_state_that_is_off_further_is_an_error() -> None:
    x = state()
    _, streams = written(x)
    theirs = x.clone()
    theirs[1, 2, 3, 4] += 1e-3
    reader = SymbolReader(streams)
    reader.snap("state", theirs, STEP, GUARD)
    with pytest.raises(MismatchError):
        reader.finish()
    theirs[1, 2, 3, 4] = float("nan")
    with pytest.raises(MismatchError):
        SymbolReader(streams).snap("state", theirs, STEP, GUARD)


def test_negative_zero_is_zero() -> None:
    """Else a network's output could differ in a sign that no checksum sees."""
    snapped, _ = written(torch.full((1, 8), -1e-9, dtype=torch.float64))
    assert not torch.signbit(snapped).any()


def test_what_cannot_be_snapped_is_refused() -> None:
    x = state()
    with pytest.raises(InvalidInputError, match="float64"):
        SymbolWriter(2).snap("state", x.float(), STEP, GUARD)
    for step, guard in ((0.0, 0.0), (STEP, STEP), (float("inf"), 0.0)):
        with pytest.raises(InvalidInputError, match="grid"):
            SymbolWriter(2).snap("state", x, step, guard)
    with pytest.raises(InvalidInputError, match="range"):
        SymbolWriter(2).snap("state", 1e300 * x, STEP, GUARD)


def test_the_meter_counts_nothing_and_lets_gradients_pass() -> None:
    x = state().requires_grad_()
    snapped = RateMeter(training=True).snap("state", x, STEP, GUARD)
    snapped.sum().backward()
    assert torch.equal(snapped.detach(), written(x.detach())[0])
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))
    # In training, and in float32 there, state need not be the same on two machines.
    assert torch.equal(RateMeter(training=True).snap("s", x.float(), STEP, GUARD), x.float())


def test_names_within_parts_stay_apart() -> None:
    meter = RateMeter(training=False)
    for part in ("motion", "residual"):
        values = torch.tensor([[1, 2, 3]])
        Within(meter, part).integers("z", values, 4, values.shape)
    assert sorted(meter.bits) == ["motion/z", "residual/z"]
