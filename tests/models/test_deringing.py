"""A filter by kind of place: what it is at the start, what kinds see, and both ways to run it."""

import pytest
import torch
from torch import Tensor, nn

from kodec.models import RefinedLappedSynthesis, deringing
from kodec.models.deringing import (
    KINDS,
    KNOTS,
    REACH,
    Deringing,
    by_pixel,
    luma_of,
    places_of,
    shares_of,
)
from kodec.native.layers import places, runs_layers

QUALITY = torch.tensor([3.0, 40.0])
BOTH = pytest.mark.parametrize("guided", [False, True], ids=["luma", "guided"])
needs_layers = pytest.mark.skipif(not runs_layers(), reason="a CPU without AVX2")


def picture() -> Tensor:
    """Noise on the left, an edge beside a smooth place on the right: (2, 3, 48, 64)."""
    torch.manual_seed(0)
    x = torch.full((2, 3, 48, 64), 0.3)
    x[..., :24] = torch.rand(2, 3, 48, 24)
    x[..., 56:] = 0.9
    return x


def filled(guided: bool = False) -> Deringing:
    torch.manual_seed(1)
    made = Deringing(guided)
    torch.nn.init.normal_(made.taps, std=0.01)
    if guided:
        torch.nn.init.normal_(made.colour_taps, std=0.01)
        torch.nn.init.normal_(made.guides, std=0.1)
    return made


@BOTH
@torch.no_grad()
def test_it_starts_as_no_change(guided: bool) -> None:
    x = picture()
    assert torch.equal(Deringing(guided)(x, QUALITY), x)


def test_what_places_are_told_by() -> None:
    here, near, direction = by_pixel(places_of(luma_of(picture()))[0])
    assert (here[:, 4:20] == 3).all() and (near[:, 4:20] == 3).all()
    assert (here[:, 34:46] == 0).all() and (near[:, 36:44] == 0).all()
    # Beside the edge, which changes along rows.
    assert (here[:, 48:52] == 0).all() and (near[:, 48:52] == 3).all()
    assert (direction[:, 55:57] == 1).all()
    turned = by_pixel(places_of(luma_of(picture().transpose(2, 3)))[0])
    assert (turned[2, 55:57] == -1).all()


def test_a_place_beside_a_bound_is_of_two_kinds() -> None:
    """A quarter of the way up from level 1, half of the way from level 2, along columns by 0.2."""
    shares = shares_of(torch.tensor([1.25, 2.5, -0.2]).view(1, 3, 1, 1))[0, :, 0, 0]
    expected = torch.zeros(4, 4, 3)
    for here, of_here in ((1, 0.75), (2, 0.25)):
        expected[here, 2:, 1] = of_here * 0.5 * 0.2
        expected[here, 2:, 2] = of_here * 0.5 * 0.8
    torch.testing.assert_close(shares, expected.view(KINDS))
    top = shares_of(torch.tensor([3.0, 3.0, 0.0]).view(1, 3, 1, 1))[0, :, 0, 0]
    assert top[-1] == 1 and top.sum() == 1


@BOTH
@torch.no_grad()
def test_pixels_that_hardly_differ_are_filtered_alike(guided: bool) -> None:
    """Other machines decode pixels with other last bits. Taps differ as much as fitted ones do."""
    torch.manual_seed(0)
    filter_, x = filled(guided), nn.functional.avg_pool2d(torch.rand(1, 3, 260, 260), 5, 1)
    x = 0.5 + 0.3 * (x - 0.5) * torch.linspace(0, 4, 256)
    quality = torch.tensor([0.0])
    made = filter_(x, quality)
    for _ in range(3):
        moved = x + 2e-6 * torch.randn_like(x)
        assert (filter_(moved, quality) - made).abs().max() < 0.03 / 255
    assert ((places_of(luma_of(x)) % 1) > 0).float().mean() > 0.05


@needs_layers
@pytest.mark.parametrize("size", [(48, 64), (2, 2), (34, 22), (18, 4)])
def test_the_core_tells_places_by_the_same_bits(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, *size) * torch.rand(1, 1, *size).round() * 1.4 - 0.2
    found = places(x[0], threads=3)
    assert torch.equal(torch.from_numpy(found), places_of(luma_of(x))[0])


@BOTH
@needs_layers
@torch.no_grad()
def test_the_core_gives_the_same(guided: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    filter_, x = filled(guided), picture() + 0.01 * torch.rand(2, 3, 48, 64)
    filter_.taps[:, 5] = 0
    by_core = filter_(x, QUALITY)
    monkeypatch.setattr(deringing, "runs_layers", lambda: False)
    assert (by_core - x).abs().max() > 0.01
    torch.testing.assert_close(filter_(x, QUALITY), by_core, rtol=0, atol=1e-5)


@BOTH
@torch.no_grad()
def test_it_keeps_its_precision_under_autocast(guided: bool) -> None:
    filter_, x = filled(guided), picture()
    with torch.autocast("cpu", torch.bfloat16):
        found = filter_(x, QUALITY)
    assert torch.equal(found, filter_(x, QUALITY))


@BOTH
@torch.no_grad()
def test_taps_are_those_of_the_quality(guided: bool) -> None:
    """At a knot its own, half way between two knots half of each."""
    filter_, x = filled(guided), picture()[:1]
    for name, values in filter_.named_parameters():
        if "clip" in name:
            values.fill_(-3.0)
    below, above = KNOTS[2], KNOTS[3]
    at = [filter_(x, torch.tensor([q])) - x for q in (below, (below + above) / 2, above)]
    torch.testing.assert_close(at[1], (at[0] + at[2]) / 2, rtol=0, atol=1e-5)
    for name, values in filter_.named_parameters():
        if "clip" not in name:
            values[3:] = 0
    assert torch.equal(filter_(x, torch.tensor([above])), x)


@BOTH
def test_gradients_reach_pixels_past_fixed_taps(guided: bool) -> None:
    """As where latents are refined through the synthesis: the same pixels, the filter unseen."""
    filter_, x = filled(guided).requires_grad_(False), picture()
    made = filter_(x.requires_grad_(), QUALITY)
    torch.testing.assert_close(made, filter_(x.detach(), QUALITY), rtol=0, atol=1e-6)
    weights = torch.rand_like(x)
    (gradient,) = torch.autograd.grad((made * weights).sum(), x)
    assert torch.equal(gradient, weights)


@BOTH
def test_taps_learn_what_is_missing(guided: bool) -> None:
    filter_, x = Deringing(guided), picture()
    wanted = x.clone()
    wanted[..., 25:55] += 0.01 * torch.randn(2, 3 if guided else 1, 48, 30)
    parameters = [p for name, p in filter_.named_parameters() if guided or "clip" not in name]
    optimiser = torch.optim.SGD(parameters, lr=10.0)
    losses = []
    for _ in range(3):
        loss = (filter_(wanted, QUALITY) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]


@BOTH
@torch.no_grad()
def test_it_reaches_as_far_as_it_says(guided: bool) -> None:
    filter_, x = filled(guided), picture()
    other = x.clone()
    other[..., 40:, :] = torch.rand(2, 3, 8, 64)
    same = 40 - REACH
    assert torch.equal(filter_(x, QUALITY)[..., :same, :], filter_(other, QUALITY)[..., :same, :])


@BOTH
@torch.no_grad()
def test_a_synthesis_may_end_with_it(guided: bool) -> None:
    torch.manual_seed(0)
    synthesis = RefinedLappedSynthesis((4, 8, 12), blocks=1, deringing=True, guided=guided)
    plain = RefinedLappedSynthesis((4, 8, 12), blocks=1)
    plain.load_state_dict(synthesis.state_dict(), strict=False)
    y = torch.randn(2, 768, 3, 4)
    assert torch.equal(synthesis(y, QUALITY), plain(y, QUALITY))
    assert synthesis.reach > plain.reach
    assert synthesis.deringing is not None
    torch.nn.init.normal_(synthesis.deringing.taps, std=0.01)
    assert (synthesis(y, QUALITY) - plain(y, QUALITY)).abs().max() > 1e-3
