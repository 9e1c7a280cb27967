from typing import Any

import numpy as np
from numpy.typing import NDArray

# Contiguous float64 in CPU memory, of any library that speaks DLPack; of torch, without gradient.
_Doubles = Any
_Found = NDArray[np.float64]

# Of all that follows: each result is one sum in a fixed order, so that neither the number of
# threads (1..1024) nor that of tokens changes a bit; the instruction set, which is the one
# `kodec.native.simd()` names, changes results by rounding. Arguments that are not as described
# raise InvalidInputError.

def keep_freed(most: int) -> int:
    """Keep at most so many bytes of freed memory, of this module's results and work, for the next.

    Returns what the limit was; 256 MiB at first. The system counts them as the process's.
    """

def token_product(
    x: _Doubles,
    weight: _Doubles,
    bias: _Doubles | None,
    curved: bool = False,
    plus: _Doubles | None = None,
    threads: int = 1,
) -> _Found:
    """x (P, inputs) times weight (outputs, inputs), with a bias (outputs,): (P, outputs).

    curved: GELU (by tanh) of that. plus: (P, outputs), added behind it.
    """

def token_gelu(x: _Doubles, threads: int = 1) -> _Found:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))): (n,) -> (n,), within 1e-15 of |x|."""

def token_magnitudes(x: _Doubles, threads: int = 1) -> _Found:
    """log(1 + |x|), and the same with x's sign: (P, C) -> (P, 2 C), of finite x within 1e-15."""

def depthwise(x: _Doubles, taps: _Doubles, bias: _Doubles, threads: int = 1) -> _Found:
    """Zero-padded depthwise convolution: (N, H, W, C) -> (N, H, W, C).

    taps: (k, k, C), k odd, to 63. bias: (C,).
    """

def depthwise_of_known(
    grid: _Doubles,
    margin: int,
    places: Any,
    phases: Any,
    phase: int,
    taps: _Doubles,
    bias: _Doubles,
    threads: int = 1,
) -> _Found:
    """The same of what is known so far, where it is wanted: (N, P, C).

    Args:
        grid: (N, H + 2 margin, W + 2 margin, C), zeros in the margin; where nothing is known it may
            hold anything.
        margin: at least k // 2.
        places: int64 (P,), row * W + column of what is wanted.
        phases: int64 (cell, cell), the phase of each position of a pattern that repeats.
        phase: positions of the phases before it are known.
        taps: (k, k, C), k odd. bias: (C,).
        threads: 1..1024.
    """

# Of these two every result is what the same operations one by one give, bit by bit, whatever the
# instruction set; but exp and log, which decide where `lagrangian` has close calls, are the C
# library's.

def laplace_symbols(
    y: Any,
    mean: _Doubles,
    log_scale: _Doubles,
    coded_from: float,
    log_smallest: float,
    lagrangian: float,
    threads: int = 1,
) -> _Found:
    """y - mean, rounded, halves to even numbers: all (n,), y float32 or float64.

    Where a log scale is below `coded_from`, 0. With lagrangian > 0 (squared steps per bit) one step
    towards zero where error^2 + lagrangian * bits of a Laplace distribution of that scale, at least
    exp(log_smallest), is smaller there. Differences from 2^51 on need not be whole numbers.
    """

def located(
    parameters: _Doubles,
    spread: _Doubles,
    log_spread: _Doubles,
    predicted: _Doubles | None = None,
    threads: int = 1,
) -> _Found:
    """Means and log scales (2, P, C) of relative ones, (P, 2 C) side by side.

    Means: times spread (C,), plus predicted (P, C). Log scales: plus log_spread (C,).
    """
