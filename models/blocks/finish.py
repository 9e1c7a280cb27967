"""What is done with a convolution's results, in one pass with it where it can be."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .elementwise import gelu
from .memory import add_to


class Finish(NamedTuple):
    """What is done with a convolution's results, at no further pass over memory where it can be.

    Channels are multiplied by the first row of `affine` (2, outputs), and the second is added. They
    pass through GELU if `curved`, or are multiplied by `slope` where negative; `plus` is added, and
    what comes of it is multiplied by `last_slope` where negative. Slopes: 0 (rectified) to 1 (as it
    is).
    """

    slope: float = 1.0
    plus: Tensor | None = None
    last_slope: float = 1.0
    affine: Tensor | None = None
    curved: bool = False

    @property
    def suits_tokens(self) -> bool:
        """Whether it is GELU and a sum at most: what products of tokens take along."""
        return self.affine is None and self.slope == self.last_slope == 1

    def after(self, x: Tensor) -> Tensor:
        """The same by PyTorch, to what was just made and nothing else holds."""
        if self.affine is not None:
            scale, shift = self.affine[:, :, None, None]
            x = x * scale + shift
        x = gelu(x) if self.curved else _rectified(x, self.slope)
        return _rectified(x if self.plus is None else add_to(x, self.plus), self.last_slope)


PLAIN = Finish()
CURVED = Finish(curved=True)


def _rectified(x: Tensor, slope: float) -> Tensor:
    if slope == 1:
        return x
    inplace = not torch.is_grad_enabled()
    if slope == 0:
        return nn.functional.relu(x, inplace)
    return nn.functional.leaky_relu(x, slope, inplace)
