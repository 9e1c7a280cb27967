"""A network that gives a patch of some frames for its place: NIRVANA."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

FREQUENCY = 30.0
BASE = 100.0


def frame_codes(channels: int, frames: int) -> Tensor:
    """(channels, frames): sines and cosines, in turn, of a frame's number at 100^-i."""
    level = torch.arange(channels) // 2
    phases = torch.arange(frames).double() / BASE ** level.double()[:, None]
    codes = torch.where(torch.arange(channels)[:, None] % 2 == 0, phases.sin(), phases.cos())
    return codes.float()


class PatchNetwork(nn.Module):
    """Centres of patches (N, 2) in [-1, 1], row and column -> patches (N, frames, 3, side, side).

    Sine layers of the place lead to features of half the resolution, whose frames differ by a
    fixed code; then two convolutions in as many groups as there are frames. Source: "NIRVANA:
    Neural Implicit Representations of Videos with Adaptive Networks and Autoregressive Patch-wise
    Modeling" (2023).
    """

    def __init__(self, side: int, frames: int, width: int, depth: int, channels: int) -> None:
        super().__init__()
        self.side, self.frames, self.channels = side, frames, channels
        half = side // 2
        widths = [2, *[width] * (depth - 1), channels * half**2]
        self.stem = nn.ModuleList(
            nn.Linear(before, after) for before, after in zip(widths, widths[1:], strict=False)
        )
        for number, layer in enumerate(self.stem):
            assert isinstance(layer, nn.Linear)
            bound = (6 / layer.in_features) ** 0.5 / FREQUENCY if number else 1 / layer.in_features
            nn.init.uniform_(layer.weight, -bound, bound)
        self.register_buffer("codes", frame_codes(channels, frames), persistent=False)
        inner = channels // 2 * frames
        self.up = nn.Conv2d(channels * frames, 4 * inner, 3, padding=1, groups=frames)
        self.shuffle = nn.PixelShuffle(2)
        self.head = nn.Conv2d(inner, 3 * frames, 3, padding=1, groups=frames)

    @torch.no_grad()
    def begin_at(self, colours: Tensor) -> None:
        """Begin with these, (3,), where features say nothing."""
        assert self.head.bias is not None
        self.head.bias.copy_(colours.repeat(self.frames))

    def features(self, centres: Tensor) -> Tensor:
        """(N, 2) -> (N, channels (side / 2)^2): what the sine layers give."""
        x = centres
        for layer in self.stem[:-1]:
            x = torch.sin(FREQUENCY * layer(x))
        out: Tensor = self.stem[-1](x)
        return out

    def forward(self, centres: Tensor) -> Tensor:
        """(N, 2) -> (N, frames, 3, side, side)."""
        half = self.side // 2
        x = self.features(centres).view(-1, self.channels, 1, half, half)
        # Channels first, frames second: each group has some of every frame.
        assert isinstance(self.codes, Tensor)
        x = (x + self.codes[None, :, :, None, None]).flatten(1, 2)
        x = functional.gelu(self.shuffle(self.up(x)))
        out = self.head(x)
        patches: Tensor = out.unflatten(1, (self.frames, 3))
        return patches


@dataclass(frozen=True)
class PatchDesign:
    """A `PatchNetwork`'s sizes. Published: patches of 32, 3 frames, width 512, 3 layers, 16."""

    side: int = 32
    frames: int = 3
    width: int = 512
    depth: int = 3
    channels: int = 16

    def build(self) -> PatchNetwork:
        """The network."""
        return PatchNetwork(self.side, self.frames, self.width, self.depth, self.channels)
