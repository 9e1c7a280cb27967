"""Regions of a picture: the mean over each of them, and values of regions back at every position.

Those that both sides know are the cells of a grid. In training they may be label maps instead, such
as segmentation masks, with another number of regions in every picture.
"""

from typing import Protocol

import torch
from torch import Tensor, nn


class Regions(Protocol):
    """Regions of N items of h x w positions; values of regions are (N, C, *`shape`).

    present: where each item has a region, (N, 1, *`shape`); None: everywhere.
    """

    shape: tuple[int, int]
    present: Tensor | None

    def means(self, features: Tensor) -> Tensor:
        """Features (N, C, h, w) -> their mean over each region, (N, C, *`shape`)."""

    def spread(self, values: Tensor) -> Tensor:
        """Values of regions (N, C, *`shape`) -> at every position, (N, C, h, w)."""


class GridRegions:
    """The cells of a grid with `side` rows and columns, whatever the size of the picture."""

    def __init__(self, side: int, h: int, w: int) -> None:
        self.present: Tensor | None = None
        self.shape = (side, side)
        self.size = (h, w)

    def means(self, features: Tensor) -> Tensor:
        """See `Regions`."""
        return nn.functional.adaptive_avg_pool2d(features, self.shape)

    def spread(self, values: Tensor) -> Tensor:
        """See `Regions`."""
        return nn.functional.interpolate(values, size=self.size, mode="nearest")


class LabelledRegions:
    """The regions of label maps (N, H, W) of integers, H and W multiples of h and w.

    Positions take the label at their upper left; labels that none of them takes are no regions.
    """

    def __init__(self, labels: Tensor, h: int, w: int) -> None:
        down, along = labels.shape[-2] // h, labels.shape[-1] // w
        seen = labels[:, ::down, ::along].flatten(1)
        # Of each position, the number of its region: 0 .. regions of the item - 1.
        self.numbers = torch.stack([torch.unique(one, return_inverse=True)[1] for one in seen])
        counts = self.numbers.amax(dim=1) + 1
        self.shape = (int(counts.max()), 1)
        self.size = (h, w)
        every = torch.arange(self.shape[0], device=labels.device)
        self.present: Tensor | None = (every < counts[:, None])[:, None, :, None]

    def means(self, features: Tensor) -> Tensor:
        """See `Regions`; zero where there is none."""
        n, channels = features.shape[:2]
        sums = features.new_zeros(n, channels, self.shape[0])
        sums = sums.scatter_add(2, self._at(channels), features.flatten(2))
        areas = nn.functional.one_hot(self.numbers, self.shape[0]).sum(dim=1, keepdim=True)
        return (sums / areas.clamp(min=1))[..., None]

    def spread(self, values: Tensor) -> Tensor:
        """See `Regions`."""
        taken = values.flatten(2).gather(2, self._at(values.shape[1]))
        return taken.view(*taken.shape[:2], *self.size)

    def _at(self, channels: int) -> Tensor:
        """The numbers for all channels, (N, channels, positions)."""
        return self.numbers[:, None].expand(-1, channels, -1)
