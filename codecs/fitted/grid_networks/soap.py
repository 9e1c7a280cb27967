"""SOAP: Adam in the eigenbases of Shampoo's preconditioner.

Source: "SOAP: Improving and stabilizing Shampoo using Adam" (2024).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# A dimension above this is not rotated.
MOST_ROTATED = 256
EPSILON = 1e-8


class Soap(torch.optim.Optimizer):
    """Each dimension of a matrix or kernel has its own rotation; vectors are Adam's.

    groups: as of any optimiser; each may have lr, betas, decay (of weights, times lr) and every
    (after how many steps bases are made anew). A parameter's first step takes its gradient into the
    preconditioner and leaves the parameter as it is.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        defaults = {"lr": 3e-3, "betas": (0.95, 0.95), "decay": 0.0, "every": 10}
        super().__init__(groups, defaults)

    # One signature for PyTorch's two: `overload` keeps a module's globals alive to the very end.
    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step along the gradients; parameters without one stay."""
        assert closure is None
        for group in self.param_groups:
            vectors = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    self._begin(parameter.grad, state)
                elif state["bases"]:
                    self._rotated(parameter, state, group)
                else:
                    vectors.append(parameter)
            if vectors:
                self._adam(vectors, group)
        return None

    def _begin(self, gradient: Tensor, state: dict[str, Any]) -> None:
        state["done"] = 0
        state["mean"] = torch.zeros_like(gradient)
        state["square"] = torch.zeros_like(gradient)
        state["products"], state["bases"], state["dims"] = [], [], []
        if gradient.dim() < 2:
            return
        for dim, length in enumerate(gradient.shape):
            # A rotation of one value is none.
            if 1 < length <= MOST_ROTATED:
                product = 0.05 * _product(gradient, dim)
                state["dims"].append(dim)
                state["products"].append(product)
                state["bases"].append(torch.linalg.eigh(product).eigenvectors.flip(1))

    def _adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means, squares = ([state[name] for state in states] for name in ("mean", "square"))
        beta, beta_square = group["betas"]
        for state in states:
            state["done"] += 1
        torch._foreach_mul_(means, beta)
        torch._foreach_add_(means, gradients, alpha=1 - beta)
        torch._foreach_mul_(squares, beta_square)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta_square)
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_add_(sizes, EPSILON)
        torch._foreach_addcdiv_(
            parameters, means, sizes, [-_rate(state["done"], group) for state in states]
        )
        if group["decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["decay"])

    def _rotated(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        dims, bases = state["dims"], state["bases"]
        beta, beta_square = group["betas"]
        turned = _turned(gradient, dims, bases)
        state["done"] += 1
        mean = state["mean"].mul_(beta).add_(turned, alpha=1 - beta)
        square = state["square"].mul_(beta_square).addcmul_(turned, turned, value=1 - beta_square)
        step = _turned(mean / (square.sqrt() + EPSILON), dims, [basis.t() for basis in bases])
        parameter.add_(step, alpha=-_rate(state["done"], group))
        if group["decay"]:
            parameter.mul_(1 - group["lr"] * group["decay"])
        for dim, product in zip(dims, state["products"], strict=True):
            product.lerp_(_product(gradient, dim), 1 - beta_square)
        if state["done"] % group["every"] == 0:
            self._turn(state)

    def _turn(self, state: dict[str, Any]) -> None:
        """New bases by one round of power iteration, and the averages in them."""
        dims, old = state["dims"], state["bases"]
        mean = _turned(state["mean"], dims, [basis.t() for basis in old])
        new = []
        for dim, product, basis in zip(dims, state["products"], old, strict=True):
            turned = product @ basis
            order = (basis * turned).sum(dim=0).argsort(descending=True)
            state["square"] = state["square"].index_select(dim, order)
            new.append(torch.linalg.qr(turned[:, order]).Q)
        state["bases"] = new
        state["mean"] = _turned(mean, dims, new)


def _rate(done: int, group: dict[str, Any]) -> float:
    beta, beta_square = group["betas"]
    rate: float = group["lr"] * (1 - beta_square**done) ** 0.5 / (1 - beta**done)
    return rate


def _product(gradient: Tensor, dim: int) -> Tensor:
    """Outer products of the gradient's slices along `dim`, summed."""
    flat = gradient.movedim(dim, 0).flatten(1)
    return flat @ flat.t()


def _turned(x: Tensor, dims: list[int], bases: list[Tensor]) -> Tensor:
    """x with each of `dims` in the basis whose vectors are the columns."""
    if x.dim() == 2 and len(dims) == 2:
        return bases[0].t() @ x @ bases[1]
    for dim, basis in zip(dims, bases, strict=True):
        x = torch.tensordot(x, basis, dims=([dim], [0])).movedim(-1, dim)
    return x
