"""Large pictures strip by strip: what the whole picture would give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kodec.codecs import Picture, load, strips
from kodec.codecs.strips import run_in_strips
from kodec.models import RefinedLappedAnalysis, RefinedLappedSynthesis

Transform = RefinedLappedAnalysis | RefinedLappedSynthesis


@pytest.fixture
def _low_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIP_POSITIONS", 1)
    monkeypatch.setattr(strips, "LEAST_ROWS", 5)


@pytest.mark.usefixtures("_low_strips")
@pytest.mark.parametrize(
    ("transform", "channels", "units"),
    [
        (RefinedLappedAnalysis((4, 4, 8)), 3, (16, 1)),
        (RefinedLappedSynthesis((4, 4, 8), blocks=1), 768, (1, 16)),
        (RefinedLappedSynthesis((4, 4, 8), blocks=3), 768, (1, 16)),
    ],
    ids=["analysis", "synthesis, 1 block", "synthesis, 3 blocks"],
)
@torch.no_grad()
def test_strips_give_what_the_whole_gives(
    transform: Transform, channels: int, units: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    for parameter in transform.parameters():
        # Enough weight everywhere for a reach that is too short to show.
        if parameter.abs().sum() == 0:
            nn.init.normal_(parameter, std=0.3)
    x = torch.rand(1, channels, 23 * units[0], 3 * units[0])
    quality = torch.tensor([20.0])

    def strip_by_strip(reach: int) -> torch.Tensor:
        return run_in_strips(lambda part: transform(part, quality), x, reach, *units)

    whole = transform(x, quality)
    rounding = 1e-5 * float(whole.abs().max())
    assert torch.allclose(strip_by_strip(transform.reach), whole, atol=rounding)
    assert not torch.allclose(strip_by_strip(1), whole, atol=rounding)


@pytest.mark.usefixtures("_low_strips")
def test_a_picture_of_many_strips_comes_back(tiny_model: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (333, 41, 3), np.uint8)
    codec = load(tiny_model)
    encoded = codec.encode_picture(Picture(pixels), 30)
    assert np.array_equal(codec.decode(encoded.data), encoded.reconstruction.pixels)
