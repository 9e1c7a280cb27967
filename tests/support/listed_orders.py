"""Latent models whose coding orders are lists: a quadtree, and quarters of channels at phases."""

from torch import Tensor

from kodec.entropy.contexts.positions import to_tokens
from kodec.entropy.latents.orders import Order, in_phases
from kodec.entropy.latents.slices import (
    ConvolutionalContext,
    PointwiseHead,
    Slice,
    SlicedLatents,
)


class Nearby(ConvolutionalContext):
    """3x3 convolutions over whatever of the slice is coded."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(("current",), channels, (features, features), 3)

    def forward(self, current: Tensor, places: Tensor, done: Tensor) -> Tensor:  # type: ignore[override]
        """(N, channels, h, w) -> (N, P, features) at `places`."""
        return to_tokens(super().forward(current))[:, places]


def listed(channels: int, hyper: int, order: Order) -> SlicedLatents:
    """One slice of all channels in that order, with a head for each step."""
    heads = [
        PointwiseHead(seen, (8, 2 * channels))
        for seen in ({"hyper": 2 * channels}, {"hyper": 2 * channels, "nearby": 6})
    ]
    steps = [heads[min(number, 1)] for number in range(len(order.steps))]
    part = Slice(channels, steps, {"nearby": Nearby(channels, 6)}, order=order)
    return SlicedLatents([part], channels, hyper)


def quadtree(channels: int = 12, hyper: int = 6) -> SlicedLatents:
    """All channels at one of four phases after the other."""
    return listed(channels, hyper, in_phases(4))


def four_steps(channels: int = 12, hyper: int = 6) -> SlicedLatents:
    """In each step all positions, a quarter of the channels at each phase.

    Source: "Neural video compression with diverse contexts" (2023).
    """
    size = channels // 4
    quarters = [slice(start, start + size) for start in range(0, channels, size)]
    steps = [[(phase, quarters[(phase + turn) % 4]) for phase in range(4)] for turn in range(4)]
    return listed(channels, hyper, Order(4, steps))
