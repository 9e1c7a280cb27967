"""Kernels over tokens: PyTorch's results, and no bit that depends on threads or on other tokens."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from kodec.eval.bench.instruction_sets import available_simd, using_simd
from kodec.native import InvalidInputError
from kodec.native.tokens import (
    depthwise,
    depthwise_of_known,
    laplace_symbols,
    located,
    token_gelu,
    token_magnitudes,
    token_product,
)

Doubles = NDArray[np.float64]
RANDOM = np.random.default_rng(0)


def doubles(*shape: int) -> Doubles:
    return RANDOM.normal(size=shape)


# Sizes that are no multiples of anything, several tasks each.
ROWS, INPUTS, OUTPUTS = 201, 37, 61
X, WEIGHT, BIAS, PLUS = (
    doubles(ROWS, INPUTS),
    doubles(OUTPUTS, INPUTS),
    doubles(OUTPUTS),
    doubles(ROWS, OUTPUTS),
)
GRID, TAPS, TAP_BIAS = doubles(2, 13, 29, 21), doubles(5, 5, 21), doubles(21)
PHASES, PLACES = np.array([[0, 1], [2, 0]]), np.arange(9 * 25)[::3].copy()


def results(threads: int) -> list[Doubles]:
    return [
        token_product(X, WEIGHT, BIAS, True, PLUS, threads),
        token_product(X, WEIGHT, None, threads=threads),
        token_gelu(X.reshape(-1), threads),
        token_magnitudes(X, threads),
        depthwise(GRID, TAPS, TAP_BIAS, threads),
        depthwise_of_known(GRID, 2, PLACES, PHASES, 2, TAPS, TAP_BIAS, threads),
    ]


def by_pytorch() -> list[Doubles]:
    x, weight, bias = (torch.from_numpy(a) for a in (X, WEIGHT, BIAS))
    grid = torch.from_numpy(GRID).permute(0, 3, 1, 2)
    taps = torch.from_numpy(TAPS).permute(2, 0, 1)[:, None]

    def filtered(values: torch.Tensor, margin: int) -> torch.Tensor:
        found = nn.functional.conv2d(
            values, taps, torch.from_numpy(TAP_BIAS), padding=margin, groups=21
        )
        return found.permute(0, 2, 3, 1)

    known = torch.from_numpy(PHASES < 2).repeat(7, 15)
    # The pattern begins inside of the margin, of two rows and columns as the cell.
    sizes = torch.log1p(x.abs())
    seen = filtered(grid * known[:13, :29], 0).reshape(2, -1, 21)[:, PLACES]
    return [
        found.numpy()
        for found in (
            nn.functional.gelu(x @ weight.t() + bias, approximate="tanh") + torch.from_numpy(PLUS),
            x @ weight.t(),
            nn.functional.gelu(x, approximate="tanh").reshape(-1),
            torch.cat([sizes, torch.copysign(sizes, x)], dim=-1),
            filtered(grid, 2),
            seen,
        )
    ]


def test_every_instruction_set_gives_pytorchs_results() -> None:
    expected = by_pytorch()
    for name in available_simd():
        with using_simd(name):
            found = results(1)
            for again, own in zip(results(3), found, strict=True):
                assert np.array_equal(again, own)
        for own, wanted in zip(found, expected, strict=True):
            assert own.shape == wanted.shape
            assert np.allclose(own, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 65])
def test_a_token_is_the_same_among_any_others(rows: int) -> None:
    whole = token_product(X, WEIGHT, BIAS, True)
    assert np.array_equal(token_product(X[:rows], WEIGHT, BIAS, True), whole[:rows])


def test_large_and_small_values() -> None:
    x = np.array([0.0, -0.0, 1e-300, -1e-18, 0.3, -40.0, 700.0, -1e9, 1e12])
    wanted = nn.functional.gelu(torch.from_numpy(x), approximate="tanh").numpy()
    assert np.allclose(token_gelu(x), wanted, rtol=1e-15, atol=1e-290)
    sizes = token_magnitudes(x[None])[0, :9]
    assert np.allclose(sizes, np.log1p(np.abs(x)), rtol=1e-15, atol=0)
    nothing = np.array([np.nan])
    assert np.isnan(token_gelu(nothing)).all()
    assert np.isnan(token_magnitudes(nothing[None])).all()


def test_means_and_scales_are_those_of_one_operation_after_another() -> None:
    parameters, log_spread, predicted = doubles(ROWS, 2 * 37), doubles(37), doubles(ROWS, 37)
    spread = np.exp(log_spread)
    for threads in (1, 3):
        mean, log_scale = located(parameters, spread, log_spread, predicted, threads)
        assert np.array_equal(mean, parameters[:, :37] * spread + predicted)
        assert np.array_equal(log_scale, parameters[:, 37:] + log_spread)
        mean, _ = located(parameters, spread, log_spread, threads=threads)
        assert np.array_equal(mean, parameters[:, :37] * spread)


def test_arguments() -> None:
    known = {"grid": GRID, "margin": 2, "places": PLACES, "phases": PHASES, "phase": 2}

    def of_known(**others: Any) -> Doubles:
        return depthwise_of_known(taps=TAPS, bias=TAP_BIAS, **{**known, **others})

    wrong: list[tuple[str, Any]] = [
        ("x must be of type float64", lambda: token_product(X.astype(np.float32), WEIGHT, BIAS)),
        ("x must have 2 dimensions", lambda: token_product(X[0], WEIGHT, BIAS)),
        ("second dimension must be x's", lambda: token_product(X, WEIGHT[:, 1:].copy(), BIAS)),
        ("for each row of weight", lambda: token_product(X, WEIGHT, BIAS[1:])),
        ("the result's shape", lambda: token_product(X, WEIGHT, BIAS, False, PLUS[1:])),
        ("threads must be 1 to 1024", lambda: token_product(X, WEIGHT, BIAS, threads=0)),
        ("odd in number", lambda: depthwise(GRID, TAPS[:4, :4].copy(), TAP_BIAS)),
        ("must have x's channels", lambda: depthwise(GRID, TAPS, TAP_BIAS[1:])),
        ("margin must be as wide", lambda: of_known(margin=1)),
        ("inside of its margin", lambda: of_known(margin=7)),
        ("lie in the grid", lambda: of_known(places=PLACES + 9)),
        ("lie in the grid", lambda: of_known(places=PLACES - 1)),
        ("of the same length", lambda: laplace_symbols(BIAS, BIAS, BIAS[1:], 0, 0, 0)),
        ("float32 or float64", lambda: laplace_symbols(PHASES[0], BIAS, BIAS, 0, 0, 0)),
        ("parameters must be pairs", lambda: located(X, BIAS, BIAS)),
        ("for each pair", lambda: located(X[:, 1:].copy(), BIAS, BIAS)),
        ("half as wide", lambda: located(X[:, 1:].copy(), BIAS[:18], BIAS[:18], X)),
        ("phases must be a square", lambda: of_known(phases=PHASES[:1])),
    ]
    for reason, call in wrong:
        with pytest.raises(InvalidInputError, match=reason):
            call()
