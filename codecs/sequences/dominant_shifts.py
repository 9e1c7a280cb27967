"""How most of a picture has moved, before blocks are looked at one by one.

Blocks' searches go downhill, and do not find what lies behind a hill: a fast pan, a page that
scrolls. Source: "The phase correlation image alignment method" (Kuglin and Hines, 1975).
"""

import numpy as np
import torch
from numpy.typing import NDArray

_MOST_PIXELS = 1 << 16
"""More are averaged before: of what is left a search finds the rest."""


def dominant_shifts(
    current: NDArray[np.uint8], reference: NDArray[np.uint8], count: int, reach: int = 64
) -> NDArray[np.int16]:
    """Where the reference has most of the current picture, seen from there: (`count`, 2).

    current, reference: luma (H, W). Down and right in quarters of a pixel, `reach` pixels at most;
    the likeliest first. Where there are fewer, zeros.
    """
    pair = torch.from_numpy(np.stack([current, reference])).float()[:, None]
    scale = 1
    while pair[0].numel() > _MOST_PIXELS:
        pair, scale = torch.nn.functional.avg_pool2d(pair, 2, ceil_mode=True), 2 * scale
    pair = pair[:, 0]
    height, width = pair.shape[1:]
    window = torch.hann_window(height + 2)[1:-1, None] * torch.hann_window(width + 2)[1:-1]
    new, old = torch.fft.rfft2((pair - pair.mean((1, 2), keepdim=True)) * window)
    cross = old * new.conj()
    likeness = torch.fft.irfft2(cross / (cross.abs() + 1e-6), s=(height, width))
    down, right = (torch.fft.fftfreq(side, 1 / side).round().long() for side in (height, width))
    near = (down.abs() <= reach // scale)[:, None] & (right.abs() <= reach // scale)
    likeness = torch.where(near, likeness, -1.0)
    found = np.zeros((count, 2), np.int16)
    for number in range(count):
        row, column = divmod(int(likeness.argmax()), width)
        if likeness[row, column] <= 0:
            break
        found[number] = 4 * scale * int(down[row]), 4 * scale * int(right[column])
        for near_row in (-1, 0, 1):
            for near_column in (-1, 0, 1):
                likeness[(row + near_row) % height, (column + near_column) % width] = -1.0
    return found
