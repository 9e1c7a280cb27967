"""Raster autoregression: each position is predicted from those above it and to its left.

    z ----> hyper features ------------------+
    positions above and left --> masked 5x5 -+--> 1x1 layers --> mean, scale

Source: "Joint autoregressive and hierarchical priors for learned image compression" (2018). Coding
goes by wavefronts: all positions on one depend on earlier ones alone, so that h x w serial steps
become w + 3 (h - 1), and each position is computed once.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.masked_convolution import MaskedConv2d, raster_taps
from kodec.entropy.contexts.positions import front_positions, to_grid, to_tokens
from kodec.entropy.distributions import Distribution
from kodec.entropy.ports.blocks import Block, whole_blocks
from kodec.entropy.ports.port import Conditions, SymbolPort

from .channel_slices import joint_widths
from .hyperprior import Hyperprior
from .slices import PointwiseHead

KERNEL = 5
# A tap `up` rows above and `along` columns to the right looks 3 up - along fronts back.
NEAR = [(KERNEL // 2, KERNEL // 2 - 1), (KERNEL // 2 - 1, KERNEL - 1)]
FAR = [tap for tap in raster_taps(KERNEL) if tap not in NEAR]


class _RasterStep:
    """A `ScanStep` over the latents of one call, whose fronts come in their order."""

    def __init__(
        self, model: "RasterAutoregression", hyper: Tensor, fronts: Sequence[Block]
    ) -> None:
        self.model = model
        self.h, self.w = hyper.shape[-2:]
        self.hyper = to_tokens(hyper)
        empty = hyper.new_zeros(hyper.shape[0], model.channels, self.h, self.w)
        self.canvas = model.context.pad(empty).contiguous()
        self.fronts = fronts
        self.turn = 0

    def whole(self, y: Tensor) -> Distribution:
        """All positions in one masked pass."""
        context = self.model.context(to_grid(y, self.h, self.w))
        parameters = self.model.head({"hyper": self.hyper, "context": to_tokens(context)})
        return self.model.block(*parameters.chunk(2, dim=-1))

    @cached_property
    def begun(self) -> Tensor:
        """What the head makes of the hyperprior, at all positions."""
        return self.model.head.begin({"hyper": self.hyper})

    @cached_property
    def matrices(self) -> tuple[Tensor, Tensor]:
        """The context's taps into the front just before, and into earlier ones."""
        return self.model.context.matrix(NEAR), self.model.context.matrix(FAR)

    def front(self, block: Block) -> Distribution:
        """The positions of a wavefront."""
        places = block.places
        context = self.model.context
        near, far = self.matrices
        # Small products cost what reading their matrix does: two fronts share one.
        if self.turn % 2 == 0:
            both = torch.cat([front.places for front in self.fronts[self.turn : self.turn + 2]])
            sums = nn.functional.linear(context.seen(self.canvas, both, FAR), far, context.bias)
            earlier, self.later = sums[:, : len(places)], sums[:, len(places) :]
        else:
            earlier = self.later
        self.turn += 1
        seen = earlier + nn.functional.linear(context.seen(self.canvas, places, NEAR), near)
        parameters = self.model.head({"context": seen}, self.begun[:, places])
        return self.model.block(*parameters.chunk(2, dim=-1))

    def take(self, block: Block, values: Tensor) -> None:
        """Put values where later fronts look for them."""
        places, reach = block.places, KERNEL // 2
        self.canvas[:, places // self.w + reach, places % self.w + reach] = values

    def result(self) -> Tensor:
        """All tokens."""
        reach = KERNEL // 2
        inside = self.canvas[:, reach : reach + self.h, reach : reach + self.w]
        return inside.reshape(inside.shape[0], self.h * self.w, -1)


class RasterAutoregression(Hyperprior):
    """Latents (N, `channels`, h, w) in raster order. Settings: see `Hyperprior`."""

    def __init__(self, channels: int = 192, hyper: int = 192, **settings: Any) -> None:
        super().__init__(channels, hyper, **settings)
        self.context = MaskedConv2d(channels, 2 * channels, KERNEL, "raster")
        self.head = PointwiseHead(
            {"hyper": 2 * channels, "context": 2 * channels}, joint_widths(channels)
        )

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        hyper = self.code_hyper(y, cond, port, z)
        h, w = hyper.shape[-2:]
        y = self.take(y)
        fronts = whole_blocks(front_positions(h, w, KERNEL // 2, hyper.device))
        step = _RasterStep(self, hyper, fronts)
        tokens = port.scan("y", None if y is None else to_tokens(y), fronts, step)
        return to_grid(tokens, h, w)
