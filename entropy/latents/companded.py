"""Companded integers without a rate model: a lossless picture coder stores them.

    y --compander, rounding--> integers --(mosaic, lossless picture)--> integers --expander--> y_hat

Source: "Learned compression for compressed learning" (2024).
"""

import torch
from torch import Tensor, nn

from kodec.entropy.lossless_picture import LosslessPicture
from kodec.entropy.ports.passed_values import payload_symbols
from kodec.entropy.ports.port import Conditions, SymbolPort, refuse_hyper_latents
from kodec.native import InvalidInputError

# The normal quantile of the largest integer, in units of the latents' spread.
REACH = 1.85
# How close the expander goes to probabilities 0 and 1, where normal quantiles have no end.
MARGIN = 1e-4


class CompandedIntegers(nn.Module):
    """Latents (N, `channels`, h, w) as integers of `bits` bits, within +-(2^(bits - 1) - 1).

    The compander is the normal distribution function, so that rounding errors are small where
    latents are frequent, and none is too large for its integer. Training sees uniform noise
    instead of rounding and no rate: that follows from the number of channels and bits.

    picture: "webp" (mosaics in RGB) or "png" (in gray) to write; both are read. It has no weights.
    """

    exact = True
    host_coded = True
    encoder_only_arguments: tuple[str, ...] = ("picture",)
    spread: Tensor

    def __init__(self, channels: int = 12, bits: int = 8, picture: str = "webp") -> None:
        super().__init__()
        if channels < 1:
            raise InvalidInputError(f"companded latents have 1 channel or more, not {channels}")
        LosslessPicture((channels, 1, 1), bits, picture)  # so that wrong ones are refused at once
        self.channels = channels
        self.bits = bits
        self.picture = picture
        # A little below the next half, so that nothing rounds beyond the largest integer.
        self.limit = 2 ** (bits - 1) - 0.5 - 1e-3
        spread = torch.tensor((2 ** (bits - 1) - 1) / REACH)
        self.register_buffer("spread", spread, persistent=False)

    def symbols(self, h: int, w: int) -> range:
        """Symbols that one item of h x w latent positions may put through the port."""
        return payload_symbols(self._coder(h, w).most)

    def _coder(self, h: int, w: int) -> LosslessPicture:
        return LosslessPicture((self.channels, h, w), self.bits, self.picture)

    def compand(self, y: Tensor) -> Tensor:
        """Latents to values that round to integers: monotonic, odd, within +-(2^(bits-1) - 1/2)."""
        u: Tensor = 2 * self.limit * (torch.special.ndtr(y / self.spread) - 0.5)
        return u

    def expand(self, u: Tensor) -> Tensor:
        """The way back: integers, or values between them, to latents."""
        p = u.to(self.spread) / (2 * self.limit) + 0.5
        y: Tensor = self.spread * torch.special.ndtri(p.clamp(MARGIN, 1 - MARGIN))
        return y

    def hyper_latents(self, y: Tensor, cond: Conditions) -> None:
        """It has none."""

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        refuse_hyper_latents(z)
        _, channels, h, w = cond.latent_shape
        if channels != self.channels:
            raise InvalidInputError(f"latents have {channels} channels, the model {self.channels}")
        u = None if y is None else self.compand(y.to(self.spread))
        return self.expand(port.payload("y", u, self._coder(h, w)))
