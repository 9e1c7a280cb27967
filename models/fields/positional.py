"""Positional encodings: a number as sines and cosines of growing frequency."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

Order = Literal["pairs", "halves"]


class PositionalEncoding(nn.Module):
    """Numbers (N,) -> (N, 2 `levels`): sin and cos of base^i pi x, i = 0 .. levels - 1.

    order: "pairs", sin and cos of each level side by side (NeRV), or "halves", all sines first
    (HNeRV's and Boosting-NeRV's code). Products are rounded to float32 in the order of the
    published code: at 1.25^39 pi that moves a phase by a thousandth. Source: "NeRV: Neural
    Representations for Videos" (2021).
    """

    def __init__(self, base: float, levels: int, order: Order = "halves") -> None:
        super().__init__()
        self.base, self.levels, self.order = base, levels, order

    @property
    def width(self) -> int:
        """How many values a number becomes."""
        return 2 * self.levels

    def forward(self, x: Tensor) -> Tensor:
        """(N,) -> (N, width), float32."""
        x = x.float()
        if self.order == "pairs":
            powers = [self.base**level for level in range(self.levels)]
            phases = x[:, None] * torch.tensor(powers, device=x.device) * math.pi
        else:
            levels = torch.arange(self.levels, device=x.device)
            phases = x[:, None] * (self.base**levels * math.pi)
        # In float64, libraries agree on what a float32 comes to.
        wide = phases.double()
        waves = torch.stack([wide.sin(), wide.cos()], -1 if self.order == "pairs" else -2)
        return waves.flatten(1).float()
