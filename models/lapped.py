"""A lapped block transform, linear and trainable, that starts as a good classical one.

Source of the start: "Lapped transform via time-domain pre- and post-filtering" (2003): filters
across block boundaries in front of a block DCT. Here they stand behind an orthonormal colour
rotation, and all matrices are then trained.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError

from .blocks import product
from .blocks.core_floats import core_takes
from .blocks.core_layers import KeptFilters, blocked, multiplied, unblocked
from .blocks.frequencies import Matrix, channel_order, dct2

# Its matrices have (3 block^2)^2 elements.
LARGEST_BLOCK = 16


def dct4(n: int) -> Matrix:
    """Orthonormal DCT-IV matrix."""
    k = np.arange(n) + 0.5
    return np.asarray(np.cos(np.pi * k[None, :] * k[:, None] / n) * math.sqrt(2 / n))


def prefilter(block: int, boost: float) -> Matrix:
    """The (block x block) filter across one block boundary; its inverse is the post-filter.

    `boost` 1 keeps the whole transform orthonormal. Raises `InvalidInputError` for blocks other
    than 2, 4, ... `LARGEST_BLOCK`, and where `boost` is not above 0.
    """
    if block not in range(2, LARGEST_BLOCK + 1, 2) or not 0 < boost < math.inf:
        raise InvalidInputError(
            f"a lapped transform has an even block of 2 to {LARGEST_BLOCK}, not {block}, and a "
            f"boost above 0, not {boost}"
        )
    half = block // 2
    flip = np.eye(half)[::-1]
    gains = np.eye(half)
    gains[0, 0] = boost
    v = flip @ dct2(half).T @ gains @ dct4(half) @ flip
    butterfly = np.block([[np.eye(half), flip], [flip, -np.eye(half)]]) / math.sqrt(2)
    middle = np.block([[np.eye(half), np.zeros((half, half))], [np.zeros((half, half)), v]])
    return np.asarray(butterfly @ middle @ butterfly)


# Orthonormal: luma, red-blue, green-magenta.
COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3.0], [2.0], [6.0]])


def block_matrix(block: int) -> Matrix:
    """Colour rotation x 2-D DCT, rows ordered by `channel_order`; orthonormal.

    Columns follow `torch.nn.functional.pixel_unshuffle`: component, row, column.
    """
    d = dct2(block)
    full = np.kron(COLOUR, np.kron(d, d))
    order, _ = channel_order(block)
    return np.asarray(full[order])


def across_boundaries(x: Tensor, matrix: Tensor) -> Tensor:
    """Planes (N, C, H, W) with a (block x block) matrix applied across all inner boundaries."""
    block = len(matrix)
    half = block // 2
    n, c, h, w = x.shape
    if w > block:
        inner = x[..., half:-half].reshape(n, c, h, w // block - 1, block)
        inner = torch.matmul(inner, matrix.t()).reshape(n, c, h, w - block)
        x = torch.cat([x[..., :half], inner, x[..., -half:]], dim=3)
    if h > block:
        rows = x[:, :, half:-half].reshape(n, c, h // block - 1, block, w)
        rows = torch.matmul(matrix, rows).reshape(n, c, h - block, w)
        x = torch.cat([x[:, :, :half], rows, x[:, :, -half:]], dim=2)
    return x


class _Boundaries(nn.Module):
    """Applies one trainable (block x block) matrix across all inner block boundaries."""

    def __init__(self, matrix: Matrix) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor(matrix, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        return across_boundaries(x, self.matrix)


class LappedAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> coefficients (N, 3 block^2, H/block, W/block)."""

    def __init__(self, block: int = 16, boost: float = 1.0) -> None:
        super().__init__()
        self.block = block
        self.boundaries = _Boundaries(prefilter(block, boost))
        self.basis = nn.Parameter(torch.tensor(block_matrix(block), dtype=torch.float32))
        self._filters = KeptFilters()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), sides multiples of `block` -> (N, 3 block^2, H/block, W/block)."""
        if core_takes(x):
            found = blocked(x, self.block, -0.5, self.boundaries.matrix)
            return multiplied(found, self.basis, self._filters)
        blocks = nn.functional.pixel_unshuffle(self.boundaries(x - 0.5), self.block)
        return product(blocks.movedim(1, -1), self.basis).movedim(-1, 1)


class LappedSynthesis(nn.Module):
    """Coefficients (N, 3 block^2, h, w) -> pixels (N, 3, block h, block w), around [0, 1].

    Starts as the inverse of `LappedAnalysis` with the same arguments.
    """

    def __init__(self, block: int = 16, boost: float = 1.0) -> None:
        super().__init__()
        self.block = block
        self.boundaries = _Boundaries(np.linalg.inv(prefilter(block, boost)))
        self.basis = nn.Parameter(torch.tensor(block_matrix(block).T, dtype=torch.float32))
        self._filters = KeptFilters()

    def forward(self, y: Tensor) -> Tensor:
        """(N, 3 block^2, h, w) -> (N, 3, block h, block w)."""
        if core_takes(y):
            found = multiplied(y, self.basis, self._filters)
            return unblocked(found, self.block, 0.5, self.boundaries.matrix)
        blocks = product(y.movedim(1, -1), self.basis).movedim(-1, 1)
        pixels: Tensor = self.boundaries(nn.functional.pixel_shuffle(blocks, self.block))
        return pixels + 0.5
