"""Training steps with the core's layers are those without them."""

import itertools

import pytest
import torch
from torch import nn

from kodec.codecs import PictureCodec
from kodec.entropy import FrequencySlices, GainUnit, RateMeter
from kodec.models import RefinedLappedAnalysis, RefinedLappedSynthesis
from kodec.models.blocks import core_floats, core_training


def codec() -> PictureCodec:
    """The default model's structure, small; nothing of it at zero, where gradients would end."""
    torch.manual_seed(0)
    latents = FrequencySlices(
        slices=(12, 756), phases=(6, 2), layers=(1, 0), width=32, context=16, hyper=8,
        lagrangian=0.1,
    )  # fmt: skip
    made = PictureCodec(
        RefinedLappedAnalysis((16, 16, 16)),
        latents,
        RefinedLappedSynthesis((16, 24, 16), blocks=1),
        GainUnit(768),
    )
    for parameter in made.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return made


def losses(made: PictureCodec, steps: int) -> list[float]:
    """Of so many steps of Adam, on the same crops."""
    optimiser = torch.optim.Adam(made.parameters(), lr=1e-3)
    found = []
    for step in range(steps):
        torch.manual_seed(step)
        x = torch.rand(2, 3, 64, 80)
        port = RateMeter(training=True)
        x_hat = made.code(x, (2, 64, 80), torch.tensor([10.0, 50.0]), port).x_hat
        loss = port.total().mean() / 5120 + 100 * (x - x_hat).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def test_losses_and_gradients_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    if not core_floats.core_trains(torch.zeros(1)):
        pytest.skip("a CPU with AVX2")
    ours = codec()
    with_core = losses(ours, 3)
    called = itertools.count()
    for name in ("minimal_filtering", "filter_gradient", "gelu", "gelu_gradient"):
        monkeypatch.setattr(core_training, name, lambda *_, **__: next(called))
    monkeypatch.setattr(core_floats, "_is_quicker", lambda: False)
    theirs = codec()
    without = losses(theirs, 3)
    assert next(called) == 0
    assert with_core == pytest.approx(without, rel=1e-4)
    assert with_core[0] != with_core[1]

    # Of a first step, on the same weights; Adam's own steps have the size of signs.
    monkeypatch.undo()
    ours = codec()
    losses(ours, 1)
    monkeypatch.setattr(core_floats, "_is_quicker", lambda: False)
    theirs = codec()
    losses(theirs, 1)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None, name
        assert (a.grad - b.grad).abs().max() <= 1e-3 * b.grad.abs().max() + 1e-7, name
