"""Activations of frame networks, by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "swish": functional.silu,
    "sine": torch.sin,
}


class Nonlinearity(nn.Module):
    """One of `FUNCTIONS`, of any shape."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._function = FUNCTIONS[name]

    def forward(self, x: Tensor) -> Tensor:
        """Of each value."""
        return self._function(x)

    def extra_repr(self) -> str:
        """The name."""
        return self.name
