"""Parameters as integers, and what the integers stand for."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kodec.native import InvalidInputError

LARGEST = 2**30 - 1


@dataclass(frozen=True, eq=False)
class Quantised:
    """A tensor as integers: value = step x integer + offset, and exactly 0 where the mask is False.

    integers: int32, any shape. step, offset: one number each, or one for each index that is not
    along `axis` (shape with 1 there); float32 that float16 holds exactly, or any float32. axis: the
    one that steps were found over, -1: all. mask: bool, of the integers' shape; those outside are
    not coded and 0. Raises `InvalidInputError` for anything else.
    """

    integers: Tensor
    step: Tensor
    offset: Tensor | None = None
    axis: int = -1
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        shape = scale_shape(self.integers.shape, self.axis)
        for name, value in (("step", self.step), ("offset", self.offset)):
            if value is not None and (value.shape != shape or value.dtype != torch.float32):
                raise InvalidInputError(
                    f"{name}s of integers of {tuple(self.integers.shape)} over axis {self.axis} "
                    f"are float32 of {tuple(shape)}, not {value.dtype} of {tuple(value.shape)}"
                )
        if self.integers.dtype != torch.int32:
            raise InvalidInputError(f"integers are int32, not {self.integers.dtype}")
        mask = self.mask
        if mask is not None and (mask.dtype != torch.bool or mask.shape != self.integers.shape):
            raise InvalidInputError("a mask is bool, of the integers' shape")

    def dequantise(self) -> Tensor:
        """The values: float32, one multiplication and one addition each, alike everywhere."""
        found = self.integers.float() * self.step
        if self.offset is not None:
            found = found + self.offset
        return found if self.mask is None else torch.where(self.mask, found, 0.0)

    def to(self, device: str | torch.device) -> Self:
        """The same on another device."""
        moved = [None if t is None else t.to(device) for t in (self.offset, self.mask)]
        step = self.step.to(device)
        return type(self)(self.integers.to(device), step, moved[0], self.axis, moved[1])


def scale_shape(shape: torch.Size, axis: int) -> torch.Size:
    """The shape of steps that were found over an axis, -1: all."""
    if not -1 <= axis < len(shape):
        raise InvalidInputError(f"a tensor of {len(shape)} axes has none {axis}")
    if axis == -1:
        return torch.Size(())
    return torch.Size([1 if i == axis else n for i, n in enumerate(shape)])
