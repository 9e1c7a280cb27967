from dataclasses import replace

import numpy as np
import pytest

from kodec.eval import Curve, bd_rate, interval_over_members, pool
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.native import InvalidInputError

RATES, VALUES = np.array([0.1, 0.2, 0.4, 0.8]), np.array([30.0, 33.0, 36.0, 39.0])


def codec(factors: list[float], metric: str = "psnr-rgb", values: object = VALUES) -> Curve:
    """The mean of pictures whose rates are those of an anchor times a factor each."""
    scale = np.linspace(1, 2, len(factors))
    pictures = [
        Curve(
            "x",
            tuple(float(r) for r in RATES * scale[i] * factor),
            tuple(float(v) for v in np.asarray(values)),
            metric,
            sequence=f"{i}.png",
        )
        for i, factor in enumerate(factors)
    ]
    return pool(pictures, "codec")


def test_pictures_all_alike_leave_no_doubt() -> None:
    found = interval_over_members(codec([0.8] * 12), codec([1.0] * 12))
    assert (found.low_percent, found.high_percent) == pytest.approx((-20, -20))
    assert (found.items, found.resamples, found.warnings) == (12, 1000, ())


def test_the_interval_holds_what_resampling_by_hand_gives() -> None:
    factors = [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 0.65, 0.72, 0.88, 0.93, 0.79]
    test, anchor = codec(factors), codec([1.0] * 12)
    found = interval_over_members(test, anchor)
    assert found.low_percent < bd_rate(test, anchor).value_percent < found.high_percent
    # All pictures have one quality per point: the BD-rate is the ratio of the mean rates.
    scale = np.linspace(1, 2, 12)
    random = np.random.default_rng(123)
    chosen = random.integers(0, 12, (20_000, 12))
    ratios = (scale * np.array(factors))[chosen].sum(axis=1) / scale[chosen].sum(axis=1)
    low, high = np.quantile(100 * (ratios - 1), [0.025, 0.975])
    assert found.low_percent == pytest.approx(low, abs=0.5)
    assert found.high_percent == pytest.approx(high, abs=0.5)
    assert interval_over_members(test, anchor) == found
    assert interval_over_members(test, anchor, seed=1) != found
    narrow = interval_over_members(test, anchor, level=0.5)
    assert found.low_percent < narrow.low_percent < narrow.high_percent < found.high_percent


@pytest.mark.parametrize("metric", ["ms-ssim-db-rgb", "lpips"])
def test_other_metrics(metric: str) -> None:
    values = VALUES if "db" in metric else VALUES[::-1] / 100
    found = interval_over_members(codec([0.8] * 5, metric, values), codec([1] * 5, metric, values))
    assert found.low_percent == pytest.approx(-20) == found.high_percent
    assert found.warnings == ("the interval rests on 5 items only",)


def test_why_there_is_none() -> None:
    test, anchor = codec([0.8] * 4), codec([1.0] * 4)
    with pytest.raises(InvalidInputError, match="no data per picture"):
        interval_over_members(test, replace(anchor, members=()))
    with pytest.raises(InvalidInputError, match="different pictures"):
        interval_over_members(test, codec([1.0] * 5))
    with pytest.raises(InvalidInputError, match="not the mean"):
        interval_over_members(test, replace(anchor, rates=tuple(2 * r for r in anchor.rates)))
    with pytest.raises(InvalidInputError, match="one picture"):
        interval_over_members(codec([0.8]), codec([1.0]))


def test_interval_of_a_mean() -> None:
    found = interval_of_mean([-10.0, -12.0, -8.0, -11.0])
    assert -12 <= found.low_percent < -10.25 < found.high_percent <= -8
    with pytest.raises(InvalidInputError, match="one sequence"):
        interval_of_mean([-10.0])


def test_pictures_that_differ_in_suffix_alone() -> None:
    test, anchor = (
        replace(one, members=(replace(one.members[0], sequence="1.jpg"), *one.members[1:]))
        for one in (codec([0.8] * 3), codec([1.0] * 3))
    )
    assert interval_over_members(test, anchor, resamples=9).items == 3
