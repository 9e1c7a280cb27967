"""How large tiles may be, and how many at work at a time, for a process to keep within a limit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kodec.codecs.peak_memory import PeakMemory
from kodec.native import InvalidInputError, UnsupportedError

from .picture_codec import PictureCodec
from .plane_coder import PlaneCoder, divides
from .tile_grid import TileGrid

SIDES = (4096, 2048, 1024, 768, 512, 384, 256, 128)
"""Of tiles, in pixels, from large to small."""
_PROBE = 256
_ROWS_AT_WORK = 2
_FLOAT = 4
# What a tile's memory is more than the probe's, pixel by pixel: the system gives it in pieces.
_SLACK = 1.15


@dataclass(frozen=True)
class Plan:
    """What keeps within a limit."""

    tile: tuple[int, int] | None
    workers: int


class MemoryBudget:
    """What coding with `network` takes, measured here on a small picture, beside what it has now.

    limit: bytes that the whole process may have resident. Raises UnsupportedError where the system
    does not tell how much that is.
    """

    def __init__(self, network: PictureCodec, quality: torch.Tensor | None, limit: int) -> None:
        self.network = network
        self.limit = limit
        peak = PeakMemory()
        if not peak.restarts:
            raise UnsupportedError("a limit of memory needs Linux: leave --max-memory out")
        rng = np.random.default_rng(0)
        samples = rng.integers(0, 256, (_PROBE, _PROBE, 3), np.uint8)
        coder = PlaneCoder(network, TileGrid(_PROBE, _PROBE), quality)
        device = str(next(network.parameters()).device)
        coder.encode(samples, device, lambda box, x: None)
        before = resident()
        peak.restart()
        coder.encode(samples, device, lambda box, x: None)
        self.bytes_a_pixel = max(64.0, _SLACK * (peak.read() - before) / _PROBE**2)
        self.resident = resident()

    def needed(self, grid: TileGrid, workers: int, pixels_to_come: int) -> int:
        """Bytes of the process at the most, `pixels_to_come` being bytes of samples."""
        network = self.network
        width, height = grid.tile or (grid.width, grid.height)
        kept = 0
        if len(grid) > 1:
            reach = 2 * int(getattr(network.synthesis, "reach", 0)) * network.stride
            width, height = min(width + reach, grid.width), min(height + reach, grid.height)
            # Latents of the rows at work, and of what those depend on above them: as many bytes a
            # pixel as there are channels a position.
            rows = min(_ROWS_AT_WORK * (grid.tile or (0, 0))[1] + reach // 2, grid.height)
            kept = rows * grid.width * network.latent_model.channels * _FLOAT // network.stride**2
        work = int(workers * width * height * self.bytes_a_pixel)
        return self.resident + pixels_to_come + kept + work

    def plan(self, width: int, height: int, workers: int, pixels_to_come: int) -> Plan:
        """The largest tiles that keep within the limit, with as many workers as go with them.

        Raises InvalidInputError where none does, saying how much is needed.
        """
        sides = [None, *SIDES] if divides(self.network) else [None]
        least = None
        for count in range(workers, 0, -1):
            for side in sides:
                tile = None if side is None else (side, side)
                if side is not None and side >= max(width, height):
                    continue
                grid = TileGrid(width, height, tile)
                needed = self.needed(grid, min(count, len(grid)), pixels_to_come)
                if needed <= self.limit:
                    return Plan(tile, count)
                least = needed if least is None else min(least, needed)
        raise self._too_little(least or 0)

    def workers(self, grid: TileGrid, most: int, pixels_to_come: int) -> int:
        """How many tiles of a file may be at work at a time. Raises as `plan` does."""
        for count in range(min(most, len(grid)), 0, -1):
            if self.needed(grid, count, pixels_to_come) <= self.limit:
                return count
        raise self._too_little(self.needed(grid, 1, pixels_to_come))

    def _too_little(self, needed: int) -> InvalidInputError:
        return InvalidInputError(
            f"{self.limit / 1e6:,.0f} MB are too little: with this model and picture the process "
            f"takes about {needed / 1e6:,.0f} MB; give --max-memory {-(-needed // 10**6)}M or more"
        )


def resident() -> int:
    """Bytes of this process in memory now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * 4096
