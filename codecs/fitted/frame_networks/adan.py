"""The optimiser of boosted frame networks."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# What is left of the averages of gradients, of their differences, and of squares, a step.
BETAS = (0.98, 0.92, 0.99)
EPSILON = 1e-8


class Adan(torch.optim.Optimizer):
    """Adam's steps, ahead of where the gradient's change leads, without decay of weights.

    params: tensors or groups of them. Source: "Adan: Adaptive Nesterov Momentum Algorithm for
    Faster Optimizing Deep Models" (2022).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float, float] = BETAS,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients that there are."""
        assert closure is None
        for group in self.param_groups:
            for value in group["params"]:
                if value.grad is not None:
                    self._move(value, value.grad, group)

    def _move(self, value: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[value]
        if not state:
            state["step"] = 0
            state["before"] = gradient.clone()
            for name in ("mean", "change", "square"):
                state[name] = torch.zeros_like(value)
        state["step"] += 1
        first, second, third = group["betas"]
        change = gradient - state["before"]
        ahead = gradient + second * change
        state["mean"].lerp_(gradient, 1 - first)
        state["change"].lerp_(change, 1 - second)
        state["square"].mul_(third).addcmul_(ahead, ahead, value=1 - third)
        state["before"].copy_(gradient)
        n = state["step"]
        scale = (state["square"] / (1 - third**n)).sqrt_().add_(EPSILON)
        move = state["mean"] / (1 - first**n)
        move.add_(state["change"], alpha=second / (1 - second**n))
        value.addcdiv_(move, scale, value=-group["lr"])
