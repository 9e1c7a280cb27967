"""Between pixels in memory and tensors."""

import numpy as np
import torch
from torch import Tensor

from kodec.native import InvalidInputError

from .picture import Samples


class NotFiniteError(InvalidInputError):
    """A reconstruction has pixels that are no numbers."""


def as_pixels(x: Tensor) -> Tensor:
    """Pixels around [0, 1], any shape, rounded and clamped to uint8."""
    # In place: fresh memory for each step takes longer than the steps.
    return (x * 255).round_().clamp_(0, 255).to(torch.uint8)


def to_tensor(pixels: Samples) -> Tensor:
    """uint8 or uint16 (H, W, 1 or 3) -> float32 (1, 3, H, W) in [0, 1]; gray is repeated."""
    if pixels.dtype == np.uint16:
        x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 65535
        return x.expand(-1, 3, -1, -1)
    # Torch warns of arrays that can't be written, such as Pillow's.
    pixels = np.require(pixels, requirements=["C", "W"])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    return x.expand(-1, 3, -1, -1)


def to_array(x: Tensor, components: int, bit_depth: int = 8) -> Samples:
    """(1, 3, H, W) around [0, 1] -> uint8 or uint16 (H, W, components); gray is the mean of three.

    Raises `NotFiniteError` where a pixel is not finite: no picture has such, and as an integer
    it would be black.
    """
    if not torch.isfinite(torch.stack(torch.aminmax(x))).all():
        raise NotFiniteError(
            "the reconstruction is not finite: the model does not fit this picture, or its weights "
            "are not sound; name another model"
        )
    if components == 1:
        x = x.mean(dim=1, keepdim=True)
    if bit_depth == 16:
        deep = torch.round(x * 65535).clamp(0, 65535).to(torch.int32)
        return np.ascontiguousarray(deep[0].permute(1, 2, 0).cpu().numpy().astype(np.uint16))
    return torch.stack(as_pixels(x)[0].unbind(), dim=-1).cpu().numpy()
