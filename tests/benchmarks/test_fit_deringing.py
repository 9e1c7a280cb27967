"""Taps by least squares."""

import torch
from torch import nn

from fit_deringing import put, solved
from kodec.models.deringing import KNOTS, Deringing, colours_of, luma_of, pixels_of


def test_taps_mend_what_was_blurred() -> None:
    """Of waves that lost half of their height to a known blur, most comes back."""
    torch.manual_seed(0)
    columns = torch.arange(64.0)
    waves = torch.stack([torch.sin(columns * step) for step in (0.9, 1.3, 1.7)]).mean(0)
    x = (0.5 + 0.25 * waves).expand(2, 3, 64, 64)
    blurred = 0.5 * x + 0.25 * (x.roll(1, -1) + x.roll(-1, -1))
    data = {"x": (255 * x).round().byte(), "x_hat": blurred[:, None]}
    filter_ = Deringing(guided=True)
    with torch.no_grad():
        put(filter_, 3, *solved(data, 0))
        mended = filter_(blurred, torch.full((2,), KNOTS[3]))
    inside = (..., slice(8, -8), slice(8, -8))
    before, after = ((made - x)[inside].square().mean() for made in (blurred, mended))
    assert after < 0.05 * before


def test_colours_come_back_where_they_follow_luma() -> None:
    """Each colour was set to its mean, but for a rest; luma says where its edges were."""
    torch.manual_seed(0)
    blocks = (torch.rand(4, 1, 8, 8) > 0.5).float()
    waves = nn.functional.interpolate(blocks, scale_factor=8)
    x = 0.3 + 0.4 * waves * torch.tensor([1.0, 0.6, 0.2]).view(1, 3, 1, 1)
    luma, colours = luma_of(x), colours_of(x)
    flat = colours.mean((2, 3), keepdim=True) * 0.7 + 0.3 * colours
    decoded = pixels_of(torch.cat([luma, flat], dim=1))
    data = {"x": (255 * x).round().byte(), "x_hat": decoded[:, None]}
    filter_ = Deringing(guided=True)
    with torch.no_grad():
        put(filter_, 3, *solved(data, 0))
        mended = filter_(decoded, torch.full((4,), KNOTS[3]))
    before, after = ((colours_of(made - x)).square().mean() for made in (decoded, mended))
    assert after < 0.5 * before
