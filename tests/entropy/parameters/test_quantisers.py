"""Quantisers against the papers' code, and what they are held to."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kodec.entropy.parameters import (
    Quantised,
    given_step,
    in_halves,
    over_axis,
    symmetric,
    uniform,
    without,
)
from kodec.native import InvalidInputError

FOLDER = Path(os.environ.get("KODEC_DATA", "nowhere")) / "reference"
needs_reference = pytest.mark.skipif(not FOLDER.is_dir(), reason="KODEC_DATA has no reference")


def reference(name: str) -> dict[str, Any]:
    with np.load(FOLDER / f"inr-{name}.npz", allow_pickle=False) as stored:
        return {key: torch.from_numpy(np.array(stored[key])) for key in stored.files}


@needs_reference
@pytest.mark.parametrize("bits", [8, 6])
@pytest.mark.parametrize("name", ["conv", "bias", "embed", "lin"])
def test_hnervs_quantiser(name: str, bits: int) -> None:
    data = reference("hnerv")
    found = uniform(data[f"quant/{name}"], bits)
    want = f"quant/{name}_{bits}_"
    assert torch.equal(found.integers, data[want + "q"].int())
    assert torch.equal(found.step, data[want + "scale"].float())
    assert found.offset is not None and torch.equal(found.offset, data[want + "min"].float())
    assert found.axis == (0 if name == "lin" else -1)
    assert (found.dequantise() - data[want + "new"]).abs().max() < 1e-6


@needs_reference
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_nervs_quantiser(axis: int) -> None:
    data = reference("nerv")
    weights, want = data["nerv/quant/w"], data[f"nerv/quant/w_axis{axis}_q"]
    theirs = data[f"nerv/quant/w_axis{axis}_new"]
    found = over_axis(weights, 8, axis)
    kept = weights != 0
    assert not bool(kept.all())

    def back(values: torch.Tensor) -> torch.Tensor:
        if axis == -1:
            return values
        moved = weights.movedim(axis, 0).shape
        return values.reshape(moved).movedim(0, axis)

    assert torch.equal(back(found.integers)[kept], want[kept].int())
    values = back(found.dequantise())
    assert (values - theirs)[kept].abs().max() < 1e-6
    assert torch.equal(values == 0, ~kept | (values == 0)) and not values[~kept].any()
    biases = over_axis(data["nerv/quant/b"], 8)
    assert torch.equal(biases.integers, data["nerv/quant/b_q"].int())


@needs_reference
@pytest.mark.parametrize("bits", [8, 6])
@pytest.mark.parametrize("name", ["conv", "lin", "grid"])
def test_hinervs_quantiser(name: str, bits: int) -> None:
    data = reference("hinerv")
    found = symmetric(data[f"quant/{name}"], bits)
    want = f"quant/{name}_{bits}_"
    assert found.axis == int(data[want + "axis"])
    assert torch.equal(found.integers, data[want + "q"].int())
    assert torch.allclose(found.step, data[want + "scale"], rtol=1e-6)
    assert torch.equal(in_halves(found).step, data[want + "scale_half"].float())


@needs_reference
def test_cems_codes() -> None:
    data = reference("enerv-boost")
    found = given_step(data["cem/w"], data["cem/scale"])
    assert torch.equal(found.integers, data["cem/quant"].int())
    assert (found.dequantise() - data["cem/dequant"]).abs().max() < 1e-7
    step, offset = data["cem/e_scale_beta"].tolist()
    embedding = given_step(data["cem/e"], step, offset)
    assert torch.equal(embedding.integers, data["cem/e_quant"].int())


def test_steps_bound_the_error_and_zeros_come_back() -> None:
    weights = torch.randn(30, 7, 3, 3, generator=torch.Generator().manual_seed(0))
    for found in (uniform(weights, 8), symmetric(weights, 8), given_step(weights, 2.0**-6)):
        error = (found.dequantise() - weights).abs()
        assert (error <= found.step * 0.51 + 1e-5).all()
    mask = weights.abs() > 0.5
    pruned = without(uniform(weights, 6), mask)
    assert not pruned.dequantise()[~mask].any() and pruned.dequantise()[mask].any()
    flat = uniform(torch.full((3, 5), 0.25), 8)
    assert torch.equal(flat.dequantise(), torch.full((3, 5), 0.25))


def test_what_is_refused() -> None:
    ones = torch.ones(4, 4)
    for wrong in (ones * torch.nan, torch.ones(0)):
        with pytest.raises(InvalidInputError, match="finite"):
            uniform(wrong, 8)
    with pytest.raises(InvalidInputError, match="1 to 16 bits"):
        symmetric(ones, 0)
    for step in (0.0, torch.nan, 1e-12):
        with pytest.raises(InvalidInputError, match="step"):
            given_step(ones, step)
    with pytest.raises(InvalidInputError, match="over axis 1"):
        Quantised(ones.int(), torch.ones(4), None, 1)
    with pytest.raises(InvalidInputError, match="int32"):
        Quantised(ones, torch.ones(()))
