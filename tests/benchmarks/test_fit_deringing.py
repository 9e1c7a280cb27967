"""Taps by least squares."""

import torch

from fit_deringing import solved
from kodec.models.deringing import KNOTS, Deringing


def test_taps_mend_what_was_blurred() -> None:
    """Of waves that lost half of their height to a known blur, most comes back."""
    torch.manual_seed(0)
    columns = torch.arange(64.0)
    waves = torch.stack([torch.sin(columns * step) for step in (0.9, 1.3, 1.7)]).mean(0)
    x = (0.5 + 0.25 * waves).expand(2, 3, 64, 64)
    blurred = 0.5 * x + 0.25 * (x.roll(1, -1) + x.roll(-1, -1))
    data = {"x": (255 * x).round().byte(), "x_hat": blurred[:, None]}
    filter_ = Deringing()
    with torch.no_grad():
        filter_.taps[3], filter_.clip[3] = solved(data, 0)
        mended = filter_(blurred, torch.full((2,), KNOTS[3]))
    inside = (..., slice(8, -8), slice(8, -8))
    before, after = ((made - x)[inside].square().mean() for made in (blurred, mended))
    assert after < 0.05 * before
