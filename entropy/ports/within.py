"""A port for a part of a program: the same port, with its blocks' names told apart."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kodec.entropy.distributions import Distribution

from .blocks import Block
from .port import ForeignCoder, ScanStep, SymbolPort


class Within:
    """`port`, whose block "z" is called "PREFIX/z": two hyperpriors on one meter stay apart."""

    def __init__(self, port: SymbolPort, prefix: str) -> None:
        self.port = port
        self.prefix = prefix

    def _named(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """As the port's."""
        return self.port.code(self._named(name), y, dist)

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        """As the port's."""
        return self.port.scan(self._named(name), y, fronts, step)

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """As the port's."""
        return self.port.integers(self._named(name), values, high, shape)

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """As the port's."""
        return self.port.payload(self._named(name), y, coder)

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """As the port's."""
        return self.port.snap(self._named(name), x, step, guard)
