"""Running a transform over a large picture strip by strip, so that memory stays bounded."""

from collections.abc import Callable

import torch
from torch import Tensor

# Latent positions in a strip: a picture of up to 4 megapixels (at stride 16) is one.
STRIP_POSITIONS = 16384
# Below this many rows, what neighbouring strips compute twice would outweigh the strip.
LEAST_ROWS = 32


def run_in_strips(
    transform: Callable[[Tensor], Tensor], x: Tensor, reach: int, unit_in: int, unit_out: int
) -> Tensor:
    """`transform(x)` over horizontal strips that overlap by `reach` latent rows each way.

    x: (N, C, unit_in * rows, W); the result has unit_out * rows rows. `reach` must be at least how
    far, in latent rows, an output row depends on input rows; then every strip's kept part is what
    the whole picture would give, up to rounding. The division depends on the shape alone, so that
    encoder and decoder get the same pixels.
    """
    rows, columns = x.shape[-2] // unit_in, x.shape[-1] // unit_in
    height = max(STRIP_POSITIONS // columns, LEAST_ROWS)
    if rows <= height:
        return transform(x)
    parts = []
    for start in range(0, rows, height):
        stop = min(start + height, rows)
        first, last = max(start - reach, 0), min(stop + reach, rows)
        part = transform(x[..., first * unit_in : last * unit_in, :])
        parts.append(part[..., (start - first) * unit_out : (stop - first) * unit_out, :])
    return torch.cat(parts, dim=-2)
