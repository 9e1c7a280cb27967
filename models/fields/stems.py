"""What a frame's features begin as: a function of its time, or its embedding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .activations import Nonlinearity
from .positional import PositionalEncoding
from .temporal import TimeCode

HEAD_WIDTH = 64


class EmbeddingStem(nn.Module):
    """A frame's own embedding, as it is. Source: "HNeRV: A Hybrid Neural Representation" (2023)."""

    def forward(self, time: Tensor, embedding: Tensor | None) -> Tensor:
        """(N,), (N, C, h, w) -> (N, C, h, w)."""
        assert embedding is not None
        return embedding


class TimeStem(nn.Module):
    """Times (N,) -> (N, channels, rows, columns): two activated layers of the encoded time.

    hidden: the width between them; 0 for one layer. inputs: so many numbers make a time, each
    encoded: with 2, times are (N, 2), a frame's and its session's (PFNR). Source: "NeRV: Neural
    Representations for Videos" (2021).
    """

    def __init__(
        self,
        encoding: PositionalEncoding,
        hidden: int,
        shape: tuple[int, int, int],
        activation: str,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        self.encoding, self.shape = encoding, shape
        channels, rows, columns = shape
        widths = (hidden, channels * rows * columns) if hidden else (channels * rows * columns,)
        self.layers = TimeCode(inputs * encoding.width, widths, activation)

    def forward(self, time: Tensor, embedding: Tensor | None) -> Tensor:
        """(N,) -> (N, channels, rows, columns)."""
        encoded = self.encoding(time.flatten()).view(len(time), -1)
        out: Tensor = self.layers(encoded).unflatten(1, self.shape)
        return out


class GatedStem(nn.Module):
    """Times (N,) -> (N, channels, rows, columns): a gated layer of the encoded time, a linear one.

    Source: "NeRV++: An Enhanced Implicit Neural Video Representation" (2024).
    """

    def __init__(
        self, encoding: PositionalEncoding, hidden: int, shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.encoding, self.shape = encoding, shape
        channels, rows, columns = shape
        self.expand = nn.Linear(encoding.width, 2 * hidden)
        self.project = nn.Linear(hidden, channels * rows * columns)

    def forward(self, time: Tensor, embedding: Tensor | None) -> Tensor:
        """(N,) -> (N, channels, rows, columns)."""
        plain, gate = self.expand(self.encoding(time)).chunk(2, -1)
        out = self.project(plain * functional.gelu(gate, approximate="tanh"))
        features: Tensor = out.unflatten(1, self.shape)
        return features


class GlobalAttention(nn.Module):
    """Attention among all positions and a two-layer network, each added: (N, positions, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * HEAD_WIDTH, bias=False)
        self.out = nn.Linear(heads * HEAD_WIDTH, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, positions, width) -> the same shape."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, HEAD_WIDTH)).unbind(-3)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        scores = query @ key.transpose(-1, -2) * HEAD_WIDTH**-0.5
        x = self.out((scores.softmax(-1) @ value).transpose(1, 2).flatten(2)) + x
        out: Tensor = self.mlp(x) + x
        return out


class DisentangledStem(nn.Module):
    """Times (N,) -> (N, channels, rows, columns), from codes of place and of time.

    Places attend to one another, are multiplied by the time's code and attend again. Source:
    "E-NeRV: Expedite Neural Video Representation with Disentangled Spatial-Temporal Context"
    (2022).
    """

    def __init__(
        self,
        encoding: PositionalEncoding,
        width: int,
        shape: tuple[int, int, int],
        activation: str,
    ) -> None:
        super().__init__()
        self.encoding, self.shape = encoding, shape
        channels = shape[0]
        self.time = TimeCode(encoding.width, (2 * width, width), activation)
        self.place = TimeCode(2 * encoding.width, (width,), activation)
        self.among_places = GlobalAttention(width, 1)
        self.with_time = GlobalAttention(width, 8)
        self.project = (
            nn.Identity()
            if width == channels
            else nn.Sequential(nn.Conv2d(width, channels, 1), Nonlinearity(activation))
        )

    def forward(self, time: Tensor, embedding: Tensor | None) -> Tensor:
        """(N,) -> (N, channels, rows, columns)."""
        _, rows, columns = self.shape
        down = torch.arange(rows, device=time.device) / rows
        across = torch.arange(columns, device=time.device) / columns
        down, across = down.repeat_interleave(columns), across.repeat(rows)
        places = self.place(torch.cat([self.encoding(down), self.encoding(across)], 1))
        places = self.among_places(places[None])
        mixed = self.with_time(places * self.time(self.encoding(time))[:, None])
        out: Tensor = self.project(mixed.transpose(1, 2).unflatten(2, (rows, columns)))
        return out
