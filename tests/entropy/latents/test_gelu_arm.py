"""C3's entropy network: its straight GELU, its integers beside floats, the core beside Python."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kodec.entropy import GridLatents, RateMeter, SteppedLayer, SymbolReader, SymbolWriter, grids_of
from kodec.entropy.latents.gelu_arm import WINDOW_CONTEXTS, GeluArm, straight_gelu
from kodec.entropy.latents.grid_latents import Fronts, FrontStep
from kodec.entropy.latents.integer_arm import LOG_SCALE_OFFSET
from kodec.entropy.located_laplace import packaged_tables
from kodec.native import InvalidInputError


def layers(hidden: int = 18, most: int = 40) -> list[SteppedLayer]:
    rng = np.random.default_rng(5)
    widths = (len(WINDOW_CONTEXTS), hidden, hidden, 2)
    return [
        SteppedLayer(
            torch.from_numpy(rng.integers(-most, most, (b, a))),
            torch.from_numpy(rng.integers(-most, most, b)),
            8,
            7,
        )
        for a, b in zip(widths, widths[1:])
    ]


def in_floats(x: Tensor, network: list[SteppedLayer]) -> Tensor:
    for number, layer in enumerate(network):
        x = straight_gelu(x) if number else x
        weight, bias = layer.weight.double() / 2**8, layer.bias.double() / 2**7
        x = x @ weight.T + bias
    return x


def test_the_straight_gelu_is_nearly_the_gelu() -> None:
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64, requires_grad=True)
    y = straight_gelu(x)
    assert (y - torch.nn.functional.gelu(x)).abs().max() < 0.015
    assert straight_gelu(torch.tensor([-4.0, 4.0])).tolist() == pytest.approx([0, 4], abs=0.01)
    y.sum().backward()
    assert x.grad is not None and x.grad[0] == 0 and x.grad[-1] == 1
    slopes = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    assert (slopes.detach() - x.grad[1:]).abs().median() < 1e-6


def test_integers_are_what_floats_come_to() -> None:
    seen = torch.from_numpy(np.random.default_rng(1).integers(-8, 8, (500, 24)))
    mean, log_scale = GeluArm(layers())(seen)
    expected = in_floats(seen.double(), layers())
    assert (mean / 256 - expected[:, 0]).abs().max() < 0.02
    assert (log_scale / 256 + LOG_SCALE_OFFSET - expected[:, 1]).abs().max() < 0.02


def test_the_core_computes_what_python_does() -> None:
    arm = GeluArm(layers())
    latents = GridLatents(grids_of(13, 17, (0, 2), None), arm)
    rng = np.random.default_rng(2)
    grids = [
        torch.from_numpy(rng.integers(-5, 6, (1, 1, g.rows, g.columns))).double()
        for g in latents.grids
    ]
    writer = SymbolWriter(1)
    written = latents.code(grids, writer)
    stream = writer.finish()[0]
    # Bits are counted by the Python network, bytes come from the core's.
    meter = RateMeter(training=False)
    latents.code(grids, meter)
    assert len(stream) == pytest.approx(float(meter.total().sum()) / 8, abs=24)
    reader = SymbolReader([stream])
    read = latents.code(None, reader)
    reader.finish()
    for a, b, c in zip(grids, written, read, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    grid = latents.grids[0]
    program = arm.program(packaged_tables().scales)
    tokens = grids[0].reshape(1, -1, 1)
    expected, _ = FrontStep(arm, program, grid, None, 0).whole(tokens).indexes()
    order = np.concatenate([front.places for front in Fronts(grid, program.slope)])
    values, side = tokens.flatten().to(torch.int32).numpy(), np.zeros(0, np.int32)
    _, indexes = program.predict(grid.rows, grid.columns, side, 16, values)
    assert program.slope == 4 and np.array_equal(indexes, expected.flatten().numpy()[order])


def test_networks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="24 values to 2"):
        GeluArm(layers()[1:])
    with pytest.raises(InvalidInputError, match="beyond 2\\^53"):
        GeluArm(layers(most=1 << 20))
