"""Small programs that show what the ports carry: chains of frames, parts side by side, integers."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kodec.entropy import (
    Conditions,
    LocationScale,
    MeanScaleHyperprior,
    RateMeter,
    ScaleTables,
    SymbolPort,
    SymbolReader,
    SymbolWriter,
    Within,
    build_tables,
)
from kodec.native import MismatchError
from plain_kernels import run_with_plain_kernels

FRAMES, SIZE, CHANNELS = 300, 6, 4
STEP, GUARD = 2.0**-16, 1e-11
# A model, its frames' streams, and the states after each.
Sent = tuple["Chain", list[bytes], list[Tensor]]


class Chain(nn.Module):
    """Frames whose prior reads the earlier frame's latents and a feature that lives on."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = nn.Conv2d(2 * CHANNELS, 2 * CHANNELS, 3, padding=1)
        self.feature = nn.Conv2d(2 * CHANNELS, CHANNELS, 3, padding=1)
        self.scale_tables = ScaleTables()

    def code(self, y: Tensor | None, cond: Conditions, port: SymbolPort) -> Mapping[str, Tensor]:
        """One frame; returns what the next one knows."""
        seen = torch.cat([cond.known["previous"], cond.known["feature"]], dim=1)
        mean, log_scale = self.prior(seen).chunk(2, dim=1)
        y_hat = port.code("y", y, LocationScale(mean, log_scale, self.scale_tables))
        state = torch.tanh(self.feature(torch.cat([y_hat / 4, cond.known["feature"]], dim=1)))
        # Latents too: their means are floating-point numbers.
        previous = port.snap("previous", y_hat, STEP, GUARD)
        return {"previous": previous, "feature": port.snap("feature", state, STEP, GUARD)}


def chain() -> Chain:
    torch.manual_seed(0)
    model = Chain()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.25)
    model.scale_tables.build()
    return model.double().eval()


@torch.no_grad()
def run(model: Chain, ports: Any, y: Tensor | None = None, off: Any = None) -> list[Tensor]:
    """All frames, each through the port that `ports(number)` gives."""
    shape = torch.Size((1, CHANNELS, SIZE, SIZE))
    known: Mapping[str, Tensor] = {
        name: torch.zeros(shape, dtype=torch.float64) for name in ("previous", "feature")
    }
    seen = []
    for number in range(FRAMES):
        if off is not None:
            known = {name: value + off(number, value) for name, value in known.items()}
        frame = None if y is None else y[number : number + 1]
        known = model.code(frame, Conditions(shape, known=known), ports(number))
        seen.append(torch.stack(list(known.values())))
    return seen


def written(model: Chain) -> tuple[list[bytes], list[Tensor]]:
    torch.manual_seed(1)
    y = 3 * torch.randn(FRAMES, CHANNELS, SIZE, SIZE, dtype=torch.float64)
    writers = [SymbolWriter(1) for _ in range(FRAMES)]
    states = run(model, writers.__getitem__, y)
    return [writer.finish()[0] for writer in writers], states


def read(model: Chain, streams: list[bytes], off: Any = None) -> list[Tensor]:
    last: list[SymbolReader] = []

    def port(number: int) -> SymbolReader:
        if last:
            last[-1].finish()
        last.append(SymbolReader([streams[number]]))
        return last[-1]

    states = run(model, port, off=off)
    last[-1].finish()
    return states


@pytest.fixture(scope="module")
def sent() -> Sent:
    model = chain()
    return model, *written(model)


def test_a_chain_of_frames_holds_to_the_bit_where_rounding_differs(sent: Sent) -> None:
    """Where every state that a frame reads is off by what another machine might make of it."""
    model, streams, states = sent
    assert len({stream for stream in streams}) == FRAMES
    generator = torch.Generator().manual_seed(2)

    def noise(_: int, value: Tensor) -> Tensor:
        return 1e-13 * torch.randn(value.shape, generator=generator, dtype=torch.float64)

    for ours, theirs in zip(states, read(model, streams, noise), strict=True):
        assert torch.equal(ours, theirs)


def test_a_state_that_is_off_is_an_error_in_its_frame(sent: Sent) -> None:
    model, streams, _ = sent
    reached = []

    def wrong(number: int, value: Tensor) -> Tensor:
        reached.append(number)
        return torch.full_like(value, 1e-3 if number == 17 else 0.0)

    with pytest.raises(MismatchError):
        read(model, streams, wrong)
    assert max(reached) in (17, 18)


def test_another_process_s_kernels_read_the_chain(sent: Sent, tmp_path: Path) -> None:
    """Plain kernels on two threads, of what the best ones wrote on one."""
    model, streams, states = sent
    # With the weights: random numbers depend on the kernels too.
    torch.save((model.state_dict(), streams, torch.stack(states)), tmp_path / "chain.pt")
    run_with_plain_kernels(__file__, tmp_path / "chain.pt")


class TwoHyperpriors(nn.Module):
    """Motion and residual, each with a hyperprior of its own, on one port."""

    def __init__(self) -> None:
        super().__init__()
        self.motion, self.residual = MeanScaleHyperprior(4, 3), MeanScaleHyperprior(4, 3)
        self.parts = {"motion": self.motion, "residual": self.residual}

    def code(self, y: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Both parts' latents, one after the other."""
        coded = [
            part.code(None if y is None else y[number], cond, Within(port, name))
            for number, (name, part) in enumerate(self.parts.items())
        ]
        return torch.stack(coded)


@torch.no_grad()
def test_two_hyperpriors_share_a_port() -> None:
    torch.manual_seed(0)
    model = TwoHyperpriors()
    for part in model.parts.values():
        build_tables(part)
    model.double().eval()
    y = 4 * torch.randn(2, 2, 4, 8, 8, dtype=torch.float64)
    cond = Conditions(y[0].shape)
    writer, meter = SymbolWriter(2), RateMeter(training=False)
    sent = model.code(y, cond, writer)
    assert torch.equal(model.code(y, cond, meter), sent)
    assert sorted(meter.bits) == ["motion/y", "motion/z", "residual/y", "residual/z"]
    streams = writer.finish()
    for item, stream in enumerate(streams):
        assert len(stream) <= 1.01 * meter.total()[item].item() / 8 + 64
    reader = SymbolReader(streams)
    reader.expect(sum(part.symbols(8, 8) for part in model.parts.values()))
    assert torch.equal(model.code(None, cond, reader), sent)
    reader.finish()
    # Alone, each part writes what it wrote under the other's name: names cost nothing.
    alone = SymbolWriter(2)
    model.parts["motion"].code(y[0], cond, alone)
    assert all(len(a) < len(b) for a, b in zip(alone.finish(), streams, strict=True))


def main(path: str) -> None:
    """What `test_another_process_s_kernels_read_the_chain` runs."""
    weights, streams, states = torch.load(path)
    model = chain()
    model.load_state_dict(weights)
    assert torch.equal(torch.stack(read(model, streams)), states)


if __name__ == "__main__":
    main(sys.argv[1])
