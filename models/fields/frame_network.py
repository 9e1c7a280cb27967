"""A network that gives a frame for its time or its embedding: a stem, a list of stages, a head."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .frame_blocks import Head
from .positional import PositionalEncoding


class FrameNetwork(nn.Module):
    """Times (N,) in [0, 1] and embeddings (N, C, h, w), or None -> frames (N, 3, H, W) in [0, 1].

    stem: what features begin as. stages: a list of `Stage`s. time: the code of a frame's time that
    stages take, (N, encoding.width) -> (N, code), if they do.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        head: nn.Module,
        encoding: PositionalEncoding | None = None,
        time: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem, self.stages, self.head = stem, nn.ModuleList(stages), head
        self.encoding, self.time = encoding, time

    def begin_at(self, colours: Tensor) -> None:
        """Begin with frames of about these colours, (3,) in (0, 1), where the head can."""
        if isinstance(self.head, Head):
            self.head.begin_at(colours)

    def forward(self, time: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Shapes as above."""
        code = None
        if self.time is not None:
            assert self.encoding is not None
            code = self.time(self.encoding(time))
        x: Tensor = self.stem(time, embedding)
        for stage in self.stages:
            x = stage(x, code)
        out: Tensor = self.head(x)
        return out


@torch.no_grad()
def draw_normal(weight: Tensor, deviation: float) -> None:
    """Fill with normal numbers, drawn by the inverse error function, as published code does.

    `torch.nn.init.trunc_normal_` draws others from the same seed since some version.
    """
    weight.uniform_(-1, 1).erfinv_().mul_(deviation * math.sqrt(2)).clamp_(-2, 2)


@torch.no_grad()
def initialise_evenly(network: nn.Module) -> None:
    """Xavier's uniform weights of convolutions, small normal ones of linear layers, no biases.

    Source: "NeRV++: An Enhanced Implicit Neural Video Representation" (2024).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, nn.Linear):
            draw_normal(layer.weight, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
