"""Frames that are alike where the video only moves: a loss of neighbours under its own motion.

Source: "Scene Matters: Model-based Deep Video Compression" (2023), a reading: its flow is a
network's, this one the block search of the core.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kodec.native.motion import search

# Blocks are searched for by their sums of differences, vectors are in quarters of a pixel.
CELL, QUARTERS = 8, 4.0
# In [0, 1]: where the source itself differs by more under its motion, nothing is asked.
STEADY = 0.04


class FlowConsistency:
    """The motion of a video's frames (T, 3, H, W), whole numbers up to `peak`, each from the one
    before."""

    def __init__(self, frames: Tensor, peak: int) -> None:
        # Green stands for luma.
        green = (frames[:, 1].float() * (255 / peak)).round().byte().numpy()
        self.vectors = [
            torch.from_numpy(search(np.ascontiguousarray(now), np.ascontiguousarray(before))[0])
            for before, now in zip(green, green[1:], strict=False)
        ]

    def moved(self, before: Tensor, numbers: Tensor) -> Tensor:
        """Frames (N, 3, H, W) as the ones with these numbers, from 1 on, that come after them."""
        height, width = before.shape[-2:]
        chosen = torch.stack([self.vectors[int(n) - 1] for n in numbers]).permute(0, 3, 1, 2)
        spread = chosen.float().repeat_interleave(CELL, 2).repeat_interleave(CELL, 3) / QUARTERS
        rows, columns = spread.shape[-2:]
        spread = functional.pad(
            spread, (0, max(0, width - columns), 0, max(0, height - rows)), mode="replicate"
        )[..., :height, :width]
        down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        x = 2 * (across + spread[:, 1]) / max(1, width - 1) - 1
        y = 2 * (down + spread[:, 0]) / max(1, height - 1) - 1
        grid = torch.stack([x, y], -1)
        return functional.grid_sample(before, grid, padding_mode="border", align_corners=True)

    def steady(self, now: Tensor, before: Tensor, numbers: Tensor) -> Tensor:
        """Where frames are what they were, moved: (N, 1, H, W), 0 or 1."""
        difference = (now - self.moved(before, numbers)).abs().mean(1, keepdim=True)
        return (difference < STEADY).float()
