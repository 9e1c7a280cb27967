"""Frames by blocks' motion: both sides alike, still pictures free, motion paid once."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from block_motion_model import small_block_motion
from closed_loops import chain_bits, moving_frames, read_chain, run_chain, write_chain
from kodec.codecs import BlockMotion, FrameStep, PictureCodec
from kodec.codecs.sequences.motion_fields import MotionCoder, MotionField
from kodec.entropy import RateMeter, SymbolReader, SymbolWriter, build_tables
from kodec.native import BitstreamError, InvalidInputError, MismatchError
from kodec.native.motion import search
from plain_kernels import run_with_plain_kernels


@pytest.mark.parametrize("size", [(1, 1), (17, 46), (64, 96)])
def test_the_reader_shows_what_the_writer_shows(size: tuple[int, int]) -> None:
    model = small_block_motion()
    frames = moving_frames(4, *size, items=2)
    streams, shown = write_chain(model, frames)
    found = read_chain(model, (2, *size), streams)
    assert all(torch.equal(a, b) for a, b in zip(shown, found, strict=True))
    for frame in shown:
        assert torch.allclose((frame * 255).round(), frame * 255, atol=1e-9)


def test_bytes_are_as_estimated() -> None:
    model = small_block_motion(deringing=False)
    frames = moving_frames(4, 64, 96)
    streams, _ = write_chain(model, frames)
    # Of the untrained keyframe much lies beyond the tables.
    for written, bits in zip(streams[1:], chain_bits(model, frames)[1:], strict=True):
        estimate = float(torch.stack(list(bits.values())).sum()) / 8
        assert len(written[0]) == pytest.approx(estimate, rel=0.02, abs=64)


def test_a_frame_whose_difference_is_not_coded_is_its_prediction_to_the_bit() -> None:
    """Of a still clip, for ever: scales below the least that is coded, and so no changes."""
    model = small_block_motion(deringing=False)
    with torch.no_grad():
        for name, parameter in model.latents.named_parameters():
            if name == "level":
                parameter.fill_(-20.0)
            elif ".out." in name:
                parameter.zero_()
    frames = moving_frames(4, 48, 64)
    frames[1:] = write_chain(model, frames)[1][0].float()
    _, shown = write_chain(model, frames)
    assert torch.equal(shown[1], shown[0]) and torch.equal(shown[2], shown[0])


def test_a_reference_that_is_off_is_an_error() -> None:
    model = small_block_motion()
    frames = moving_frames(4, 64, 64)
    streams, _ = write_chain(model, frames)
    streams[0] = write_chain(model, frames.flip(0))[0][0]
    with pytest.raises((MismatchError, BitstreamError)):
        read_chain(model, (1, 64, 64), streams)


def test_another_process_s_kernels_read_the_chain(tmp_path: Path) -> None:
    """Plain kernels on two threads, of what the best ones wrote on one."""
    model = small_block_motion()
    streams, shown = write_chain(model, moving_frames(4, 72, 140))
    torch.save((model.state_dict(), streams, torch.stack(shown)), tmp_path / "chain.pt")
    run_with_plain_kernels(__file__, tmp_path / "chain.pt")


def test_training_reaches_what_codes_differences_and_leaves_the_picture_model() -> None:
    model = small_block_motion().float().train()
    frames = moving_frames(4, 48, 48, items=2)
    meter = RateMeter(training=True)
    shown = run_chain(model, (2, 48, 48), lambda _: meter, frames)
    (meter.total().sum() + 100 * (shown[2] - frames[2]).square().sum()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("picture", "deringing")):
            assert parameter.grad is None, name
        elif ".neighbours." not in name and ".share." not in name:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_several_frames_or_references_are_refused() -> None:
    model = small_block_motion()
    with pytest.raises(InvalidInputError, match="a frame at a time"):
        model.code(torch.rand(1, 2, 3, 16, 16), FrameStep((1, 16, 16), 2), RateMeter(False))
    with pytest.raises(InvalidInputError, match="1 from 3"):
        step = FrameStep((1, 16, 16), 1, torch.tensor([20.0]), ({}, {}, {}))
        model.code(torch.rand(1, 1, 3, 16, 16), step, RateMeter(False))


def test_from_both_sides_a_frame_is_nearer() -> None:
    """One that is the mean of those before and behind it, coded from one and from both."""
    model = small_block_motion(deringing=False)
    frames = moving_frames(4, 48, 64)
    frames[1] = (frames[0] + frames[2]) / 2
    at, states = torch.tensor([30.0]), []
    with torch.no_grad():
        for frame in (frames[0], frames[2]):
            step = FrameStep((1, 48, 64), 1, at)
            states.append(model.code(frame, step, RateMeter(False))[1])
        errors = []
        for references in ((states[0],), tuple(states)):
            step = FrameStep((1, 48, 64), 1, at, references)
            writer = SymbolWriter(1)
            shown, state = model.code(frames[1], step, writer)
            reader = SymbolReader(writer.finish())
            reader.expect(model.symbols(step))
            assert torch.equal(model.code(None, step, reader)[0], shown)
            reader.finish()
            prediction = shown[:, 0] - state["change"]
            errors.append(float((prediction - frames[1][:, 0]).square().mean()))
    assert errors[1] < errors[0]


def test_parts_that_do_not_fit_are_refused() -> None:
    model = small_block_motion()
    picture = model.picture
    with pytest.raises(InvalidInputError, match="variable rate"):
        fixed = PictureCodec(picture.analysis, picture.latents, picture.synthesis)
        BlockMotion(fixed, model.latents, model.gain)
    with pytest.raises(InvalidInputError, match="768 channels"):
        BlockMotion(picture, model.latents, picture.gain)  # type: ignore[arg-type]


def fields(count: int = 3) -> list[MotionField]:
    """Of moving frames, in which a part moves otherwise."""
    frames = (moving_frames(count + 1, 96, 80)[:, :, 0, 0] * 255).byte()
    frames[:, :, 30:60, 20:50] = frames.flip(0)[:, :, 30:60, 20:50]
    found = []
    for number in range(count):
        vectors, divisions = search(
            frames[number + 1, 0].contiguous().numpy(), frames[number, 0].contiguous().numpy(), 16
        )
        found.append(
            MotionField(
                torch.from_numpy(vectors)[None].long(), torch.from_numpy(divisions)[None].long()
            )
        )
    return found


def code_fields(coder: MotionCoder, given: Any, ports: Any) -> list[MotionField]:
    before = torch.zeros(1, 12, 10, 2, dtype=torch.int64)
    coded = []
    for field, port in zip(given, ports, strict=True):
        coded.append(coder.code(field, before, torch.tensor([1]), port))
        before = coded[-1].vectors
    return coded


def test_fields_pass_as_they_are() -> None:
    coder = MotionCoder()
    build_tables(coder)
    wanted = fields()
    assert any(field.divisions.any() for field in wanted)
    writers = [SymbolWriter(1) for _ in wanted]
    code_fields(coder, wanted, writers)
    readers = [SymbolReader(writer.finish()) for writer in writers]
    for reader in readers:
        reader.expect(coder.symbols(6, 5))
    found = code_fields(coder, [None] * len(wanted), readers)
    for a, b, reader in zip(wanted, found, readers, strict=True):
        assert torch.equal(a.vectors, b.vectors) and torch.equal(a.divisions, b.divisions)
        reader.finish()


def test_what_was_counted_costs_less() -> None:
    coder = MotionCoder()

    class Counter(RateMeter):
        def code(self, name: str, y: Any, dist: Any) -> Any:
            dist.counted.count(y, dist.contexts)
            return super().code(name, y, dist)

    def bits() -> float:
        meters = [RateMeter(training=False) for _ in wanted]
        code_fields(coder, wanted, meters)
        return sum(float(meter.total()) for meter in meters)

    wanted = fields()
    before = bits()
    code_fields(coder, wanted, [Counter(training=False) for _ in wanted])
    assert bits() < 0.5 * before


if __name__ == "__main__":
    weights, written, expected = torch.load(sys.argv[1], weights_only=True)
    other = small_block_motion()
    other.load_state_dict(weights)
    for one, two in zip(expected, read_chain(other, (1, 72, 140), written), strict=True):
        assert torch.equal(one, two)
