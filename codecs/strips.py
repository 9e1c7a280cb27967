"""Running a transform over a large picture strip by strip, so that memory stays bounded."""

from collections.abc import Callable

import torch
from torch import Tensor

# Latent positions in a strip: a picture of up to 4 megapixels (at stride 16) is one.
STRIP_POSITIONS = 16384
# Below this many rows, what neighbouring strips compute twice would outweigh the strip.
LEAST_ROWS = 32


def run_in_strips(
    transform: Callable[[Tensor, int, int], Tensor], x: Tensor, reach: int, unit: int
) -> Tensor:
    """A transform over horizontal strips that overlap by `reach` latent rows each way.

    x: (N, C, unit * rows, W). transform: of a strip, with how many latent rows of it at its top and
    at its bottom are not wanted. `reach` must be at least how far, in latent rows, an output row
    depends on input rows; then every strip gives what the whole picture would, up to rounding. The
    division depends on the shape alone, so that encoder and decoder get the same pixels.
    """
    rows, columns = x.shape[-2] // unit, x.shape[-1] // unit
    height = max(STRIP_POSITIONS // columns, LEAST_ROWS)
    if rows <= height:
        return transform(x, 0, 0)
    parts = []
    for start in range(0, rows, height):
        stop = min(start + height, rows)
        first, last = max(start - reach, 0), min(stop + reach, rows)
        strip = x[..., first * unit : last * unit, :]
        parts.append(transform(strip, start - first, last - stop))
    return torch.cat(parts, dim=-2)
