"""Latent models of channel slices and of checkerboards, as lists of slices."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from torch import nn

from kodec.native import InvalidInputError

from .orders import in_phases
from .slices import (
    CheckerboardContext,
    ConvolutionalContext,
    LatentResidual,
    PointwiseHead,
    Slice,
    SlicedLatents,
)

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


def joint_widths(channels: int) -> tuple[int, int, int]:
    """Layers that join hyperprior and spatial context (4 `channels`) to parameters.

    Source: "Joint autoregressive and hierarchical priors for learned image compression" (2018).
    """
    return channels * 10 // 3, channels * 8 // 3, 2 * channels


class Checkerboard(SlicedLatents):
    """All channels at once, in two passes: one colour of a checkerboard, then the other.

    Source: "Checkerboard context model for efficient learned image compression" (2021).
    Settings: see `Hyperprior`.
    """

    def __init__(self, channels: int = 192, hyper: int = 128, **settings: Any) -> None:
        part = Slice(
            channels,
            contexts={"spatial": CheckerboardContext(channels, 2 * channels)},
            heads=[
                PointwiseHead(
                    {"spatial": 2 * channels, "hyper": 2 * channels}, joint_widths(channels)
                )
            ],
            order=in_phases(2),
        )
        super().__init__([part], channels, hyper, **settings)


class ChannelSlices(SlicedLatents):
    """Equal slices of channels, each predicted from the hyperprior and from slices before it.

    count: of slices. support: how many of the first slices a later one may look at. widths: of the
    hidden layers of the networks for means, scales and latent residuals. activation: "relu" or
    "gelu". Settings: see `Hyperprior`. The values set here are those of "Channel-wise
    autoregressive entropy models for learned image compression" (2020); "The devil is in the
    details: window-based attention for image compression" (2022) has widths 224, 176, 128, 64,
    kernel 3, gelu and networks "stf2022".
    """

    def __init__(
        self,
        channels: int = 320,
        hyper: int = 192,
        count: int = 10,
        support: int = 5,
        widths: Sequence[int] = (224, 128),
        kernel: int = 5,
        activation: str = "relu",
        **settings: Any,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InvalidInputError(f"activations are {sorted(ACTIVATIONS)}, not {activation!r}")
        size = channels // count
        act = ACTIVATIONS[activation]

        def part(number: int) -> Slice:
            seen = channels + size * min(number, support)
            layers = (*widths, size)
            return Slice(
                size,
                contexts={
                    "mean": ConvolutionalContext(("means", "previous"), seen, layers, kernel, act),
                    "scale": ConvolutionalContext(
                        ("scales", "previous"), seen, layers, kernel, act
                    ),
                },
                heads=[PointwiseHead({"mean": size, "scale": size})],
                residuals=[
                    LatentResidual(
                        ("means", "previous", "current"), seen + size, layers, kernel, act
                    )
                ],
                support=support,
            )

        super().__init__([part(i) for i in range(count)], channels, hyper, **settings)


class UnevenSlices(SlicedLatents):
    """Slices that grow, each a checkerboard that also looks at the slices before it.

    slices: channels of each, by default 16, 16, 32, 64 and the rest. widths: of the hidden layers
    of the channel context. Source: "ELIC: Efficient learned image compression with unevenly grouped
    space-channel contextual adaptive coding" (2022). Settings: see `Hyperprior`.
    """

    def __init__(
        self,
        channels: int = 320,
        hyper: int = 192,
        slices: Sequence[int] | None = None,
        widths: Sequence[int] = (224, 128),
        networks: str = "elic2022",
        **settings: Any,
    ) -> None:
        sizes = list(slices or (16, 16, 32, 64, channels - 128))
        parts = []
        for before, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
            contexts: dict[str, nn.Module] = {"spatial": CheckerboardContext(size, 2 * size)}
            seen = {"spatial": 2 * size}
            if before:
                contexts["channel"] = ConvolutionalContext(
                    ("previous",), before, (*widths, 2 * size), 5
                )
                seen["channel"] = 2 * size
            seen["hyper"] = 2 * hyper
            head = PointwiseHead(seen, ramp(sum(seen.values()), 2 * size, 2 * hyper), nn.ReLU)
            parts.append(Slice(size, [head], contexts, order=in_phases(2)))
        super().__init__(parts, channels, hyper, networks=networks, outputs=2 * hyper, **settings)


def ramp(start: int, end: int, least: int) -> tuple[int, int, int]:
    """Widths of three layers that go evenly from `start` to `end`, the hidden ones >= `least`."""
    hidden = [max(start + (end - start) * i // 3, least) for i in (1, 2)]
    return hidden[0], hidden[1], end
