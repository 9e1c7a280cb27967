"""Tensors of integers through a port, each under a zero-mean Laplace distribution of its own scale.

The scale is side information: the number of a log scale. Tables are the packaged ones.
"""

import math

import torch
from torch import Tensor

from kodec.entropy import SymbolPort
from kodec.entropy.located_laplace import FRACTION, HIGHEST, LOWEST, LocatedLaplace

LOG_SCALES = 64
MOST = 1 << 15
"""Of an integer, either way."""
_SPACING = (HIGHEST - LOWEST) // (LOG_SCALES - 1)


def laplace_of(number: int, shape: torch.Size) -> LocatedLaplace:
    """The distribution with log scale `number`, 0 to 63, of a block (1, ...)."""
    mean = torch.zeros(shape, dtype=torch.int64)
    return LocatedLaplace(mean, torch.full(shape, LOWEST + number * _SPACING), -MOST, MOST - 1)


def log_scale_of(values: Tensor) -> int:
    """The number of the log scale that suits the values best."""
    average = float(values.abs().double().mean()) if values.numel() else 0.0
    if not average:
        return 0
    usual = round(((math.log(average) * (1 << FRACTION)) - LOWEST) / _SPACING)
    near = range(usual - 6, usual + 7)
    numbers = sorted({min(max(n, 0), LOG_SCALES - 1) for n in near})
    return min(numbers, key=lambda number: laplace_bits_of(values, number))


def laplace_bits_of(values: Tensor, number: int) -> float:
    """Bits of the values under log scale `number`."""
    block = values.reshape(1, -1).double()
    return float(laplace_of(number, block.shape).bits(block).sum())


def code_laplace(port: SymbolPort, name: str, values: Tensor | None, shape: torch.Size) -> Tensor:
    """Pass integers of `shape` through the port, -2^15 to 2^15 - 1; int64."""
    flat = torch.Size((1, shape.numel()))
    given, number = None, None
    if values is not None:
        given = values.reshape(flat).double()
        number = torch.tensor([[log_scale_of(values)]])
    chosen = port.integers(f"{name}.scale", number, LOG_SCALES, torch.Size((1, 1)))
    coded = port.code(name, given, laplace_of(int(chosen[0, 0]), flat))
    return coded.reshape(shape).to(torch.int64)
