"""Weights as they are quantised, in training: straight through, under noise, and what they cost.

Sources: "HiNeRV" (2023), `partly_quantised`; "Boosting Neural Representations for Videos with a
Conditional Decoder" (2024), `gaussian_bits` of codes under noise with a step that is learned;
"NIRVANA: Neural Implicit Representations of Videos with Adaptive Networks and Autoregressive
Patch-wise Modeling" (2023), `LearnedCdf`.
"""

import math

import torch
from torch import Tensor, nn

from kodec.models.blocks import lower_bound

_LEAST = 1e-5
_LN2 = math.log(2)


def straight_through(weights: Tensor, step: Tensor | float, offset: Tensor | float = 0.0) -> Tensor:
    """step x round((w - offset) / step) + offset; gradients pass rounding unchanged.

    A step that is learned gets its gradient from the codes too.
    """
    codes = (weights - offset) / step
    rounded = codes + (torch.round(codes) - codes).detach()
    return rounded * step + offset


def partly_quantised(weights: Tensor, quantised: Tensor, share: float) -> Tensor:
    """`share` of the entries quantised, drawn at random, the others as they are.

    Gradients go to the latter alone.
    """
    drawn = torch.rand_like(weights) < share
    return torch.where(drawn, quantised.detach(), weights)


def noisy_codes(weights: Tensor, step: Tensor | float, offset: Tensor | float = 0.0) -> Tensor:
    """(w - offset) / step plus noise, uniform within half a step either way: for the rate."""
    codes = (weights - offset) / step
    return codes + torch.rand_like(codes) - 0.5


def gaussian_bits(codes: Tensor, of: Tensor | None = None) -> Tensor:
    """Bits of codes, one tensor, by a Gaussian of the mean and deviation of `of`; a scalar.

    codes: whole, or under noise in training. of: by default the codes; or those before rounding.
    Gradients go to mean and deviation too.
    """
    of = codes if of is None else of
    mean = of.mean()
    deviation = lower_bound(of.std() if of.numel() > 1 else of.sum() * 0 + 1, _LEAST)
    inverse = math.sqrt(0.5) / deviation
    low, high = (codes - mean - 0.5) * inverse, (codes - mean + 0.5) * inverse
    # By symmetry in the tail below, where differences of erfc keep their precision.
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    mass = 0.5 * (torch.erfc(-high) - torch.erfc(-low))
    return -torch.log(mass + _LEAST).sum() / _LN2


class LearnedCdf(nn.Module):
    """One layer of a learned cumulative distribution: bits of codes under noise."""

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.tensor(-math.log(scale)))
        self.centre = nn.Parameter(torch.zeros(()))

    def bits(self, codes: Tensor) -> Tensor:
        """Of all codes, a scalar."""
        slope = self.log_slope.exp()
        low, high = slope * (codes - self.centre - 0.5), slope * (codes - self.centre + 0.5)
        side = -torch.sign(low + high).detach()
        mass = (torch.sigmoid(side * high) - torch.sigmoid(side * low)).abs()
        return -torch.log(lower_bound(mass, 1e-9)).sum() / _LN2
