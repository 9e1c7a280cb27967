"""Convolutions over latents of which only some are coded yet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError

from .positions import indices


def raster_taps(kernel: int) -> list[tuple[int, int]]:
    """(row, column) of the taps above, and to the left in the same row."""
    middle = kernel // 2
    every = [(dy, dx) for dy in range(kernel) for dx in range(kernel)]
    return [tap for tap in every if tap < (middle, middle)]


def checkerboard_taps(kernel: int) -> list[tuple[int, int]]:
    """(row, column) of the taps of the other colour than the middle's."""
    middle = kernel // 2
    every = [(dy, dx) for dy in range(kernel) for dx in range(kernel)]
    return [tap for tap in every if (sum(tap) - 2 * middle) % 2]


TAPS = {"raster": raster_taps, "checkerboard": checkerboard_taps}


class MaskedConv2d(nn.Conv2d):
    """kernel x kernel convolution, zero-padded, of which only the taps of an order are used.

    order: "raster" or "checkerboard". The weight keeps its full shape, as published models do.
    Source: "Conditional image generation with PixelCNN decoders" (2016).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 5, order: str = "raster") -> None:
        if order not in TAPS or kernel % 2 == 0:
            raise InvalidInputError(f"a masked convolution is odd-sized, of order {sorted(TAPS)}")
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.taps = TAPS[order](kernel)

    def pad(self, grid: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, h + kernel - 1, w + kernel - 1, C), what `at` looks into."""
        reach = self.kernel_size[0] // 2
        return nn.functional.pad(grid.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))

    def matrix(self, taps: Sequence[tuple[int, int]] | None = None) -> Tensor:
        """Some taps, by default all in use, as a matrix (outputs, taps x inputs)."""
        taps = self.taps if taps is None else taps
        rows = indices(tuple(dy for dy, _ in taps), self.weight.device)
        columns = indices(tuple(dx for _, dx in taps), self.weight.device)
        live = self.weight[:, :, rows, columns]
        return live.transpose(1, 2).flatten(1)

    def seen(
        self, padded: Tensor, places: Tensor, taps: Sequence[tuple[int, int]] | None = None
    ) -> Tensor:
        """What the taps look at from the flat positions `places` (P,): (N, P, taps x inputs)."""
        taps = self.taps if taps is None else taps
        n, height, width, channels = padded.shape
        w = width - self.kernel_size[0] + 1
        corner = (places // w) * width + places % w
        steps = indices(tuple(dy * width + dx for dy, dx in taps), places.device)
        index = (corner[:, None] + steps).reshape(-1)
        found = padded.reshape(n, height * width, channels).index_select(1, index)
        return found.reshape(n, len(places), -1)

    def at(self, padded: Tensor, places: Tensor, matrix: Tensor) -> Tensor:
        """(N, P, outputs) at the flat positions `places` (P,) alone, with `matrix` from above."""
        return nn.functional.linear(self.seen(padded, places), matrix, self.bias)

    def forward(self, grid: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, outputs, h, w), everywhere in one pass."""
        mask = torch.zeros_like(self.weight[0, 0])
        for dy, dx in self.taps:
            mask[dy, dx] = 1
        return nn.functional.conv2d(grid, self.weight * mask, self.bias, padding=self.padding)
