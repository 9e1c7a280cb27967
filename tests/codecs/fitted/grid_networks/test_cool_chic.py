"""Cool-chic's fit: its networks, its loop, its networks as integers."""

import math

import pytest
import torch
from torch import Tensor

from kodec.codecs.fitted import Budget, fit
from kodec.codecs.fitted.grid_networks.cool_chic_architecture import PRESETS, CoolChicArchitecture
from kodec.codecs.fitted.grid_networks.cool_chic_fitting import CoolChicFitting, usual_schedule
from kodec.codecs.fitted.grid_networks.cool_chic_latents import grid_latents
from kodec.codecs.fitted.grid_networks.cool_chic_steps import network_bits, search_steps
from kodec.entropy import SymbolReader, SymbolWriter
from kodec.native import BitstreamError, KodecError

RATE = 2e-3


def picture(colours: int, height: int, width: int) -> Tensor:
    """Waves, in 8 bits."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    waves = [torch.sin(rows / (5 + k) + columns / (9 - k)) for k in range(colours)]
    samples = (127 + 100 * torch.stack(waves)).round() / 255
    return samples.unsqueeze(0)


def fitted(colours: int, height: int, width: int, steps: int = 40) -> CoolChicFitting:
    x = picture(colours, height, width)
    fitting = CoolChicFitting(x, PRESETS["lop"].at(height, width), RATE)
    fit(fitting, usual_schedule(steps), Budget(steps=steps))
    return fitting


@pytest.mark.parametrize(
    "preset, parameters, macs", [("lop", 481, 500), ("mop", 1007, 1000), ("hop", 1857, 1945)]
)
def test_sizes_are_about_what_their_authors_say(preset: str, parameters: int, macs: int) -> None:
    architecture = PRESETS[preset].at(512, 768)
    # Theirs code 24 more, which are not used or fixed.
    assert sum(math.prod(shape) for shape in architecture.shapes(3).values()) == parameters
    assert architecture.macs(512, 768, 3) / (512 * 768) == pytest.approx(macs, rel=0.08)


def test_grids() -> None:
    grids = PRESETS["hop"].at(61, 83).grids(61, 83)
    assert [grid.level for grid in grids] == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6]
    assert [grid.hyper for grid in grids[4:]] == [False, True] * 3
    assert [(grid.rows, grid.columns) for grid in grids[:4]] == [
        (61, 83),
        (31, 42),
        (16, 21),
        (8, 11),
    ]
    assert PRESETS["hop"].at(1200, 1000).levels == 8
    assert PRESETS["hop"].at(2000, 2000).levels == 9


@pytest.mark.parametrize("integers", [(), (1,) * 7, (0, 2, 8, 1, 7, 4), (6, 2, 1 << 20, 1, 7, 4)])
def test_damaged_architectures(integers: tuple[int, ...]) -> None:
    with pytest.raises(BitstreamError, match="the file is damaged"):
        CoolChicArchitecture.of(integers)


@pytest.mark.parametrize("colours, height, width", [(3, 24, 40), (1, 1, 1), (1, 17, 2)])
def test_a_fit_of_any_size_gets_better(colours: int, height: int, width: int) -> None:
    x = picture(colours, height, width)
    fitting = CoolChicFitting(x, PRESETS["lop"].at(height, width), RATE)
    before = fitting.measure()
    run = fit(fitting, usual_schedule(60), Budget(steps=60))
    assert run.figures is not None
    assert run.figures.loss < 0.7 * before.loss
    assert fitting.measure() == run.figures


def test_the_same_steps_give_the_same_values() -> None:
    one, other = (fitted(3, 16, 24).values for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_beginnings_differ() -> None:
    x = picture(1, 8, 8)
    architecture = PRESETS["lop"].at(8, 8)
    first, other = (CoolChicFitting(x, architecture, RATE, seed) for seed in (0, 1))
    name = "synthesis.hidden.weight"
    assert not torch.equal(first.values[name], other.values[name])
    other.restart(3)
    first.restart(3)
    assert not torch.equal(first.values[name], other.values[name])


def test_networks_as_integers() -> None:
    fitting = fitted(3, 24, 40)
    before = fitting.measure()
    networks = search_steps(fitting)
    assert list(networks.integers) == list(fitting.architecture.shapes(3))
    for name, value in networks.values().items():
        assert torch.equal(value, fitting.values[name])
    assert all(0 <= n <= 24 for n in networks.exponents.values())
    after = fitting.measure()
    bits = network_bits(networks.integers.values())
    # A network of nothing but zeros costs the most there is to lose.
    assert 0 < bits < 8 * 401
    assert after.loss < before.loss + bits / (24 * 40)


def test_latents_pass_a_stream_by_the_integer_networks() -> None:
    fitting = fitted(3, 40, 56, steps=120)
    networks = search_steps(fitting)
    grids = [grid[None, None] for grid in fitting.split(fitting.integers())]
    writer = SymbolWriter(1)
    grid_latents(fitting.architecture, fitting.grids, networks).code(grids, writer)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    found = grid_latents(fitting.architecture, fitting.grids, networks).code(None, reader)
    reader.finish()
    assert all(torch.equal(a, b) for a, b in zip(found, grids, strict=True))
    # What the fit counts is what the file takes, but for the tables' and the stream's own share.
    counted = fitting.measure().bpp * 40 * 56 / 8
    assert counted < len(stream) < 1.02 * counted + 40


def test_a_fit_that_went_astray() -> None:
    fitting = CoolChicFitting(picture(1, 8, 8), PRESETS["lop"].at(8, 8), RATE)
    with torch.no_grad():
        fitting.values["arm.output.weight"].fill_(1e6)
    with pytest.raises(KodecError, match="another --seed"):
        search_steps(fitting)
