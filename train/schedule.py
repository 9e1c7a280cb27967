"""The learning-rate schedule: warm-up, constant, linear decay to zero."""

import math

from kodec.native import InvalidInputError


class WarmupStableDecay:
    """Learning-rate factor as a function of the step alone, so that a run resumes exactly.

    `warmup` steps rising to 1, then 1, then the last `decay` fraction of `total` steps falling
    linearly to 0. The rise is linear; with `start` > 0 it goes from there, its logarithm along half
    a cosine, as in "Learned compression for compressed learning" (2024).

    A run stopped before its decay can be continued with a larger `total` as if that had been its
    plan from the start.
    """

    def __init__(self, total: int, warmup: int, decay: float, start: float = 0.0) -> None:
        if total < 1 or warmup < 0 or not 0 <= decay <= 1 or not 0 <= start <= 1:
            raise InvalidInputError(
                "a schedule needs total >= 1, warmup >= 0, 0 <= decay <= 1 and 0 <= start <= 1"
            )
        self.total = total
        self.warmup = warmup
        self.decay = decay
        self.start = start

    def __call__(self, step: int) -> float:
        """Factor in [0, 1] at `step` (0-based)."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.start:
            done = min(1.0, step / self.warmup) if self.warmup else 1.0
            rise = self.start ** ((1 + math.cos(math.pi * done)) / 2)
        left = self.total - step
        fall = min(1.0, max(left, 0) / (self.decay * self.total)) if self.decay else 1.0
        return min(rise, fall)
