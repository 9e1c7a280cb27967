"""The rim of a window: what a part of a picture depends on, and what is cut off on the way."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rim:
    """Pixels of a window beside the part that is wanted; 0 where the picture ends."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def cut(self, x: Tensor, keep: int, scale: int) -> tuple[Tensor, "Rim"]:
        """A window x (N, C, h, w) of 1/`scale` of the resolution, with a rim of at most `keep`.

        keep: in pixels, a multiple of `scale`, as the rim is. Returns x and its rim.
        """
        rim = Rim(*(min(side, keep) for side in (self.left, self.top, self.right, self.bottom)))
        if rim == self:
            return x, rim
        top, left = (self.top - rim.top) // scale, (self.left - rim.left) // scale
        bottom = x.shape[-2] - (self.bottom - rim.bottom) // scale
        right = x.shape[-1] - (self.right - rim.right) // scale
        return x[..., top:bottom, left:right], rim


WHOLE = Rim()
"""Of what has no rim."""
