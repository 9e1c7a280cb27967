"""Integer tables: sums, floors, cost; wide scales; copies."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.entropy import IntegerTables, LocationScale, ScaleTables, SymbolReader, SymbolWriter
from kodec.entropy.integer_tables import quantise_pmf, symmetric_table, tables_of
from kodec.native import InvalidInputError

TOTAL = 1 << 14


def pmfs() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return {
        "two": np.array([0.3, 0.7]),
        "certain": np.array([1.0, 0.0]),
        "flat": np.ones(256),
        "not normalised": rng.random(100) * 1e6,
        "peaked": np.append(np.zeros(255), 1.0),
        "skewed": rng.random(256) ** 20,
        "geometric": 0.5 ** np.arange(60),
        "subnormal": np.array([1e-310, 1.0, 0.0]),
    }


@pytest.mark.parametrize("name", pmfs())
def test_frequencies_sum_and_have_a_floor(name: str) -> None:
    pmf = pmfs()[name]
    frequencies = quantise_pmf(pmf)
    assert frequencies.dtype == np.uint16
    assert int(frequencies.astype(int).sum()) == TOTAL
    assert frequencies.min() >= 1
    assert np.array_equal(frequencies, quantise_pmf(pmf * 7))


@pytest.mark.parametrize("name", pmfs())
def test_cost_is_close_to_the_entropy(name: str) -> None:
    p = pmfs()[name] / pmfs()[name].sum()
    q = quantise_pmf(p) / TOTAL
    used = p > 0
    excess = (p[used] * np.log2(p[used] / q[used])).sum()
    # One unit for every code is what the floors may cost.
    assert 0 <= excess + 1e-12 < 1.5 * len(p) / TOTAL * math.log2(math.e) + 1e-4


@pytest.mark.parametrize(
    "pmf",
    [np.ones(1), np.ones(257), np.zeros(4), np.array([1, -1.0]), np.array([1, np.nan]), np.eye(2)],
)
def test_what_is_no_distribution_is_refused(pmf: NDArray[np.float64]) -> None:
    with pytest.raises(InvalidInputError):
        quantise_pmf(pmf)


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
@pytest.mark.parametrize("scale", [0.2, 3.0, 30.0, 55.0, 150.0, 256.0])
def test_wide_scales_round_trip_at_near_the_ideal_cost(family: str, scale: float) -> None:
    scales = ScaleTables(family, levels=2, smallest=scale * 0.999, largest=scale)
    scales.build()
    rng = np.random.default_rng(1)
    draw = rng.normal if family == "gaussian" else rng.laplace
    y = torch.from_numpy(np.rint(draw(0, scale, (1, 20000))))
    block = LocationScale(torch.zeros_like(y), torch.full_like(y, math.log(scale)), scales)
    writer = SymbolWriter(1)
    writer.code("y", y, block)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    assert torch.equal(reader.code("y", None, block), y)
    reader.finish()
    ideal = block.bits(y).sum().item() / 8
    assert len(stream) < 1.005 * ideal + 64
    # Beyond 255 codes, low bits go raw.
    assert (scales.arrays()["shifts"].max() > 0) == (scale > 29)


def test_symmetric_table_covers_its_symbols() -> None:
    for last in (0, 1, 126, 127, 128, 1000):
        cdf = 1 - 0.5 ** (np.arange(last + 1) + 1)
        frequencies, first, shift = symmetric_table(cdf)
        assert first == -last
        assert ((2 * last) >> shift) + 2 <= len(frequencies) <= 256
        assert int(frequencies.astype(int).sum()) == TOTAL


def filled() -> ScaleTables:
    scales = ScaleTables(levels=4)
    scales.build()
    return scales


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_of_filled_tables_code_the_same(how: str) -> None:
    scales = filled()
    copied = copy.deepcopy(scales) if how == "deepcopy" else pickle.loads(pickle.dumps(scales))
    assert copied.native.fingerprint == scales.native.fingerprint
    copied.fill([np.array([1, TOTAL - 1], np.uint16)], [0], [0])
    assert scales.native.fingerprint == filled().native.fingerprint


def test_copies_of_empty_tables_stay_empty() -> None:
    for empty in (IntegerTables(), copy.deepcopy(IntegerTables())):
        for access in (lambda e=empty: e.native, empty.arrays):
            with pytest.raises(InvalidInputError, match="no coding tables yet"):
                access()


def test_arrays_make_the_same_tables_again() -> None:
    again = IntegerTables()
    again.load_arrays(filled().arrays())
    assert again.native.fingerprint == filled().native.fingerprint
    assert not again.state_dict()
    wrong = {k: v.copy() for k, v in filled().arrays().items()}
    wrong["shifts"][0] = -1
    with pytest.raises(InvalidInputError):
        again.load_arrays(wrong)


def test_tables_of_a_module() -> None:
    module = torch.nn.ModuleDict({"a": ScaleTables(), "b": torch.nn.Linear(1, 1)})
    assert list(tables_of(module)) == ["a"]
