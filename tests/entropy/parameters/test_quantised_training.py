"""Pruning, and weights as they are quantised in training."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.entropy.parameters.pruning import keep_pruned, magnitude_masks
from kodec.entropy.parameters.quantised_training import (
    LearnedCdf,
    gaussian_bits,
    noisy_codes,
    partly_quantised,
    straight_through,
)
from kodec.native import InvalidInputError

FOLDER = Path(os.environ.get("KODEC_DATA", "nowhere")) / "reference"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="KODEC_DATA has no reference")
def test_bits_of_codes_by_a_gaussian() -> None:
    with np.load(FOLDER / "inr-enerv-boost.npz", allow_pickle=False) as data:
        step, offset = data["cem/e_scale_beta"].tolist()
        for of, scale, begin, name in (
            ("cem/w", float(data["cem/scale"][0]), 0.0, "cem/"),
            ("cem/e", step, offset, "cem/e_"),
        ):
            mean, deviation, bits, _ = data[f"{name}mean_std_bits_realbits"].tolist()
            codes = (torch.from_numpy(data[of].astype(np.float64)) - begin) / scale
            assert float(codes.mean()) == pytest.approx(mean, rel=1e-6)
            assert float(codes.std()) == pytest.approx(deviation, rel=1e-6)
            assert float(gaussian_bits(codes.round(), codes)) == pytest.approx(bits, rel=1e-4)


def test_rate_and_distortion_pull_a_learned_step_apart() -> None:
    torch.manual_seed(0)
    weights = torch.randn(2000)
    step = torch.tensor(0.05, requires_grad=True)
    rate = gaussian_bits(noisy_codes(weights, step))
    (of_rate,) = torch.autograd.grad(rate, step)
    error = (straight_through(weights, step) - weights).square().sum()
    (of_error,) = torch.autograd.grad(error, step)
    assert of_rate < 0 < of_error
    assert float(rate.detach()) / 2000 == pytest.approx(
        math.log2(math.sqrt(2 * math.pi * math.e) / 0.05), abs=0.05
    )


def test_gradients_pass_rounding() -> None:
    weights = torch.randn(50, requires_grad=True)
    straight_through(weights, 0.1).sum().backward()
    assert torch.allclose(weights.grad, torch.ones(50))  # type: ignore[arg-type]
    weights.grad = None
    torch.manual_seed(1)
    mixed = partly_quantised(weights, (weights / 0.5).round() * 0.5, 0.9)
    mixed.sum().backward()
    gradient = weights.grad
    assert gradient is not None
    passed = gradient != 0
    assert 0 < int(passed.sum()) < 15 and torch.equal(mixed[passed], weights[passed])


def test_a_learned_distribution_comes_near_the_codes() -> None:
    torch.manual_seed(0)
    codes = torch.round(torch.randn(3000) * 4 + 3)
    cdf = LearnedCdf()
    optimiser = torch.optim.Adam(cdf.parameters(), 0.05)
    before = float(cdf.bits(codes).detach())
    for _ in range(150):
        optimiser.zero_grad()
        cdf.bits(noisy_codes(codes, 1.0)).backward()
        optimiser.step()
    # A logistic one takes some hundredths of a bit more than the Gaussian that it is.
    after, best = float(cdf.bits(codes).detach()), float(gaussian_bits(codes))
    assert best < after < 1.03 * best and after < before
    assert torch.isfinite(cdf.bits(torch.tensor([1e6, -1e6])))


def test_pruning_keeps_the_largest() -> None:
    torch.manual_seed(0)
    weights = {"a": torch.randn(40, 50), "b": torch.randn(100) * 3, "c": torch.zeros(60)}
    masks = magnitude_masks(weights, 0.25)
    kept = sum(int(mask.sum()) for mask in masks.values())
    assert kept == round(0.25 * 2160)
    least = min(float(weights[n][m].abs().min()) for n, m in masks.items() if m.any())
    most = max(float(weights[n][~m].abs().max()) for n, m in masks.items())
    assert most <= least
    further = magnitude_masks(weights, 0.1, masks)
    assert all(not (further[n] & ~masks[n]).any() for n in masks)
    # Relative to how many there are, the large tensor loses more.
    relative = magnitude_masks(weights, 0.25, relative=True)
    assert int(relative["a"].sum()) < int(masks["a"].sum())
    weights["a"].grad = torch.ones(40, 50)
    keep_pruned(weights, masks)
    assert not weights["a"][~masks["a"]].any() and not weights["a"].grad[~masks["a"]].any()
    with pytest.raises(InvalidInputError, match="share"):
        magnitude_masks(weights, 0.0)
