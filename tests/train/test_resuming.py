"""An optimiser's stored state finds its parameters in whatever groups those are now."""

from typing import Any

import pytest
import torch
from torch import nn

from kodec.native import InvalidInputError
from kodec.train.resuming import regrouped

NAMES = ("a", "b", "c")


def stepped(groups: list[list[str]], named: bool) -> tuple[torch.optim.Adam, dict[str, Any]]:
    """Adam over three parameters of one size, after a step, and its first moments by name."""
    weights = {name: nn.Parameter(torch.zeros(2)) for name in NAMES}
    optimiser = torch.optim.Adam(
        [{"params": [(n, weights[n]) if named else weights[n] for n in names]} for names in groups]
    )
    for number, name in enumerate(NAMES):
        weights[name].grad = torch.full((2,), float(number + 1))
    optimiser.step()
    return optimiser, {name: optimiser.state[w]["exp_avg"] for name, w in weights.items()}


def test_moments_follow_their_names() -> None:
    old, moments = stepped([["a", "c"], ["b"]], named=True)
    groups = [["b", "c"], ["a"]]
    new, _ = stepped(groups, named=True)
    new.load_state_dict(regrouped(old.state_dict(), groups))
    for group in new.param_groups:
        for name, weight in zip(group["param_names"], group["params"], strict=True):
            assert torch.equal(new.state[weight]["exp_avg"], moments[name]), name


def test_states_without_names_are_taken_in_the_same_groups_alone() -> None:
    state = stepped([["a", "c"], ["b"]], named=False)[0].state_dict()
    assert regrouped(state, [["a", "c"], ["b"]]) is state
    with pytest.raises(InvalidInputError, match=r"another model\.slow"):
        regrouped(state, [["a", "b", "c"]])
