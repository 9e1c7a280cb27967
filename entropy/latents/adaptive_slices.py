"""Channel slices with channel attention and deformable attention to all slices before.

After "S2LIC: Learned image compression with the SwinV2 block, adaptive channel-wise and
global-inter attention context" (2024). The authors' code leaves these two blocks out: they are
built from the paper's description, so their widths and numbers of parameters are kodec's own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.positions import to_grid
from kodec.models.blocks import DepthwiseConv2d, PointwiseConv2d, zeroed
from kodec.native import InvalidInputError

from .orders import in_phases
from .slices import LatentResidual, PointwiseHead, Slice, SlicedLatents

HEAD_WIDTHS = (320, 256, 128)
RESIDUAL_WIDTHS = (224, 128)


class ChannelAttention(nn.Module):
    """Attention among the channels of the slices before: each is a mixture of those like it.

    Keys and queries are compared along positions, so that the cost is linear in them. inputs:
    channels read, `heads` of equal width. features: of the output.
    """

    reads = ("previous",)

    def __init__(self, inputs: int, features: int, heads: int) -> None:
        super().__init__()
        self.features = features
        self.heads = heads
        self.project = nn.Sequential(
            PointwiseConv2d(inputs, 3 * inputs), DepthwiseConv2d(3 * inputs, 3)
        )
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.join = PointwiseConv2d(inputs, features)
        self.mix = nn.Sequential(
            PointwiseConv2d(features, 2 * features),
            nn.GELU(),
            PointwiseConv2d(2 * features, features),
        )

    def forward(self, *previous: Tensor) -> Tensor:
        """Slices (N, ., h, w) -> (N, features, h, w)."""
        x = torch.cat(previous, dim=1)
        n, channels, h, w = x.shape
        parts = self.project(x).reshape(n, 3, self.heads, channels // self.heads, h * w)
        queries, keys, values = parts.unbind(1)
        queries = nn.functional.normalize(queries, dim=-1)
        keys = nn.functional.normalize(keys, dim=-1)
        weights = torch.softmax(queries @ keys.transpose(-2, -1) * self.temperature, dim=-1)
        joined = self.join((weights @ values).reshape(n, channels, h, w))
        out: Tensor = joined + self.mix(joined)
        return out


class DeformableAttention(nn.Module):
    """Attention to `points` x `points` places of the picture that the content itself chooses.

    Places start on a regular grid; offsets are predicted from queries averaged around each, and
    features there are interpolated. The number of places is fixed, so the cost is linear in
    positions. Source of the mechanism: "Vision transformer with deformable attention" (2022).
    """

    reads = ("previous",)

    def __init__(self, inputs: int, features: int, heads: int, points: int = 8) -> None:
        super().__init__()
        self.features = features
        self.heads = heads
        self.points = points
        width = inputs // heads
        self.queries = PointwiseConv2d(inputs, inputs)
        self.offsets = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(), zeroed(PointwiseConv2d(width, 2))
        )
        self.keys_values = PointwiseConv2d(inputs, 2 * inputs)
        self.join = PointwiseConv2d(inputs, features)
        self.mix = nn.Sequential(
            PointwiseConv2d(features, 2 * features),
            nn.GELU(),
            PointwiseConv2d(2 * features, features),
        )

    def places(self, queries: Tensor) -> Tensor:
        """Queries (N heads, width, h, w) -> where to look, (N heads, p, p, 2), in [-1, 1]."""
        p = self.points
        pooled = nn.functional.adaptive_avg_pool2d(queries, (p, p))
        moved = torch.tanh(self.offsets(pooled)).permute(0, 2, 3, 1)
        centres = (2 * torch.arange(p, device=queries.device).to(queries) + 1) / p - 1
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        return (torch.stack([columns, rows], dim=-1) + moved).clamp(-1, 1)

    def forward(self, *previous: Tensor) -> Tensor:
        """Slices (N, ., h, w) -> (N, features, h, w)."""
        x = torch.cat(previous, dim=1)
        n, channels, h, w = x.shape
        width = channels // self.heads
        queries = self.queries(x)
        apart = (n * self.heads, width, h, w)
        places = self.places(queries.reshape(apart))
        seen = nn.functional.grid_sample(
            x.reshape(apart), places.to(x), padding_mode="border", align_corners=False
        )
        both = self.keys_values(seen.reshape(n, channels, self.points, self.points))
        keys, values = both.reshape(n, 2, self.heads, width, self.points**2).unbind(1)
        asked = queries.reshape(n, self.heads, width, h * w).transpose(2, 3)
        weights = torch.softmax(asked @ keys * width**-0.5, dim=-1)
        attended = weights @ values.transpose(2, 3)
        joined = self.join(to_grid(attended.transpose(1, 2).reshape(n, h * w, channels), h, w))
        out: Tensor = joined + self.mix(joined)
        return out


class AdaptiveSlices(SlicedLatents):
    """Latents (N, `channels`, h, w) in `count` equal slices, each a checkerboard, odd first.

    Parameters of a slice depend on slices before it alone; the second colour differs from the first
    in its head and in its latent residual prediction. points: see `DeformableAttention`.
    head_widths, residual_widths: of the hidden layers of the heads and of the latent residual
    prediction. Settings: see `Hyperprior`.
    """

    def __init__(
        self,
        channels: int = 320,
        hyper: int = 192,
        count: int = 10,
        points: int = 8,
        head_widths: Sequence[int] = HEAD_WIDTHS,
        residual_widths: Sequence[int] = RESIDUAL_WIDTHS,
        networks: str = "mlic2023",
        **settings: Any,
    ) -> None:
        if channels % count:
            raise InvalidInputError(f"{channels} channels are not {count} equal slices")
        size = channels // count
        widths = (head_widths, residual_widths)
        parts = [_slice(number, size, channels, points, *widths) for number in range(count)]
        super().__init__(parts, channels, hyper, networks=networks, **settings)


def _slice(
    number: int,
    size: int,
    channels: int,
    points: int,
    head_widths: Sequence[int],
    residual_widths: Sequence[int],
) -> Slice:
    before = number * size
    contexts: dict[str, nn.Module] = {}
    if number:
        contexts["channel"] = ChannelAttention(before, 2 * size, number)
        contexts["global"] = DeformableAttention(before, size, number, points)
    seen = {"channel": 2 * size, "global": size} if number else {}
    seen["hyper"] = 2 * channels
    residual = channels + before + size
    return Slice(
        size,
        contexts=contexts,
        heads=[PointwiseHead(seen, (*head_widths, 2 * size), nn.GELU) for _ in range(2)],
        residuals=[
            LatentResidual(
                ("means", "previous", "current"), residual, (*residual_widths, size), 3, nn.GELU
            )
            for _ in range(2)
        ],
        order=in_phases(2, backwards=True),
    )
