"""A filter by kind of place: what it is at the start, what kinds see, and both ways to run it."""

import pytest
import torch
from torch import Tensor

from kodec.models import RefinedLappedSynthesis, deringing
from kodec.models.deringing import KINDS, KNOTS, REACH, Deringing, kinds_of, luma_of
from kodec.native.layers import runs_layers

QUALITY = torch.tensor([3.0, 40.0])


def picture() -> Tensor:
    """Noise on the left, an edge beside a smooth place on the right: (2, 3, 48, 64)."""
    torch.manual_seed(0)
    x = torch.full((2, 3, 48, 64), 0.3)
    x[..., :24] = torch.rand(2, 3, 48, 24)
    x[..., 56:] = 0.9
    return x


def filled(std: float = 0.01) -> Deringing:
    torch.manual_seed(1)
    made = Deringing()
    torch.nn.init.normal_(made.taps, std=std)
    return made


@torch.no_grad()
def test_it_starts_as_no_change() -> None:
    x = picture()
    assert torch.equal(Deringing()(x, QUALITY), x)


def test_kinds_of_places() -> None:
    kinds = kinds_of(luma_of(picture()))[0]
    levels, direction = kinds // deringing.DIRECTIONS, kinds % deringing.DIRECTIONS
    here, near = levels // deringing.LEVELS, levels % deringing.LEVELS
    assert (here[:, 4:20] == 3).all() and (near[:, 4:20] == 3).all()
    assert (here[:, 34:46] == 0).all() and (near[:, 36:44] == 0).all()
    # Beside the edge, which changes along rows.
    assert (here[:, 48:52] == 0).all() and (near[:, 48:52] == 3).all()
    assert (direction[:, 55:57] == 0).all()
    assert 0 <= int(kinds.min()) <= int(kinds.max()) < KINDS


@torch.no_grad()
def test_the_core_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    if not runs_layers():
        pytest.skip("a CPU without AVX2")
    filter_, x = filled(), picture()
    filter_.taps[:, 5] = 0
    by_core = filter_(x, QUALITY)
    monkeypatch.setattr(deringing, "runs_layers", lambda: False)
    assert (by_core - x).abs().max() > 0.01
    torch.testing.assert_close(filter_(x, QUALITY), by_core, rtol=0, atol=1e-5)


@torch.no_grad()
def test_it_keeps_its_precision_under_autocast() -> None:
    filter_, x = filled(), picture()
    with torch.autocast("cpu", torch.bfloat16):
        found = filter_(x, QUALITY)
    assert torch.equal(found, filter_(x, QUALITY))


@torch.no_grad()
def test_taps_are_those_of_the_quality() -> None:
    """At a knot its own, half way between two knots half of each."""
    filter_, x = filled(), picture()[:1]
    filter_.clip.fill_(-3.0)
    below, above = KNOTS[2], KNOTS[3]
    at = [filter_(x, torch.tensor([q])) - x for q in (below, (below + above) / 2, above)]
    torch.testing.assert_close(at[1], (at[0] + at[2]) / 2, rtol=0, atol=1e-5)
    filter_.taps[3:] = 0
    assert torch.equal(filter_(x, torch.tensor([above])), x)


def test_taps_learn_what_is_missing() -> None:
    filter_, x = Deringing(), picture()
    wanted = x.clone()
    wanted[..., 25:55] += 0.01 * torch.randn(2, 1, 48, 30)
    optimiser = torch.optim.SGD(filter_.parameters(), lr=10.0)
    losses = []
    for _ in range(3):
        loss = (filter_(wanted, QUALITY) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]


@torch.no_grad()
def test_it_reaches_as_far_as_it_says() -> None:
    filter_, x = filled(), picture()
    other = x.clone()
    other[..., 40:, :] = torch.rand(2, 3, 8, 64)
    same = 40 - REACH
    assert torch.equal(filter_(x, QUALITY)[..., :same, :], filter_(other, QUALITY)[..., :same, :])


@torch.no_grad()
def test_a_synthesis_may_end_with_it() -> None:
    torch.manual_seed(0)
    synthesis = RefinedLappedSynthesis((4, 8, 12), blocks=1, deringing=True)
    plain = RefinedLappedSynthesis((4, 8, 12), blocks=1)
    plain.load_state_dict(synthesis.state_dict(), strict=False)
    y = torch.randn(2, 768, 3, 4)
    assert torch.equal(synthesis(y, QUALITY), plain(y, QUALITY))
    assert synthesis.reach > plain.reach
    assert synthesis.deringing is not None
    torch.nn.init.normal_(synthesis.deringing.taps, std=0.01)
    assert (synthesis(y, QUALITY) - plain(y, QUALITY)).abs().max() > 1e-3
