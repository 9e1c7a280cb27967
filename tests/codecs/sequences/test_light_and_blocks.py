"""What a frame says before its difference: its light, and which blocks are coded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from block_motion_model import small_block_motion
from closed_loops import moving_frames, read_chain, write_chain
from kodec.codecs.sequences.brightness import Brightness, brightness_between, lit
from kodec.codecs.sequences.coded_blocks import UNKNOWN, CodedBlocks
from kodec.entropy import RateMeter, SymbolReader, SymbolWriter, build_tables
from kodec.native import BitstreamError


def through(symbols: int, code: Callable[[Any, bool], Tensor], items: int = 1) -> Tensor:
    """What a reader has of what `code` gave a writer."""
    writer = SymbolWriter(items)
    code(writer, True)
    reader = SymbolReader(writer.finish())
    reader.expect(symbols)
    found = code(reader, False)
    reader.finish()
    return found


@pytest.mark.parametrize("pair", [(0, 0), (-14, 3), (255, -255)])
def test_light_passes_as_it_is(pair: tuple[int, int]) -> None:
    coder = Brightness()
    build_tables(coder)
    light = torch.tensor([pair, (0, 1)])
    found = through(2, lambda port, given: coder.code(light if given else None, 2, port), 2)
    assert torch.equal(found, light)


def test_light_that_no_frame_has_is_damage() -> None:
    coder = Brightness()
    build_tables(coder)
    writer = SymbolWriter(1)
    with pytest.raises(BitstreamError, match="light"):
        coder.code(torch.tensor([[256, 0]]), 1, writer)


@pytest.mark.parametrize("weight, offset", [(-26, 0), (0, 25), (-100, 90), (60, -20)])
def test_a_fade_is_found_and_made(weight: int, offset: int) -> None:
    rng = np.random.default_rng(2)
    reference = rng.integers(60, 160, (6, 7), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    current = lit(reference, weight, offset)
    assert abs(np.subtract(brightness_between(current, reference), (weight, offset))).max() <= 1
    exact = np.rint(reference * (1 + weight / 256)) + offset
    assert abs(current - exact.clip(0, 255)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (64, 80)])
def test_no_light_where_nothing_or_something_else_changes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 256, (2, *size), dtype=np.uint8)
    assert brightness_between(one, one) == (0, 0)
    if size == (64, 80):
        assert brightness_between(other, one) == (0, 0)
    assert lit(one, 0, 0) is one


def test_a_fade_costs_its_light_alone() -> None:
    """Nothing is left to code of a picture that fades: few bits, and the same on both sides."""
    model = small_block_motion(deringing=False)
    frames = moving_frames(4, 64, 96)
    # What the untrained keyframe shows is what fades.
    frames[:] = write_chain(model, frames)[1][0].float()
    for number in range(1, 4):
        frames[number] = (1 - 0.1 * number) * frames[0] + 0.02 * number
    streams, shown = write_chain(model, frames)
    assert all(len(stream[0]) < 300 for stream in streams[1:])
    assert (shown[3] - frames[3]).abs().max() < 0.02
    found = read_chain(model, (1, 64, 96), streams)
    assert all(torch.equal(a, b) for a, b in zip(shown, found, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 6)])
def test_flags_pass_as_they_are(size: tuple[int, int]) -> None:
    coder = CodedBlocks()
    build_tables(coder)
    torch.manual_seed(0)
    flags = torch.randint(0, 2, (2, *size))
    before = torch.randint(0, UNKNOWN + 1, (2, *size))
    steady = torch.rand(2, *size) < 0.5
    classes = torch.tensor([0, 2])

    def code(port: Any, given: bool) -> Tensor:
        return coder.code(
            flags if given else None, before, torch.tensor([1, UNKNOWN]), steady, classes, port
        )

    found = through(coder.symbols(*size), code, 2)
    assert torch.equal(found, flags)


def test_flags_that_were_counted_cost_less() -> None:
    """Of the same blocks in every frame."""
    coder = CodedBlocks()
    flags = torch.zeros(1, 8, 12, dtype=torch.int64)
    flags[:, 2:5, 3:9] = 1

    class Counter(RateMeter):
        def code(self, name: str, y: Any, dist: Any) -> Any:
            dist.counted.count(y, dist.contexts)
            return super().code(name, y, dist)

    def bits(meter: RateMeter) -> float:
        coder.code(flags, flags, torch.tensor([0]), flags > UNKNOWN, torch.tensor([1]), meter)
        return float(meter.total())

    first = bits(RateMeter(training=False))
    bits(Counter(training=False))
    assert bits(RateMeter(training=False)) < 0.5 * first


def test_blocks_whose_difference_is_small_are_not_coded() -> None:
    model = small_block_motion(deringing=False)
    frames = moving_frames(4, 64, 96)
    model.least_coded = 1e6
    none, shown = write_chain(model, frames)
    model.least_coded = 0.0
    all_, _ = write_chain(model, frames)
    assert len(none[1][0]) < len(all_[1][0]) / 2
    found = read_chain(model, (1, 64, 96), none)
    assert all(torch.equal(a, b) for a, b in zip(shown, found, strict=True))
