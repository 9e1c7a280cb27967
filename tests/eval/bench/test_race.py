"""Contestants in turn: whose order turns round, whose times are paired."""

from typing import Any

import numpy as np
import pytest

from kodec.eval.bench.race import Contestant, Race, Ratio, Spread, ratio_of
from kodec.native import InvalidInputError, KodecError


class Machine:
    """A clock of its own, on which work takes as long as it says; slower from round to round."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def timer(self, work: Any) -> tuple[float, Any]:
        name, seconds, result = work()
        self.order.append(name)
        return seconds * len(self.order), (name, seconds, result)


def test_the_order_turns_round_and_the_first_round_does_not_count() -> None:
    machine = Machine()
    one = Contestant("a", {"run": lambda _: ("a", 2.0, "x")})
    two = Contestant("b", {"run": lambda _: ("b", 1.0, "y")})
    Race(3, timer=machine.timer).run("t", [one, two])
    assert "".join(machine.order) == "baabbaab"
    assert one.seconds == {"run": [6.0, 12.0, 14.0]} and two.seconds == {"run": [4.0, 5.0, 8.0]}
    assert one.spread("run") == Spread(12.0, 6.0, 14.0)
    assert one.results["run"][2] == "x"
    assert one.times_as_fast("run", None) is None
    ratio = two.times_as_fast("run", one)
    # Of 6/4, 12/5 and 14/8, round by round.
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.75, 1.625, 2.075))


def test_steps_take_what_the_one_before_gave() -> None:
    steps = {"encode": lambda _: b"12", "decode": lambda coded: int(coded)}
    one = Contestant("a", steps, right=lambda decoded: decoded == 12)
    Race(1).run("t", [one])
    assert one.results == {"encode": b"12", "decode": 12} and set(one.seconds) == set(steps)
    wrong = Contestant("a", steps, right=lambda decoded: decoded == 13)
    with pytest.raises(KodecError, match="a did not give back what was coded of t"):
        Race(1).run("t", [wrong])


def test_ratios_are_paired() -> None:
    load = np.array([1.0, 10.0, 100.0, 1000.0])
    assert ratio_of(3 * load, 2 * load) == Ratio(1.5, 1.5, 1.5)


def test_nothing_to_race() -> None:
    with pytest.raises(InvalidInputError, match="at least one repeat"):
        Race(0)
