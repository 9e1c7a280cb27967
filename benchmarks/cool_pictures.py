"""Cool-chic's own files to pixels: their parameters behind `cool_files`, and our networks."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cool_files import CoolFile, decode
from kodec.models.fields.grid_synthesis import Convolution, GridSynthesis, synthesise
from kodec.models.fields.grid_upsampling import GridFilters, upsample


def picture_of(file: CoolFile, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What a picture's file decodes to, (H, W, 3)."""
    latents = decode(file, table)
    filters, synthesis, mix = networks_of(file)
    seen = [
        torch.from_numpy(values).float()
        for values, grid in zip(latents, file.grids, strict=True)
        if not grid.hyper
    ]
    drawn = functional.conv2d(synthesise(upsample(seen, filters), synthesis), *mix)
    samples: NDArray[np.uint8] = (drawn.clamp(0, 1) * 255).round()[0].byte().numpy()
    return samples.transpose(1, 2, 0)


@torch.no_grad()
def networks_of(file: CoolFile) -> tuple[GridFilters, GridSynthesis, Convolution]:
    """Upsampling, synthesis, and the mix of colours that comes last in their decoder.

    To be called once: it reads on in the file's parameters.
    """
    levels = sum(not grid.hyper for grid in file.grids)

    def read(shapes: Sequence[tuple[int, ...]], kind: int) -> list[Tensor]:
        flat = [
            [file.parameters.exp_golomb(file.orders[kind]) for _ in range(math.prod(shape))]
            for shape in shapes
        ]
        step = 2.0 ** -file.exponents[kind]
        return [
            torch.tensor(v, dtype=torch.float32).reshape(shape) * step
            for v, shape in zip(flat, shapes, strict=True)
        ]

    halves = read([(4,)] * 2 * (levels - 1), 0)
    # Biases that nothing adds.
    read([(1,)] * 2 * (levels - 1), 1)
    filters = GridFilters(tuple(halves[: levels - 1]), tuple(halves[levels - 1 :]))
    colours = file.layers[-1][0]
    shapes = [(colours, colours, 1, 1), (colours, levels, 1, 1)]
    inputs = levels
    for outputs, side in file.layers:
        shapes.append((outputs, inputs, side, side))
        inputs = outputs
    weights = read(shapes, 2)
    biases = read([shape[:1] for shape in shapes], 3)
    mix, branch, hidden, output, *residual = map(Convolution, weights, biases)
    return filters, GridSynthesis(hidden, output, tuple(residual), branch), mix
