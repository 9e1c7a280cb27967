"""How large tiles may be, and how many at work at a time, for a process to keep within a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from kodec.codecs.freed_memory import give_back_freed_memory, keeping_freed
from kodec.codecs.peak_memory import PeakMemory
from kodec.native import InvalidInputError, UnsupportedError

from .picture_codec import PictureCodec
from .plane_coder import PlaneCoder, divides
from .tile_grid import Box, TileGrid

SIDES = (4096, 2048, 1024, 768, 512, 384, 256, 128)
"""Of tiles, in pixels, from large to small."""
_PROBES = 256, 512
_ROWS_AT_WORK = 2
_FLOAT = 4
# What a tile's memory is more than the probes', pixel by pixel: the system gives it in pieces.
_SLACK = 1.15


@dataclass(frozen=True)
class Plan:
    """What keeps within a limit."""

    tile: tuple[int, int] | None
    workers: int


class MemoryBudget:
    """What coding with `network` takes, measured here on small pictures, beside what it has now.

    On two sizes: what one takes more than the other is their pixels', the rest the process's.

    limit: bytes that the whole process may have resident. decodes: whether it only decodes, for
    which there is no analysis. Raises UnsupportedError where the system does not tell how much is
    resident.
    """

    def __init__(
        self,
        network: PictureCodec,
        quality: torch.Tensor | None,
        limit: int,
        decodes: bool = False,
    ) -> None:
        self.network, self.limit, self._decodes = network, limit, decodes
        peak = PeakMemory()
        if not peak.restarts:
            raise UnsupportedError("a limit of memory needs Linux: leave --max-memory out")
        self._peak_of(peak, quality, _PROBES[0])
        small, large = (self._peak_of(peak, quality, side) for side in _PROBES)
        pixels = [side**2 for side in _PROBES]
        self.bytes_a_pixel = max(64.0, _SLACK * (large - small) / (pixels[1] - pixels[0]))
        self.resident = max(resident(), int(small - self.bytes_a_pixel * pixels[0]))

    def _peak_of(self, peak: PeakMemory, quality: torch.Tensor | None, side: int) -> int:
        """Of the process, while a square of noise is coded, nothing that was freed being held."""
        samples = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        coder = PlaneCoder(self.network, TileGrid(side, side), quality)
        device = str(next(self.network.parameters()).device)
        with torch.no_grad(), keeping_freed(0):
            work: Callable[[], object] = partial(coder.encode, samples, device, _nowhere)
            if self._decodes:
                (packet,) = coder.encode(samples, device)
                read = partial(coder.read, packet=packet)
                work = partial(coder.run, read, _nowhere, freed=0)
            give_back_freed_memory()
            peak.restart()
            work()
            found = peak.read()
        give_back_freed_memory()
        return found

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


def _nowhere(box: Box, x: torch.Tensor) -> None:
    """Where pixels of a probe go."""


def resident() -> int:
    """Bytes of this process in memory now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * 4096
