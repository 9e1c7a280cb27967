"""Exact autoregression: the core's program against the Python step, and through the ports."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kodec.entropy import (
    Block,
    ExactAutoregression,
    ExactLinear,
    LocationScale,
    RateMeter,
    ScaleTables,
    SymbolReader,
    SymbolWriter,
    whole_blocks,
)
from kodec.native import BitstreamError, InvalidInputError, ScanProgram

TAPS = [(0, -1), (0, -2), (1, -1), (1, 0), (1, 2), (2, 0)]
ROWS, COLUMNS = 7, 9


def layers_of(model: ExactAutoregression) -> list[ExactLinear]:
    return [layer for layer in model.layers if isinstance(layer, ExactLinear)]


@torch.no_grad()
def make(channels: int = 2, side: int = 3, largest: float = 60.0) -> ExactAutoregression:
    torch.manual_seed(channels)
    tables = ScaleTables("laplace", levels=40, smallest=0.2, largest=largest)
    tables.build()
    model = ExactAutoregression(channels, TAPS, tables, widths=(12, 8), side=side)
    for layer in layers_of(model):
        layer.weight.copy_(torch.randn_like(layer.weight) * 0.25)
    # Scales that vary: indexes about the middle of the tables.
    layers_of(model)[-1].bias[channels:] = 20
    return model


def values(items: int, channels: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    y = torch.round(20 * torch.randn(items, ROWS * COLUMNS, channels)).double()
    y[0, 3, 0] = 2.0**20  # an escape
    return y, torch.randint(-300, 300, (items, ROWS * COLUMNS, 3))


def rows() -> list[Block]:
    """The order of the Python step: one position a front."""
    return whole_blocks(torch.arange(ROWS * COLUMNS).split(1))


@pytest.mark.parametrize("channels", [1, 2])
@torch.no_grad()
def test_the_core_s_program_is_the_python_step(channels: int) -> None:
    model = make(channels)
    y, side = values(2, channels)
    step = model.step(2, ROWS, COLUMNS, side)
    compiled = step.compiled()
    whole = step.whole(y)
    for item in range(2):
        means, indexes = compiled.program.predict(
            ROWS, COLUMNS, compiled.side[item], y[item].reshape(-1).numpy().astype(np.int32), 40
        )
        wanted = []
        for block in rows():
            dist = step.front(block)
            assert isinstance(dist, LocationScale)
            step.take(block, block.of(y))
            wanted.append((dist.mean[item], dist.indexes()[0][item]))
        assert means.tolist() == torch.cat([m.reshape(-1) for m, _ in wanted]).tolist()
        assert indexes.tolist() == torch.cat([i.reshape(-1) for _, i in wanted]).tolist()
        assert len(set(indexes.tolist())) > 5
        assert indexes.tolist() == whole.indexes()[0][item].reshape(-1).tolist()
        assert torch.equal(step.result(), y)
        step = model.step(2, ROWS, COLUMNS, side)


@pytest.mark.parametrize("channels", [1, 2])
@torch.no_grad()
def test_the_reader_gets_what_was_written(channels: int) -> None:
    model = make(channels)
    y, side = values(2, channels)
    writer = SymbolWriter(2)
    sent = writer.scan("y", y + 0.3, rows(), model.step(2, ROWS, COLUMNS, side))
    assert torch.equal(sent, y)
    streams = writer.finish()
    reader = SymbolReader(streams)
    reader.expect(ROWS * COLUMNS * channels)
    assert torch.equal(reader.scan("y", None, rows(), model.step(2, ROWS, COLUMNS, side)), y)
    reader.finish()
    meter = RateMeter(training=False)
    assert torch.equal(meter.scan("y", y, rows(), model.step(2, ROWS, COLUMNS, side)), y)
    # Symbols of one item, without the escape, which costs less than a Laplace tail says.
    assert len(streams[1]) <= 1.02 * meter.total()[1].item() / 8 + 24


@torch.no_grad()
def test_segments_and_lanes_make_no_difference() -> None:
    model = make(1)
    y, side = values(1, 1)
    for segments, lanes in ((1, 1), (3, 4), (2, 32)):
        writer = SymbolWriter(1)
        writer.scan("y", y, rows(), model.step(1, ROWS, COLUMNS, side[:1]))
        reader = SymbolReader(writer.finish(segments, lanes))
        step = model.step(1, ROWS, COLUMNS, side[:1])
        assert torch.equal(reader.scan("y", None, rows(), step), y)
        reader.finish()


@torch.no_grad()
def test_damage_and_other_side_integers_are_errors() -> None:
    model = make(1)
    y, side = values(1, 1)
    writer = SymbolWriter(1)
    writer.scan("y", y, rows(), model.step(1, ROWS, COLUMNS, side[:1]))
    (stream,) = writer.finish()
    other = side[:1].clone()
    other[0, 30, 1] += 200
    with pytest.raises(BitstreamError):
        reader = SymbolReader([stream])
        reader.scan("y", None, rows(), model.step(1, ROWS, COLUMNS, other))
        reader.finish()
    with pytest.raises(BitstreamError, match="more symbols"):
        reader = SymbolReader([stream])
        reader.scan("y", None, rows(), model.step(1, ROWS + 1, COLUMNS, torch.zeros(1, 72, 3)))
    for place in range(len(stream)):
        damaged = bytearray(stream)
        damaged[place] ^= 0x10
        with pytest.raises(BitstreamError):
            SymbolReader([bytes(damaged)])


def test_it_learns() -> None:
    """Rate falls in training, by gradients that pass the rounding."""
    torch.manual_seed(0)
    tables = ScaleTables("laplace", levels=40, smallest=0.2, largest=60.0)
    model = ExactAutoregression(1, [(0, -1), (1, 0)], tables)
    ramp = torch.cumsum(torch.randint(-1, 2, (4, ROWS * COLUMNS, 1)), 1).double()
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    with torch.no_grad():
        layers_of(model)[-1].bias[1] = 20
    bits = []
    for _ in range(60):
        meter = RateMeter(training=True)
        meter.scan("y", ramp, rows(), model.step(4, ROWS, COLUMNS))
        optimiser.zero_grad()
        meter.total().sum().backward()
        optimiser.step()
        bits.append(meter.total().sum().item())
    assert bits[-1] < 0.8 * bits[0]


def test_programs_that_make_no_sense_are_refused() -> None:
    good = (np.zeros((2, 1), np.int32), np.zeros(2, np.int64), 8, 100, 0)
    taps = np.array([[0, -1, 0]], np.int32)
    ScanProgram(1, 0, taps, [good])
    for wrong, message in [
        ((1, 0, np.array([[0, 1, 0]], np.int32), [good]), "not coded before"),
        ((1, 0, np.array([[0, -1, 1]], np.int32), [good]), "a channel that there is not"),
        ((1, 0, np.array([[65, 0, 0]], np.int32), [good]), "at most 64"),
        ((1, 1, taps, [good]), "takes 1 inputs, but gets 2"),
        ((1, 0, taps, []), "needs a layer"),
        ((2, 0, taps, [good]), "a mean and an index"),
        ((1, 0, taps, [(*good[:2], 31, 100, 0)]), "fraction of 0 to 30"),
        ((1, 0, taps, [(*good[:3], 2**31, 0)]), "bound of 1 to"),
        ((1, 0, taps, [(good[0], np.full(2, 2**53), *good[2:])]), "beyond 2\\^53"),
        (
            (1, 0, taps, [(np.full((2, 1), 2**30, np.int32), good[1], 8, 2**23, 0)]),
            "may reach 2\\^53",
        ),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            ScanProgram(*wrong)


@torch.no_grad()
def test_layers_that_may_round_are_refused() -> None:
    model = make(1)
    layers_of(model)[0].weight.fill_(2.0**40)
    with pytest.raises(InvalidInputError, match="2\\^53"):
        model.program()
    # Exact, but wider than what the core keeps.
    layers_of(model)[0].weight.fill_(2.0**24)
    layers_of(model)[0].prove()
    with pytest.raises(InvalidInputError, match="2\\^31"):
        model.program()
