"""Learned grids of features, linear in time between their frames."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

START = 1e-3


def between_frames(grid: Tensor, frames: Tensor, of: int) -> Tensor:
    """Rows of `grid` (steps, width) at frames (N,) of `of`: (N, width), linear between steps.

    Steps and frames span the same time, each at the middle of its share.
    """
    steps = grid.shape[0]
    place = ((frames.double() + 0.5) * steps / of - 0.5).clamp(0, steps - 1)
    first = place.floor().long()
    weight = (place - first).to(grid.dtype)[:, None]
    second = (first + 1).clamp(max=steps - 1)
    return grid[first] * (1 - weight) + grid[second] * weight


class FeatureGrids(nn.Module):
    """Frames (N,) -> features (N, rows, columns, all channels), levels side by side.

    levels: steps in time and channels of each. of: how many frames there are. Source: "HiNeRV:
    Video Compression with Hierarchical Encoding-based Neural Representation" (2023).
    """

    def __init__(self, rows: int, columns: int, levels: Sequence[tuple[int, int]], of: int) -> None:
        super().__init__()
        self.rows, self.columns, self.of = rows, columns, of
        self.steps = [steps for steps, _ in levels]
        self.channels = sum(channels for _, channels in levels)
        # As rows of channels: what has one scale when it is quantised.
        self.levels = nn.ParameterList(
            nn.Parameter(torch.empty(steps * rows * columns, channels).uniform_(-START, START))
            for steps, channels in levels
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(N,) integers -> (N, rows, columns, channels)."""
        parts = []
        for steps, level in zip(self.steps, self.levels, strict=True):
            found = between_frames(level.view(steps, -1), frames, self.of)
            parts.append(found.view(len(frames), self.rows, self.columns, -1))
        return torch.cat(parts, -1)


class LocalGrids(nn.Module):
    """Frames (N,) -> features (N, s, s, channels) of each phase of an upsampling by s.

    They are the same at each place. levels: steps in time and channels of each. Source: "HiNeRV:
    Video Compression with Hierarchical Encoding-based Neural Representation" (2023).
    """

    def __init__(
        self, stride: int, channels: int, levels: Sequence[tuple[int, int]], of: int
    ) -> None:
        super().__init__()
        self.stride, self.of = stride, of
        self.levels = nn.ParameterList(
            nn.Parameter(torch.empty(steps, stride**2 * width).uniform_(-START, START))
            for steps, width in levels
        )
        self.project = nn.Linear(sum(width for _, width in levels), channels)
        nn.init.zeros_(self.project.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """(N,) integers -> (N, s, s, channels)."""
        shape = (len(frames), self.stride, self.stride, -1)
        parts = [between_frames(level, frames, self.of).view(shape) for level in self.levels]
        out: Tensor = self.project(torch.cat(parts, -1))
        return out
