"""Contexts by attention: windows of a checkerboard, and the whole picture at linear cost.

Source: "MLIC++: Linear complexity multi-reference entropy modeling for learned image compression"
(2023). The linear attention is that of "Efficient attention: attention with linear complexities"
(2018): softmax of keys over positions, of queries over channels, keys times values first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.models.blocks import DepthwiseConv2d, Linear, PaddedConv2d, PointwiseConv2d, product

from .positions import to_grid, to_tokens

HIDDEN_BY_MASK = -100.0


def _project(channels: int) -> nn.Sequential:
    return nn.Sequential(PointwiseConv2d(channels, channels), DepthwiseConv2d(channels, 3))


def _mix(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        PointwiseConv2d(inputs, hidden),
        nn.GELU(),
        DepthwiseConv2d(hidden, 3),
        nn.GELU(),
        PointwiseConv2d(hidden, outputs),
    )


def linear_attention(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Queries (N, Q, C), keys and values (N, K, C) -> (N, Q, C), at a cost linear in Q and K."""
    n, _, channels = queries.shape
    width = channels // heads

    def split(tokens: Tensor) -> Tensor:
        return tokens.reshape(n, tokens.shape[1], heads, width).transpose(1, 2)

    weights = torch.softmax(split(keys), dim=2)
    gathered = weights.transpose(2, 3) @ split(values)
    attended = torch.softmax(split(queries), dim=3) @ gathered
    return attended.transpose(1, 2).reshape(n, -1, channels)


class InterSliceAttention(nn.Module):
    """Attention among all positions of all slices before this one: what they have in common.

    inputs: channels of those slices. features: of the output. head: channels of each head.
    """

    reads = ("previous",)

    def __init__(self, inputs: int, features: int, head: int = 32) -> None:
        super().__init__()
        self.features = features
        self.heads = max(inputs // head, 1)
        middle = features * 3 // 2
        self.queries = _project(inputs)
        self.keys = _project(inputs)
        self.values = _project(inputs)
        self.reproject = PaddedConv2d(inputs, middle, 5)
        self.mix = _mix(middle, 2 * features, features)
        self.skip = PointwiseConv2d(middle, features)

    def forward(self, *previous: Tensor) -> Tensor:
        """Slices (N, ., h, w) -> (N, features, h, w)."""
        x = torch.cat(previous, dim=1)
        h, w = x.shape[-2:]
        queries, keys, values = (to_tokens(p(x)) for p in (self.queries, self.keys, self.values))
        attended = to_grid(linear_attention(queries, keys, values, self.heads), h, w)
        attention = self.reproject(attended)
        out: Tensor = self.skip(attention) + self.mix(attention)
        return out


class IntraSliceAttention(nn.Module):
    """Attention from the positions to come to those coded of this slice, wherever they are.

    How alike two positions are is taken from the slice before; values are this slice's.
    """

    reads = ("last", "current")

    def __init__(self, channels: int, heads: int = 2) -> None:
        super().__init__()
        self.features = 2 * channels
        self.heads = heads
        self.queries = _project(channels)
        self.keys = _project(channels)
        self.values = _project(channels)
        self.reproject = PaddedConv2d(channels, 2 * channels, 5)
        self.mix = _mix(2 * channels, 4 * channels, 2 * channels)

    def forward(self, last: Tensor, current: Tensor, places: Tensor, done: Tensor) -> Tensor:
        """Two slices (N, channels, h, w) -> (N, P, features) at `places`."""
        h, w = last.shape[-2:]
        tokens = to_tokens(last)

        def only(positions: Tensor) -> Tensor:
            """The last slice at some positions, zero at all others."""
            kept = torch.zeros_like(tokens).index_copy(1, positions, tokens[:, positions])
            return to_grid(kept, h, w)

        queries = to_tokens(self.queries(only(places)))[:, places]
        keys = to_tokens(self.keys(only(done)))[:, done]
        values = to_tokens(self.values(current))[:, done]
        attended = linear_attention(queries, keys, values, self.heads)
        grid = to_grid(torch.zeros_like(tokens).index_copy(1, places, attended), h, w)
        attention = self.reproject(grid)
        return to_tokens(attention + self.mix(attention))[:, places]


def relative_positions(window: int, device: torch.device | None = None) -> Tensor:
    """Which entry of the bias table each pair of a window's positions takes, (window^4,)."""
    along = torch.arange(window, device=device)
    row, column = torch.meshgrid(along, along, indexing="ij")
    row, column = row.reshape(-1), column.reshape(-1)
    down = row[:, None] - row + window - 1
    right = column[:, None] - column + window - 1
    return (down * (2 * window - 1) + right).reshape(-1)


class WindowContext(nn.Module):
    """Attention inside the window around each position to come, among what is coded of it."""

    reads = ("current",)

    def __init__(self, channels: int, window: int = 5, heads: int = 2) -> None:
        super().__init__()
        self.features = 2 * channels
        self.window = window
        self.heads = heads
        self.normalise = nn.LayerNorm(channels)
        self.project = Linear(channels, 3 * channels)
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.fuse = nn.Conv2d(channels, self.features, window)
        self.join = Linear(self.features, self.features)
        self.normalise_fused = nn.LayerNorm(self.features)
        self.feed_forward = nn.Sequential(
            Linear(self.features, 2 * self.features),
            nn.GELU(),
            Linear(2 * self.features, self.features),
        )

    def _windows(self, tokens: Tensor, size: Sequence[int], places: Tensor) -> Tensor:
        """Tokens (N, h w, C) -> (N, P, window^2, C) around `places`, zero outside the picture."""
        h, w = size
        reach = self.window // 2
        grid = tokens.reshape(tokens.shape[0], h, w, -1)
        padded = nn.functional.pad(grid, (0, 0, reach, reach, reach, reach))
        width = w + 2 * reach
        corner = places // w * width + places % w
        inside = torch.arange(self.window, device=places.device)
        steps = (inside[:, None] * width + inside).reshape(-1)
        index = (corner[:, None] + steps).reshape(-1)
        seen = padded.flatten(1, 2).index_select(1, index)
        return seen.reshape(tokens.shape[0], len(places), self.window**2, -1)

    def forward(self, current: Tensor, places: Tensor, done: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, P, features) at `places`."""
        n, channels, *size = current.shape
        area = self.window**2
        projected = self.project(self.normalise(to_tokens(current)))
        windows = self._windows(projected, size, places)
        # Neighbouring channels belong to different heads: (3, N, P, heads, window^2, width).
        split = windows.reshape(n, len(places), area, 3, channels // self.heads, self.heads)
        queries, keys, values = split.permute(3, 0, 1, 5, 2, 4)
        known = projected.new_zeros(1, size[0] * size[1], 1).index_fill(1, done, 1.0)
        known = self._windows(known, size, places).squeeze(-1)
        pairs = known[..., :, None] * known[..., None, :]
        hidden = torch.where(pairs > 0, 0.0, HIDDEN_BY_MASK).to(projected)
        bias = self.bias_table[relative_positions(self.window, places.device)]
        bias = bias.reshape(area, area, self.heads).permute(2, 0, 1)
        scores = queries * (channels // self.heads) ** -0.5 @ keys.transpose(-2, -1)
        weights = torch.softmax(scores + bias + hidden[:, :, None], dim=-1)
        # (N, P, heads, window^2, width) -> as the fusing convolution takes it.
        attended = (weights @ values).permute(0, 1, 2, 4, 3).reshape(n, len(places), -1)
        matrix = self.fuse.weight.flatten(1)
        fused = self.join(product(attended, matrix, self.fuse.bias))
        out: Tensor = fused + self.feed_forward(self.normalise_fused(fused))
        return out
