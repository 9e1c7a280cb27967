"""Variable rate in one model: a gain per channel and quality step."""

import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError


class GainUnit(nn.Module):
    """Multiplies latents by a gain per channel that rises with quality; divides on the way back.

    Log gains are learned at `knots` equally spaced qualities and interpolated linearly, so that
    every quality in [0, 63] is a rate of its own; increments between knots are positive, so rate
    rises with quality. `lowest` and `highest` are the gains at quality 0 and 63 before training.
    Source: "Asymmetric gained deep image compression with continuous rate adaptation" (2021).
    """

    def __init__(
        self, channels: int, lowest: float = 1.0, highest: float = 32.0, knots: int = 8
    ) -> None:
        super().__init__()
        if knots < 2 or not 0 < lowest < highest:
            raise InvalidInputError("a gain unit needs at least 2 knots and 0 < lowest < highest")
        self.channels = channels
        self.knots = knots
        first = torch.full((channels,), lowest).log()
        rise = (torch.full((channels,), highest).log() - first) / (knots - 1)
        self.first = nn.Parameter(first)
        # softplus(raw) is the rise from knot to knot.
        self.raw_rise = nn.Parameter(torch.log(torch.expm1(rise)).repeat(knots - 1, 1))

    def log_gain(self, quality: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Quality (N,) in [0, 63] -> natural-log gains (N, C), of the weights' type or `dtype`."""
        first, raw_rise = self.first.to(dtype), self.raw_rise.to(dtype)
        rises = nn.functional.softplus(raw_rise)
        levels = torch.cat([first[None], first + torch.cumsum(rises, 0)])
        position = quality.to(levels).clamp(0, 63) * ((self.knots - 1) / 63)
        low = position.floor().clamp(max=self.knots - 2).long()
        part = (position - low).unsqueeze(1)
        return levels[low] * (1 - part) + levels[low + 1] * part

    def apply_gain(self, y: Tensor, quality: Tensor) -> Tensor:
        """Latents (N, C, h, w) to quantisation steps."""
        return y * torch.exp(self.log_gain(quality))[..., None, None]

    def remove_gain(self, y: Tensor, quality: Tensor) -> Tensor:
        """Quantisation steps (N, C, h, w) back to latents."""
        return y * torch.exp(-self.log_gain(quality))[..., None, None]

    def change_gain(self, y: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Quantisation steps (N, C, h, w) of one quality to those of another, in y's precision."""
        change = self.log_gain(after, y.dtype) - self.log_gain(before, y.dtype)
        return y * torch.exp(change)[..., None, None]
