r"""A lapped transform of differences between pictures: fixed, with half the resolution of colour.

    d = x - prediction --> luma ------------------------> lapped 16x16 --+--> y, 384 channels
                      \--> two colour differences --2x2--> lapped 8x8 --+       at 1/16

Orthonormal in each plane: what is not coded of a difference is nothing at all, so that a picture
that is predicted well comes back as the prediction, however often. Sources: as `lapped`; "Parameter
values for the HDTV standards" (BT.709) for luma and colour differences.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .blocks import product
from .blocks.frequencies import Matrix, dct2
from .lapped import across_boundaries, prefilter

_LUMA = (0.2126, 0.7152, 0.0722)
_BLUE, _RED = 2 * (1 - _LUMA[2]), 2 * (1 - _LUMA[0])
CHANNELS = 16 * 16 + 2 * 8 * 8


def colour_matrix() -> Matrix:
    """RGB -> luma and the differences of blue and red from it, (3, 3)."""
    luma = np.array(_LUMA)
    blue, red = np.eye(3)[2] - luma, np.eye(3)[0] - luma
    return np.stack([luma, blue / _BLUE, red / _RED])


def _radius(block: int, scale: int, offset: float) -> Matrix:
    k = scale * np.arange(block)
    return np.hypot(k[:, None], k[None, :]).reshape(-1) + offset


def lapped_order() -> NDArray[np.int64]:
    """Order of the channels: by rising frequency, colour behind luma."""
    luma, colour = _radius(16, 1, 0.0), _radius(8, 2, 3.0)
    return np.argsort(np.concatenate([luma, colour, colour]), kind="stable")


class LappedDifferences(nn.Module):
    """Differences (N, 3, H, W) of RGB in [0, 1] <-> coefficients (N, 384, H/16, W/16)."""

    stride = 16
    channels = CHANNELS
    colour: Tensor
    colour_back: Tensor
    order: Tensor
    order_back: Tensor

    def __init__(self) -> None:
        super().__init__()

        def fixed(name: str, matrix: Matrix) -> None:
            self.register_buffer(name, torch.tensor(matrix), persistent=False)

        colour = colour_matrix()
        fixed("colour", colour)
        fixed("colour_back", np.linalg.inv(colour))
        for block in (8, 16):
            d = dct2(block)
            # Orthonormal both, so that they are transposed on the way back.
            fixed(f"basis{block}", np.kron(d, d))
            fixed(f"boundaries{block}", prefilter(block, 1.0))
        order = torch.from_numpy(lapped_order())
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("order_back", torch.argsort(order), persistent=False)

    def forward(self, d: Tensor) -> Tensor:
        """(N, 3, H, W), sides multiples of 16 -> (N, 384, H/16, W/16), in the input's type."""
        planes = product(d.movedim(1, -1), self.colour.to(d)).movedim(-1, 1)
        parts = [
            self._coefficients(planes[:, :1], 16),
            self._coefficients(nn.functional.avg_pool2d(planes[:, 1:], 2), 8),
        ]
        return torch.cat(parts, dim=1).index_select(1, self.order)

    def back(self, y: Tensor) -> Tensor:
        """(N, 384, h, w) -> (N, 3, 16 h, 16 w): the inverse, but for colour's finest detail."""
        parts = y.index_select(1, self.order_back)
        luma = self._plane(parts[:, :256], 16)
        colour = self._plane(parts[:, 256:], 8)
        colour = colour.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        planes = torch.cat([luma, colour], dim=1)
        return product(planes.movedim(1, -1), self.colour_back.to(y)).movedim(-1, 1)

    def _coefficients(self, planes: Tensor, block: int) -> Tensor:
        filtered = across_boundaries(planes, self._matrix(f"boundaries{block}", planes))
        blocks = nn.functional.pixel_unshuffle(filtered, block)
        n, _, h, w = blocks.shape
        blocks = blocks.view(n, planes.shape[1], block * block, h, w).movedim(2, -1)
        found = product(blocks, self._matrix(f"basis{block}", planes))
        return found.movedim(-1, 2).reshape(n, -1, h, w)

    def _plane(self, y: Tensor, block: int) -> Tensor:
        n, channels, h, w = y.shape
        blocks = y.view(n, channels // block**2, block * block, h, w).movedim(2, -1)
        pixels = product(blocks, self._matrix(f"basis{block}", y).t()).movedim(-1, 2)
        plane = nn.functional.pixel_shuffle(pixels.reshape(n, channels, h, w), block)
        return across_boundaries(plane, self._matrix(f"boundaries{block}", y).t())

    def _matrix(self, name: str, like: Tensor) -> Tensor:
        found: Tensor = getattr(self, name)
        return found.to(like)
