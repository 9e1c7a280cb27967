"""Random integer networks of Cool-chic's, and its presets' sizes."""

import torch
from torch import Tensor

from kodec.entropy import Grid, GridLatents, IntegerArm, IntegerIfce, SteppedLayer

PRESETS = {"lop": (6, 2), "mop": (10, 4), "hop": (14, 6), "vhop": (20, 6)}
"""Contexts and features."""


def random_networks(grids: list[Grid], contexts: int, features: int, seed: int = 0) -> GridLatents:
    """Networks that give contexts and features something to do, with scales that vary."""
    generator = torch.Generator().manual_seed(seed)

    def layer(outputs: int, inputs: int, size: int, bits: int) -> SteppedLayer:
        def integers(*shape: int) -> Tensor:
            return torch.randint(-size, size + 1, shape, generator=generator)

        return SteppedLayer(integers(outputs, inputs), integers(outputs), bits, 6)

    ifce = {}
    for level in range(3):
        coarser = sum(grid.level > level for grid in grids)
        if features and any(grid.level == level for grid in grids):
            ifce[level] = IntegerIfce(layer(features, coarser, 20, 5))
    inputs = contexts + features
    output = layer(2, inputs, 16, 6)
    output.bias[1] += 200  # log scales around -1
    arm = IntegerArm(
        [layer(inputs, inputs, 10, 6), layer(inputs, inputs, 10, 8)],
        output,
        layer(2, inputs, 12, 6),
        contexts,
        max((network.bound for network in ifce.values()), default=0),
    )
    return GridLatents(grids, arm, ifce)


def random_latents(grids: list[Grid], items: int = 1, seed: int = 0) -> list[Tensor]:
    """Smooth integers with some noise, one or two out of range."""
    generator = torch.Generator().manual_seed(seed)
    latents = []
    for grid in grids:
        noise = torch.randn(items, 1, grid.rows, grid.columns, generator=generator).double()
        waves = (
            3 * torch.sin(torch.arange(grid.columns) / 3.0) + torch.arange(grid.rows)[:, None] % 3
        )
        latents.append(torch.round(noise + waves))
    latents[0][0, 0, 0, 0] = 70
    latents[-1][0, 0, -1, -1] = -90
    return latents
