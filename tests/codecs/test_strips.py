"""Large pictures strip by strip: what the whole picture would give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kodec.codecs import Picture, load, strips
from kodec.codecs.strips import run_in_strips
from kodec.models import RefinedLappedAnalysis, RefinedLappedSynthesis
from kodec.models.blocks import Rim

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
        def strip(part: torch.Tensor, above: int, below: int) -> torch.Tensor:
            found: torch.Tensor = transform(part, quality, Rim(top=16 * above, bottom=16 * below))
            return found

        return run_in_strips(strip, x, reach, units[0])

    whole = transform(x, quality)
    rounding = 1e-5 * float(whole.abs().max())
    assert torch.allclose(strip_by_strip(transform.reach), whole, atol=rounding)
    assert not torch.allclose(strip_by_strip(1), whole, atol=rounding)


@pytest.mark.parametrize("box", [(0, 0, 5, 4), (3, 6, 7, 9), (12, 5, 15, 11), (9, 9, 10, 10)])
@pytest.mark.parametrize("filters", [{}, {"deringing": True}, {"deringing": True, "guided": True}])
@torch.no_grad()
def test_windows_within_their_rims_give_what_the_whole_gives(
    box: tuple[int, int, int, int], filters: dict[str, bool]
) -> None:
    torch.manual_seed(0)
    analysis = RefinedLappedAnalysis((4, 4, 8))
    synthesis = RefinedLappedSynthesis((4, 4, 8), blocks=2, **filters)
    for parameter in [*analysis.parameters(), *synthesis.parameters()]:
        if parameter.abs().sum() == 0:
            nn.init.normal_(parameter, std=0.05)
    columns, rows = 15, 11
    left, top, right, bottom = box
    quality = torch.tensor([20.0])
    x = torch.rand(1, 3, 16 * rows, 16 * columns)
    cases: list[tuple[Transform, torch.Tensor, int, int]] = [
        (analysis, x, 16, 1),
        (synthesis, analysis(x, quality), 1, 16),
    ]
    for transform, given, unit, made in cases:
        reach = transform.reach
        rim = Rim(
            min(reach, left),
            min(reach, top),
            min(reach, columns - right),
            min(reach, rows - bottom),
        )
        rows_ = slice(unit * (top - rim.top), unit * (bottom + rim.bottom))
        columns_ = slice(unit * (left - rim.left), unit * (right + rim.right))
        pixels = Rim(16 * rim.left, 16 * rim.top, 16 * rim.right, 16 * rim.bottom)
        part = transform(given[..., rows_, columns_], quality, pixels)
        whole = transform(given, quality)
        expected = whole[..., made * top : made * bottom, made * left : made * right]
        assert part.shape == expected.shape
        assert torch.allclose(part, expected, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.usefixtures("_low_strips")
def test_a_picture_of_many_strips_comes_back(tiny_model: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (333, 41, 3), np.uint8)
    codec = load(tiny_model)
    encoded = codec.encode_picture(Picture(pixels), 30)
    assert np.array_equal(codec.decode(encoded.data), encoded.reconstruction.pixels)
