"""Multi-reference latents: channel, local, intra-slice and inter-slice contexts together.

    per slice:  previous slices --> channel context, inter-slice attention
    anchors     <-- inter, channel, hyper;  latent residual prediction
    the others  <-- local window attention over the anchors, intra-slice attention to them,
                    inter, channel, hyper;  latent residual prediction

Source: "MLIC++: Linear complexity multi-reference entropy modeling for learned image compression"
(2023).
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from kodec.entropy.contexts.attention_contexts import (
    InterSliceAttention,
    IntraSliceAttention,
    WindowContext,
)
from kodec.native import InvalidInputError

from .orders import in_phases
from .slices import ConvolutionalContext, LatentResidual, PointwiseHead, Slice, SlicedLatents

HEAD_WIDTHS = (320, 256, 128)
CHANNEL_WIDTHS = (192, 128)
RESIDUAL_WIDTHS = (224, 128)


class MultiReference(SlicedLatents):
    """Latents (N, `channels`, h, w) in `count` equal slices, each a checkerboard, odd first.

    head: channels of each head of the attention between slices. window: of the local attention.
    head_widths, channel_widths, residual_widths: of the hidden layers of the heads, of the channel
    context and of the latent residual prediction. Settings: see `Hyperprior`. With those of
    published models it is MLIC++'s, at any width.
    """

    def __init__(
        self,
        channels: int = 320,
        hyper: int = 192,
        count: int = 10,
        window: int = 5,
        head: int = 32,
        head_widths: Sequence[int] = HEAD_WIDTHS,
        channel_widths: Sequence[int] = CHANNEL_WIDTHS,
        residual_widths: Sequence[int] = RESIDUAL_WIDTHS,
        networks: str = "mlic2023",
        **settings: Any,
    ) -> None:
        if channels % count:
            raise InvalidInputError(f"{channels} channels are not {count} equal slices")
        widths = (head_widths, channel_widths, residual_widths)
        parts = [
            _slice(number, channels // count, channels, window, head, *widths)
            for number in range(count)
        ]
        super().__init__(parts, channels, hyper, networks=networks, **settings)


def _slice(
    number: int,
    size: int,
    channels: int,
    window: int,
    head: int,
    head_widths: Sequence[int],
    channel_widths: Sequence[int],
    residual_widths: Sequence[int],
) -> Slice:
    before = number * size
    contexts: dict[str, nn.Module] = {"local": WindowContext(size, window)}
    if number:
        contexts["intra"] = IntraSliceAttention(size)
        contexts["inter"] = InterSliceAttention(before, 2 * size, head)
        widths = (*channel_widths, 4 * size)
        contexts["channel"] = ConvolutionalContext(("previous",), before, widths, 3, nn.GELU)
    earlier = {"inter": 2 * size, "channel": 4 * size} if number else {}
    later = {"local": 2 * size, "intra": 2 * size} if number else {"local": 2 * size}
    anchors = {**earlier, "hyper": 2 * channels}
    return Slice(
        size,
        contexts=contexts,
        heads=[
            PointwiseHead(parts, (*head_widths, 2 * size), nn.GELU)
            for parts in (anchors, {**later, **anchors})
        ],
        residuals=[
            LatentResidual(
                ("means", "previous", "current"),
                channels + before + size,
                (*residual_widths, size),
                3,
                nn.GELU,
            )
            for _ in range(2)
        ],
        order=in_phases(2, backwards=True),
    )
