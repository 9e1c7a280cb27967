"""Training by the clock, and comparisons picture by picture."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kodec.codecs import build_module
from kodec.native import InvalidInputError, KodecError
from timed_training import Plan, chosen, paired_difference, systems, train_for


class Task:
    """A loss that falls for ever at the same slope, so that steps are as long as Adam's rate.

    Steps take a second each on its own clock; batches and validation take an hour.
    """

    def __init__(self) -> None:
        self.module = nn.ParameterDict({"fast": nn.Parameter(torch.zeros(1))})
        self.module["slow"] = nn.Parameter(torch.zeros(1))
        self.now = 0.0
        self.batches: list[int] = []
        self.path: list[float] = []

    def clock(self) -> float:
        return self.now

    def batch(self, step: int) -> int:
        self.now += 3600
        self.batches.append(step)
        return step

    def loss_of(self, given: int) -> Tensor:
        self.now += 1
        self.path.append(self.module["fast"].item())
        loss: Tensor = -(self.module["fast"] + self.module["slow"]).sum()
        return loss

    def validate(self) -> dict[str, float]:
        self.now += 3600
        return {"at": self.module["fast"].item()}

    def run(self, plan: Plan) -> list[dict[str, float]]:
        return train_for(
            self.module, plan, self.batch, self.loss_of, self.validate, clock=self.clock
        )


def test_only_steps_are_on_the_clock() -> None:
    task = Task()
    curve = task.run(Plan(seconds=20, checks=4))
    assert task.batches == list(range(20))
    assert [point["seconds"] for point in curve] == [0, 5, 10, 15, 20]
    assert [point["steps"] for point in curve] == [0, 5, 10, 15, 20]
    assert curve[-1]["at"] > curve[1]["at"] > 0


def test_a_number_of_steps_takes_the_place_of_time() -> None:
    task = Task()
    curve = task.run(Plan(seconds=3, steps=20, checks=4, decay=0.5))
    assert task.batches == list(range(20))
    assert [point["steps"] for point in curve] == [0, 5, 10, 15, 20]
    assert task.path[19] - task.path[18] < task.path[11] - task.path[10]


def test_the_learning_rate_follows_the_time_that_was_used() -> None:
    task = Task()
    task.run(Plan(seconds=100, learning_rate=0.01, warmup=0.1, decay=0.5))
    steps = [b - a for a, b in zip(task.path[:-1], task.path[1:], strict=True)]
    assert steps[0] < 0.001
    assert steps[30] == pytest.approx(0.01, rel=0.01)
    assert steps[75] == pytest.approx(0.005, rel=0.05)
    assert 0 < steps[98] < 0.0005


def test_named_parts_learn_more_slowly() -> None:
    task = Task()
    task.run(Plan(seconds=20, slow={"slow": 0.1}))
    fast, slow = (task.module[name].item() for name in ("fast", "slow"))
    assert slow == pytest.approx(0.1 * fast, rel=1e-3)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    task = Task()
    with torch.no_grad():
        task.module["fast"].fill_(math.nan)
    with pytest.raises(KodecError, match="not finite at step 0: lower"):
        task.run(Plan(seconds=5))


def run_of(name: str, values: dict[str, float]) -> dict[str, Any]:
    return {"name": name, "kodak": [{"image": k, "bpp": v} for k, v in values.items()]}


def test_pictures_are_compared_in_pairs() -> None:
    anchor = run_of("anchor", {f"{i}": 0.1 * (i + 1) for i in range(24)})
    test = run_of("test", {row["image"]: 0.9 * row["bpp"] for row in anchor["kodak"]})
    value, interval = paired_difference(test, anchor, "bpp")
    assert value == pytest.approx(-10)
    # Pictures differ in rate by 24 to 1, but not in the ratio: the interval has no width.
    assert interval.low_percent == pytest.approx(-10)
    assert interval.high_percent == pytest.approx(-10)
    assert interval.items == 24


def test_runs_of_other_pictures_are_not_compared() -> None:
    with pytest.raises(InvalidInputError, match="have different pictures"):
        paired_difference(run_of("a", {"1": 1.0, "2": 1.0}), run_of("b", {"1": 1.0}), "bpp")


def test_unknown_names_are_refused() -> None:
    assert chosen(["elic"], "transforms") == ["elic"]
    assert chosen([], "latents") == list(systems("latents"))
    with pytest.raises(InvalidInputError, match="latents are factorised, .*, not elic"):
        chosen(["elic"], "latents")


@pytest.mark.parametrize("name", systems("latents"))
def test_latent_models_of_the_comparison_can_be_built(name: str) -> None:
    assert build_module(systems("latents")[name]).channels == 64
