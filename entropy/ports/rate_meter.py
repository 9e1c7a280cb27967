"""The port that counts bits, in training and for estimates."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kodec.entropy.distributions import Distribution, Uniform

from .blocks import Block
from .passed_values import BYTE_BITS, digits_of, given, lengths_of, packed
from .port import CompiledStep, ForeignCoder, ScanStep, code_blocks
from .relaxation import DrawUniform, Relaxation, under_noise
from .snapping import Snap


class RateMeter:
    """Counts bits, without writing any.

    training=True: the distributions' training bits, of values that `relaxation` gives in place of
    rounded ones, with noise from what `uniform` draws. training=False: likelihoods of the rounded
    values, so that estimates compare with files.
    `bits` maps each block's name to bits per sample, shape (N,).
    """

    def __init__(
        self,
        training: bool,
        relaxation: Relaxation = Relaxation(),
        uniform: DrawUniform = torch.rand_like,
    ) -> None:
        self.training = training
        self.relaxation = relaxation
        self.uniform = uniform
        self.bits: dict[str, Tensor] = {}

    def _count(self, name: str, bits: Tensor) -> None:
        per_sample = bits.flatten(1).sum(1)
        self.bits[name] = self.bits[name] + per_sample if name in self.bits else per_sample

    def total(self) -> Tensor:
        """Bits per sample over all blocks, shape (N,)."""
        return torch.stack(list(self.bits.values())).sum(0)

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Count the block's bits; return relaxed (training) or rounded values."""
        y = given(name, y, dist.shape)
        symbols = dist.quantise(y).contiguous()
        rounded = dist.dequantise(symbols)
        # Integers are what they are in training too.
        if not (self.training and y.is_floating_point()):
            self._count(name, dist.bits(rounded))
            return rounded
        relaxed, seen = self.relaxation.relax(y, symbols, rounded, self.uniform)
        self._count(name, dist.training_bits(relaxed, symbols))
        return seen

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        """In training one pass over everything, whose contexts see the latents under noise."""
        assert y is not None
        if not self.training:
            if not isinstance(step, CompiledStep):
                return code_blocks(self, name, y, fronts, step)
            integers = torch.round(y)
            self._count(name, step.whole(integers).bits(integers))
            return integers
        return self.code(name, y, step.whole(under_noise(y, self.uniform)))

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        """Count log2(high) bits each."""
        values = given(name, values, shape)
        for place, digit in digits_of(values, high):
            self._count(name, Uniform(shape, place).bits(digit.float()))
        return values

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        """Count the packed bytes; in training no bits, and uniform noise instead of rounding."""
        y = given(name, y)
        if self.training:
            self._count(name, y.new_zeros(len(y), 1))
            return under_noise(y, self.uniform)
        integers, payloads = packed(name, y, coder)
        lengths = lengths_of(payloads).to(y.device)
        self.integers(name, lengths, coder.most + 1, lengths.shape)
        self._count(name, (BYTE_BITS * lengths).to(y))
        return integers

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        """The grid's points, no bits; in training gradients pass, and float32 stays as it is."""
        if self.training and x.dtype != torch.float64:
            return x
        snapped = Snap(name, x, step, guard).result()
        return x + (snapped - x).detach() if self.training else snapped
