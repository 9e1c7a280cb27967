"""Between pixels in memory and tensors."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native import InvalidInputError


def as_pixels(x: Tensor) -> Tensor:
    """Pixels around [0, 1], any shape, rounded and clamped to uint8."""
    return torch.round(x * 255).clamp(0, 255).to(torch.uint8)


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, 1 or 3) -> float32 (1, 3, H, W) in [0, 1]; gray is repeated."""
    # Torch warns of arrays that can't be written, such as Pillow's.
    pixels = np.require(pixels, requirements=["C", "W"])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    return x.expand(-1, 3, -1, -1)


def to_array(x: Tensor, components: int) -> NDArray[np.uint8]:
    """(1, 3, H, W) around [0, 1] -> uint8 (H, W, components); gray is the mean of the three.

    Raises `InvalidInputError` where a pixel is not finite: no picture has such, and as an integer
    it would be black.
    """
    if not torch.isfinite(x).all():
        raise InvalidInputError(
            "the reconstruction is not finite: the model does not fit this picture, or its weights "
            "are not sound; name another model"
        )
    if components == 1:
        x = x.mean(dim=1, keepdim=True)
    return np.ascontiguousarray(as_pixels(x)[0].permute(1, 2, 0).cpu().numpy())
