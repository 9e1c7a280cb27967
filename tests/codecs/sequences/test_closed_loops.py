"""Closed loops of sequences: what one side writes the other reads, to the bit, frame by frame."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from closed_loops import (
    SMALL,
    chain_bits,
    moving_frames,
    order_of,
    read_chain,
    run_chain,
    small_model,
    write_chain,
)
from kodec.codecs import BidirectionalFlow, FrameStep, ScaleSpaceFlow
from kodec.entropy import RateMeter, SymbolWriter
from kodec.native import InvalidInputError, MismatchError
from plain_kernels import run_with_plain_kernels

GAIN = {"gain": (1.0, 4.0)}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "scale-space": ("scale-space", {}),
    "scale-space of variable rate": ("scale-space", GAIN),
    "bidirectional": ("bidirectional", {}),
    "bidirectional, local": ("bidirectional", {**GAIN, "portability": "local"}),
}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("scale-space", (1, 64, 64)),
        ("scale-space of variable rate", (2, 130, 70)),
        ("bidirectional", (1, 130, 70)),
        ("bidirectional, local", (1, 64, 64)),
    ],
)
def test_a_chain_comes_back_to_the_bit(name: str, size: tuple[int, int, int]) -> None:
    kind, arguments = MODELS[name]
    model = small_model(kind, **arguments)
    frames = moving_frames(len(order_of(model)), *size[1:], items=size[0])
    streams, shown = write_chain(model, frames)
    decoded = read_chain(model, size, streams)
    for ours, theirs in zip(decoded, shown, strict=True):
        assert ours.shape == (size[0], 1, 3, *size[1:])
        assert torch.equal(ours, theirs)
    if model.portability == "guarded":
        # Nothing is lost when a frame becomes 8 bits.
        assert all(((s * 255).round() / 255 - s).abs().max() < 1e-12 for s in shown)
    for step, bits in zip(streams, chain_bits(model, frames), strict=True):
        total = torch.stack(list(bits.values())).sum(0) / 8
        for item, stream in enumerate(step):
            assert abs(len(stream) - float(total[item])) <= 0.01 * float(total[item]) + 64


def test_blocks_are_named_by_their_part() -> None:
    model = small_model("scale-space")
    key, inter, _ = chain_bits(model, moving_frames(3, 64, 64))
    assert sorted(key) == ["keyframe/y", "keyframe/z"]
    assert sorted(inter) == ["motion/y", "motion/z", "residual/y", "residual/z"]
    assert all(float(bits) > 20 for bits in (*key.values(), *inter.values()))


def test_a_reference_that_is_off_is_an_error() -> None:
    model = small_model("scale-space")
    frames = moving_frames(3, 64, 64)
    streams, _ = write_chain(model, frames)
    streams[0] = write_chain(model, frames.flip(0))[0][0]
    with pytest.raises(MismatchError):
        read_chain(model, (1, 64, 64), streams)


def test_another_process_s_kernels_read_the_chain(tmp_path: Path) -> None:
    """Plain kernels on two threads, of what the best ones wrote on one."""
    model = small_model("bidirectional")
    frames = moving_frames(len(order_of(model)), 72, 140)
    streams, shown = write_chain(model, frames)
    # With the weights: random numbers depend on the kernels too.
    torch.save((model.state_dict(), streams, torch.stack(shown)), tmp_path / "chain.pt")
    run_with_plain_kernels(__file__, tmp_path / "chain.pt")


@pytest.mark.parametrize("kind", ["scale-space", "bidirectional"])
def test_training_reaches_every_weight_through_the_chain(kind: str) -> None:
    model = small_model(kind, **GAIN, portability="local").float().train()
    frames = moving_frames(len(order_of(model)), 64, 64, items=2)
    meter = RateMeter(training=True)
    shown = run_chain(model, (2, 64, 64), lambda _: meter, frames)
    (
        meter.total().mean() / 64**2
        + sum((s - f).square().mean() for s, f in zip(shown, frames, strict=True))
    ).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_no_error_of_a_prediction_teaches_the_keyframe() -> None:
    model = small_model("scale-space", portability="local").float().train()
    frames = moving_frames(3, 64, 64)
    shown = run_chain(model, (1, 64, 64), lambda _: RateMeter(training=True), frames)
    shown[2].square().mean().backward()
    assert all(p.grad is None for p in model.keyframe.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.motion.synthesis.parameters())


@pytest.mark.parametrize("kind", [ScaleSpaceFlow, BidirectionalFlow])
@torch.no_grad()
def test_before_training_the_prediction_is_the_reference(kind: Any) -> None:
    model = kind(**SMALL).eval()
    references = list(torch.rand(model.reads, 1, 3, 32, 32))
    fields = model.motion.synthesis(torch.randn(1, 12, 2, 2))
    predicted = model.predict(references, fields)
    assert torch.allclose(predicted, torch.stack(references).mean(0), atol=1e-5)


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        sizes = [
            sum(p.numel() for p in kind().parameters())
            for kind in (ScaleSpaceFlow, BidirectionalFlow)
        ]
    # The public model has three quantiles for each of the priors' channels besides.
    assert sizes[0] == 34_209_609 - 3 * 3 * 192
    # One more picture enters the motion's analysis, and four more channels leave its synthesis.
    assert sizes[1] - sizes[0] == 25 * 128 * (3 + 4) + 4


def test_what_is_refused() -> None:
    model = small_model("scale-space")
    frame, state = torch.rand(1, 1, 3, 64, 64), {"frame": torch.rand(1, 3, 64, 64)}
    for step in (
        FrameStep((1, 64, 64), frames=2),
        FrameStep((1, 64, 64), references=(state, state)),
    ):
        with pytest.raises(InvalidInputError, match="a frame at a time"):
            model.code(frame, step, SymbolWriter(1))
    for arguments in ({"levels": 0}, {"levels": 9}, {"sigma": 0.0}, {"sigma": 1e6}):
        with pytest.raises(InvalidInputError, match="scale space"):
            ScaleSpaceFlow(**SMALL, **arguments)
    with pytest.raises(InvalidInputError, match="can't be exact"):
        ScaleSpaceFlow(**SMALL, portability="exact")


def main(path: str) -> None:
    """What `test_another_process_s_kernels_read_the_chain` runs."""
    weights, streams, shown = torch.load(path)
    model = small_model("bidirectional")
    model.load_state_dict(weights)
    decoded = read_chain(model.deploy(), (1, *shown.shape[-2:]), streams)
    assert torch.equal(torch.stack(decoded), shown)


if __name__ == "__main__":
    main(sys.argv[1])
