"""Sides that are made multiples of a stride."""

from torch import Tensor, nn


def replicated(x: Tensor, stride: int) -> Tensor:
    """(N, C, H, W), its last row and column repeated up to multiples of the stride."""
    h, w = x.shape[-2:]
    if h % stride == w % stride == 0:
        return x
    return nn.functional.pad(x, (0, -w % stride, 0, -h % stride), mode="replicate")
