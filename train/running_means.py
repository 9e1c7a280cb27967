"""Means of a training's figures between two logged steps, and its speed."""

import time
from collections.abc import Mapping

from torch import Tensor


class RunningMeans:
    """Sums figures on their own device; nothing waits for the device before `take`.

    The time before the first `add` has ended is not counted: it holds the start of everything.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._images = 0
        self._since: float | None = None
        self._paused_at: float | None = None

    def add(self, figures: Mapping[str, Tensor], images: int) -> None:
        """Add one step's figures (scalars), the same names each time, and its images."""
        self._sums = {k: v + self._sums[k] if k in self._sums else v for k, v in figures.items()}
        self._steps += 1
        if self._since is None:
            self._since = time.perf_counter()
        else:
            self._images += images

    def take(self) -> tuple[dict[str, Tensor], float | None]:
        """The means since the last time, and images a second (None before the second step)."""
        means = {name: total / self._steps for name, total in self._sums.items()}
        now = time.perf_counter()
        speed = None
        if self._since is not None and self._images:
            speed = self._images / max(now - self._since, 1e-9)
        self._sums, self._steps, self._images, self._since = {}, 0, 0, now
        return means, speed

    def pause(self) -> None:
        """Stop the clock, for work that is not training."""
        self._paused_at = time.perf_counter()

    def resume(self) -> None:
        """Start it again."""
        if self._paused_at is not None and self._since is not None:
            self._since += time.perf_counter() - self._paused_at
        self._paused_at = None
