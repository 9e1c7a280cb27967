"""Gains rise with quality, whatever training does; removing undoes applying."""

import pytest
import torch

from kodec.entropy import GainUnit
from kodec.native import InvalidInputError

QUALITIES = torch.arange(64).float()


def random_unit(seed: int) -> GainUnit:
    torch.manual_seed(seed)
    unit = GainUnit(6)
    for parameter in unit.parameters():
        torch.nn.init.normal_(parameter, std=3)
    return unit.double()


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_gains_rise_with_quality_in_every_channel(seed: int) -> None:
    gains = random_unit(seed).log_gain(QUALITIES)
    assert gains.shape == (64, 6)
    assert (gains.diff(dim=0) > 0).all()


@torch.no_grad()
def test_start() -> None:
    gains = GainUnit(3, lowest=1.5, highest=24.0).log_gain(QUALITIES).exp()
    assert torch.allclose(gains[0], torch.full((3,), 1.5))
    assert torch.allclose(gains[-1], torch.full((3,), 24.0))
    steps = gains.log().diff(dim=0)
    assert torch.allclose(steps, steps.mean().expand_as(steps), atol=1e-5)


@torch.no_grad()
def test_removing_undoes_applying_per_sample() -> None:
    unit = random_unit(0)
    y = torch.randn(3, 6, 2, 5, dtype=torch.float64)
    quality = torch.tensor([0.0, 17.3, 63.0])
    scaled = unit.apply_gain(y, quality)
    assert torch.allclose(unit.remove_gain(scaled, quality), y, rtol=1e-12)
    alone = unit.apply_gain(y[1:2], quality[1:2])
    assert torch.equal(scaled[1:2], alone)
    assert not torch.allclose(scaled[0], y[0])


def test_every_gain_learns() -> None:
    unit = random_unit(1)
    unit.log_gain(QUALITIES).sum().backward()
    assert all(p.grad is not None and (p.grad != 0).all() for p in unit.parameters())


@pytest.mark.parametrize("wrong", [{"knots": 1}, {"lowest": 0.0}, {"lowest": 40.0}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="gain unit"):
        GainUnit(4, **wrong)  # type: ignore[arg-type]
