"""PFNR: masks of sessions, weights that later sessions leave alone, and what is sent of them."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from kodec.codecs.fitted import Budget, Clip, FittedCodec, Goal, fit, read_fitted
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize

SIZE = ModelSize(60_000)


def clip(frames: int) -> Clip:
    rng = np.random.default_rng(1)
    slopes = np.linspace(0, 200, 44)[None, None, :, None]
    noise = rng.integers(0, 40, (frames, 1, 1, 3))
    pixels = np.broadcast_to(slopes + noise, (frames, 30, 44, 3))
    return Clip(pixels.astype(np.uint8), rate=Fraction(10))


@pytest.fixture(autouse=True)
def _short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kodec.codecs.fitted.frame_networks.session_model.FRAMES", 2)


@pytest.mark.parametrize("preset", ["plain", "fourier"])
def test_sessions_share_weights_and_have_masks_of_their_own(preset: str) -> None:
    source = clip(6)
    coded = FittedCodec("pfnr", Budget(steps=12), size=SIZE, preset=preset).fit(source)
    assert coded.model.cost().packets == 3
    assert coded.model.cost().parameters <= 60_000
    found = read_fitted(coded.data)
    for number in range(6):
        shown = found.reconstruction.frame(number)
        assert shown.tobytes() == coded.reconstruction.frame(number).tobytes()
    masks = [found.parameters[f"{n}.stages.0.block.convolution.weight/mask"] for n in range(3)]
    shares = [float(mask.float().mean()) for mask in masks]
    assert all(share == pytest.approx(0.5, abs=0.02) for share in shares)
    # What earlier sessions have is not sent again.
    new = [found.parameters[f"{n}.stages.0.block.convolution.weight"] for n in range(3)]
    assert new[0].integers.numel() > new[1].integers.numel() >= 0
    assert any("mask" in part for part in found.bits_by_part())


def test_a_session_that_has_ended_stays_as_it_is() -> None:
    model = family_named("pfnr").model()
    fitting = model.fitting(clip(6), Goal(size=SIZE))
    schedule = model.schedule(Goal(size=SIZE), None)
    kept = {}

    def shown(done: int, total: int, label: str) -> None:
        # Session 0 ends as session 1 takes its first step.
        if done == 5:
            found = fitting.result()[1]
            kept.update({n: v for n, v in found.items() if n.startswith("0.")})

    with torch.no_grad():
        before = model.fitting(clip(6), Goal(size=SIZE)).result()[1]
    fit(fitting, schedule, Budget(steps=12), shown)
    after = fitting.result()[1]
    assert kept
    for name, value in kept.items():
        if name.endswith("/mask"):
            assert torch.equal(value, after[name])
        elif "head" not in name:
            assert torch.equal(value.integers, after[name].integers)
            assert torch.equal(value.step, after[name].step)
    changed = "1.stages.0.block.convolution.weight/mask"
    assert not torch.equal(before[changed], after[changed])
