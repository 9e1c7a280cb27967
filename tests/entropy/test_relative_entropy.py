"""Blocks of numbers as indexes of samples, beside a run of the authors' code."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.entropy.relative_entropy import (
    Gaussians,
    SampleBlock,
    blocks_of,
    choose,
    falling_gumbels,
    kl_bits,
)
from kodec.native import InvalidInputError


def gaussians(n: int, mean: float, scale: float) -> Gaussians:
    return Gaussians(np.full(n, mean), np.full(n, scale))


def test_the_authors_grouping_and_block() -> None:
    path = Path(os.environ.get("KODEC_DATA", ".")) / "reference" / "inr-recombiner.npz"
    if not path.is_file():
        pytest.skip("KODEC_DATA has no reference/inr-recombiner.npz")
    stored = np.load(path)
    shuffled = stored["patch_kl_bits"][stored["p2g_patch"]]
    costs = np.round(shuffled * 2**20).astype(np.int64)
    assert blocks_of(costs, 16 << 20) == stored["group_sizes_patch"].tolist()
    # Their Gumbels are of NumPy's seed 42, their samples scrambled Sobol points of torch's.
    gumbels = falling_gumbels(np.random.RandomState(42).rand(1 << 16))
    assert np.allclose(gumbels[:8], stored["block/gumbel_first8"], atol=1e-9)
    points = torch.quasirandom.SobolEngine(24, scramble=True, seed=42).draw(1 << 16)
    normals = torch.special.ndtri(points.double()).numpy()
    if not np.allclose(normals[:2], stored["block/standard_normal_first2"], atol=1e-5):
        pytest.skip("this torch scrambles Sobol points otherwise")
    q, p = (
        Gaussians(*(stored[f"block/{of}_{what}"].astype(np.float64) for what in ("loc", "scale")))
        for of in "qp"
    )
    assert choose(q, p, normals, gumbels)[0] == stored["block/index"]
    tensors = (torch.from_numpy(v) for v in (q.means, q.scales, p.means, p.scales))
    assert float(kl_bits(*tensors).sum()) == pytest.approx(float(stored["block/kl_bits"]), rel=1e-6)


def test_gumbels_fall_and_begin_as_one_does() -> None:
    uniforms = np.random.default_rng(0).random(1000)
    gumbels = falling_gumbels(uniforms)
    assert (np.diff(gumbels) < 0).all()
    assert gumbels[0] == pytest.approx(-math.log(-math.log(uniforms[0])))


def test_blocks_hold_at_most_their_budget_unless_of_one_number() -> None:
    assert blocks_of([3, 3, 3, 9, 1, 1], 6) == [2, 1, 1, 2]
    assert blocks_of([], 6) == [] and blocks_of([0, 0, 0], 1) == [3]


def test_indexes_are_of_samples_about_the_posterior() -> None:
    """Of blocks with bits enough for their divergence; the posterior's mean and spread come out."""
    q, p = gaussians(4, 0.8, 0.4), gaussians(4, 0.0, 1.0)
    divergence = 4 * float(kl_bits(*(torch.tensor(v) for v in (0.8, 0.4, 0.0, 1.0))))
    assert 4.5 < divergence < 5
    drawn = []
    for number in range(200):
        block = SampleBlock(1, number, 10, 4)
        index = block.encode(q, p)
        assert 0 <= index < 1 << 10
        drawn.append(block.normals(index))
    values = np.stack(drawn)
    assert values.mean() == pytest.approx(0.8, abs=0.05)
    assert values.std() == pytest.approx(0.4, abs=0.05)


def test_large_blocks_are_searched_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    q, p = gaussians(7, 0.3, 0.5), gaussians(7, 0.0, 1.0)
    whole = SampleBlock(1, 2, 9, 7).encode(q, p)
    monkeypatch.setattr("kodec.entropy.relative_entropy._AT_ONCE", 100)
    assert SampleBlock(1, 2, 9, 7).encode(q, p) == whole


def test_wrong_blocks_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="4 to 16 bits"):
        SampleBlock(0, 0, 17, 4)
    with pytest.raises(InvalidInputError, match="scales above 0"):
        gaussians(3, 0.0, 0.0)
