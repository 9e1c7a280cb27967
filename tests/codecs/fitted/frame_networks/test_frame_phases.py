"""Presets of frame networks: pruning, penalties, published sizes, motion; and fits broken off."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.codecs.fitted import Budget, Clip, FittedCodec, FittedSize, Goal, read_fitted
from kodec.codecs.fitted.frame_networks.flow_consistency import FlowConsistency
from kodec.codecs.fitted.frame_networks.frame_architecture import sent
from kodec.codecs.fitted.frame_networks.published_sizes import PUBLISHED
from kodec.codecs.fitted.frame_networks.session_model import scenes_of
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.native import InvalidInputError

FAMILIES = (
    *("nerv", "e-nerv", "hnerv", "nerv++", "nerv-boost", "e-nerv-boost", "hnerv-boost"),
    *("hinerv", "nirvana", "pfnr"),
)


def clip(frames: int = 3, step: int = 4) -> Clip:
    """A bar that moves over a slope, 44x30."""
    pixels = np.empty((frames, 30, 44, 3))
    for number in range(frames):
        pixels[number] = np.linspace(0.4, 0.8, 44)[None, :, None]
        pixels[number, :, step * number : step * number + 12] = (0.9, 0.5, 0.1)
    return Clip((255 * pixels).round().astype(np.uint8))


def test_pruned_weights_are_masks_and_zeros_in_the_file() -> None:
    coded = FittedCodec("hnerv", Budget(steps=20), size=ModelSize(20_000), preset="pruned")
    found = read_fitted(coded.fit(clip()).data)
    kept = total = 0
    for name, value in found.parameters.items():
        if value.mask is not None:
            kept, total = kept + int(value.mask.sum()), total + value.mask.numel()
            assert not value.dequantise()[~value.mask].any(), name
    assert kept / total == pytest.approx(0.85, abs=0.03)
    assert any(part.endswith("/mask") for part in found.bits_by_part())


def test_a_penalty_for_rate_makes_files_smaller() -> None:
    sizes, errors = [], []
    for preset in (None, "penalised"):
        codec = FittedCodec("hnerv", Budget(steps=300), size=ModelSize(20_000), preset=preset)
        coded = codec.fit(clip())
        shown = np.stack(list(read_fitted(coded.data).reconstruction.frames()))
        sizes.append(len(coded.data))
        errors.append(float(np.square(shown - clip().pixels.astype(float)).mean()))
    assert sizes[1] < 0.97 * sizes[0] and errors[1] < 1.6 * errors[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_broken_fit_goes_on_to_the_same_file(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    preset = None if family in ("nirvana", "pfnr") else "pruned, penalised, flow"
    codec = FittedCodec(family, Budget(steps=8), size=ModelSize(90_000), preset=preset)
    whole = codec.fit(clip()).data

    def stop(done: int, total: int, label: str) -> None:
        if done == 6:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        codec.fit(clip(), show=stop, state=tmp_path / "fit")
    assert codec.fit(clip(), state=tmp_path / "fit", resume=True).data == whole


def test_published_sizes_have_the_authors_counts() -> None:
    # Of the authors' code, for 1280x720 (132 frames) and 1920x1080 (600), as inr-sizes.json has it.
    for family, name, size, count in (
        ("nerv", "s", (1280, 720, 132), 3_201_905),
        ("nerv", "m", (1920, 1080, 600), 6_533_041),
        ("nerv++", "s", (1280, 720, 132), 3_910_077),
        ("hnerv", "bunny-1.5m", (1280, 640, 132), 1_505_172),
        ("hnerv", "uvg-3m", (1920, 1080, 600), 3_053_696),
        ("hnerv-boost", "1.5m", (1280, 720, 132), 1_507_946),
        ("nerv-boost", "3m", (1280, 720, 132), 2_991_101),
        ("e-nerv", "1.1m", (1280, 720, 132), 1_102_276),
        ("e-nerv-boost", "1.5m", (1280, 720, 132), 1_538_240),
        ("hinerv", "bunny-xs", (1280, 720, 132), 1_585_666),
        ("hinerv", "uvg-l", (1920, 1080, 600), 12_818_953),
    ):
        design = PUBLISHED[family][name](FittedSize(*size))
        assert sent(design, size[2]) == count, name


@pytest.mark.parametrize("family", PUBLISHED)
def test_published_sizes_fit_a_head_for_clips_of_any_size(family: str) -> None:
    model = family_named(family).model()
    name = next(iter(PUBLISHED[family]))
    assert name in model.presets
    size = FittedSize(44, 30, 3)
    cost = model.cost_of(model._integers(size, Goal(preset=name)), size)  # type: ignore[attr-defined]
    assert cost.parameters > 50_000
    with pytest.raises(InvalidInputError, match="leave --size out"):
        model.fitting(clip(), Goal(size=ModelSize(90_000), preset=name))


def test_presets_that_are_none() -> None:
    for preset in ("huge", "pruned,pruned", "pruned,huge"):
        with pytest.raises(InvalidInputError):
            FittedCodec("hnerv", Budget(steps=1), preset=preset)


def test_motion_brings_frames_to_those_that_come_after_them() -> None:
    frames = torch.from_numpy(clip(4, step=3).pixels).permute(0, 3, 1, 2)
    flow, x = FlowConsistency(frames, 255), frames.float() / 255
    numbers = torch.tensor([1, 2, 3])
    moved = flow.moved(x[:-1], numbers)
    assert (moved - x[1:]).abs().mean() < 0.6 * (x[:-1] - x[1:]).abs().mean()
    steady = flow.steady(x[1:], x[:-1], numbers)
    assert steady.shape == (3, 1, 30, 44) and 0.5 < float(steady.mean()) < 1


def test_scenes_are_sessions() -> None:
    bright = Clip(np.concatenate([clip(3).pixels, 255 - clip(4).pixels]))
    assert scenes_of(bright) == [3, 4]
    coded = FittedCodec("pfnr", Budget(steps=2), size=ModelSize(60_000), preset="scenes")
    assert read_fitted(coded.fit(bright).data).model.sessions == (3, 4)
