"""Pixels at even and odd rows and columns as channels of their own, and back.

Torch's own functions do the same; where channels lie first, a plain copy is twice as fast on a CPU.
"""

from torch import Tensor, nn


def to_phases(x: Tensor) -> Tensor:
    """(N, C, 2 H, 2 W) -> (N, 4 C, H, W): channel 4 c + 2 i + j has the pixels at i, j."""
    n, c, h, w = x.shape
    if not x.is_contiguous():
        return nn.functional.pixel_unshuffle(x, 2)
    squares = x.view(n, c, h // 2, 2, w // 2, 2)
    return squares.permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def from_phases(x: Tensor) -> Tensor:
    """(N, 4 C, H, W) -> (N, C, 2 H, 2 W), what `to_phases` undoes."""
    n, c, h, w = x.shape
    if not x.is_contiguous():
        return nn.functional.pixel_shuffle(x, 2)
    phases = x.view(n, c // 4, 2, 2, h, w)
    return phases.permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


class FromPhases(nn.Module):
    """`from_phases` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4 C, H, W) -> (N, C, 2 H, 2 W)."""
        return from_phases(x)
