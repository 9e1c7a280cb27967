"""Blocks of a picture's numbers: each number once, filled to a budget, alike on both sides."""

import numpy as np

from kodec.codecs.fitted.priors.sample_plan import COST_UNIT, Level, SamplePlan


def levels() -> list[Level]:
    costs = np.random.default_rng(0).integers(0, 2 * COST_UNIT, 40)
    return [Level(1, costs), Level(6, costs[:25])]


def test_every_number_is_in_one_block() -> None:
    plan = SamplePlan.of(levels(), bits=8, seed=3)
    assert np.array_equal(np.sort(plan.places), np.arange(40 + 6 * 25))
    found = plan.block_of()
    for block in range(plan.blocks):
        assert (found[plan.members(block)] == block).all()
    assert plan.starts[-1] == len(plan.places) and plan.firsts[0] == 0
    # The first level's numbers are in the first level's blocks.
    assert plan.places[: plan.starts[plan.firsts[1]]].max() == 39


def test_blocks_fill_to_their_bits_on_average() -> None:
    whole, rows = levels()
    plan = SamplePlan.of([whole, rows], bits=8, seed=3)
    costs = np.concatenate((whole.costs, np.tile(rows.costs, 6)))
    spent = np.array([costs[plan.members(i)].sum() for i in range(plan.blocks)]) / COST_UNIT
    assert spent.max() <= 8 and spent[: plan.firsts[1] - 1].min() > 6
    few = SamplePlan.of([whole, rows], bits=16, seed=3)
    assert few.blocks < plan.blocks and few.blocks * 16 < 1.25 * plan.blocks * 8


def test_rows_of_a_block_differ_by_number() -> None:
    """A patch that needs more shares its cost: its numbers stand in blocks of all rows."""
    plan = SamplePlan.of(levels()[1:], bits=8, seed=0)
    rows = plan.members(0) // 25
    assert len(rows) > 3 and len(set(rows.tolist())) > 1


def test_normals_are_a_function_of_the_seed_and_the_indexes() -> None:
    plan = SamplePlan.of(levels(), bits=8, seed=3)
    indexes = np.arange(plan.blocks) % 256
    normals = plan.normals(indexes)
    assert np.array_equal(normals, SamplePlan.of(levels(), 8, 3).normals(indexes))
    changed = indexes.copy()
    changed[4] += 1
    differs = np.flatnonzero(plan.normals(changed) != normals)
    assert np.array_equal(np.sort(plan.members(4)), differs)
    assert not np.array_equal(SamplePlan.of(levels(), 8, 4).normals(indexes), normals)
