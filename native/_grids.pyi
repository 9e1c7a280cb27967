from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Contiguous float32 in CPU memory, of any library that speaks DLPack; of torch, without gradient.
_Floats = Any
# Weight (outputs, inputs), bias (outputs,), whether the input is added, and what follows: None,
# "relu", "gelu", or an array (2, n), n to 64: the sum of growth (row 1) times max(0, x - knot (row
# 0)).
_Layer = tuple[_Floats, _Floats, bool, Any]
_Found = NDArray[np.float32]

# Of all that follows: the number of threads (1..1024) changes no bit; the instruction set, which is
# the one `kodec.native.simd()` names, changes results by rounding. Arguments that are not as
# described raise InvalidInputError.

def run_network(
    x: _Floats, layers: Sequence[_Layer], branch: _Layer | None = None, threads: int = 1
) -> tuple[_Found, _Found | None]:
    """A network at each position: (inputs, P) -> (outputs, P), and beside it the branch's.

    Args:
        x: (inputs, P).
        layers: 1 to 8, one after the other, of 1 to 256 inputs and outputs each. After the last
            there may be nothing or "relu".
        branch: from x too, with as many outputs, neither residual nor activated.
        threads: 1..1024.
    """

def network_gradient(
    x: _Floats,
    layers: Sequence[_Layer],
    branch: _Layer | None,
    gradient: _Floats,
    branch_gradient: _Floats | None,
    of_x: bool = True,
    threads: int = 1,
) -> tuple[_Found | None, _Found]:
    """Gradients of x (inputs, P), if asked for, and of weights, from those of `run_network`'s.

    Weights' lie one behind the other: each layer's weight, then its bias; the branch's last.
    gradient, branch_gradient: (outputs, P).
    """

def context_rate(
    grids: Sequence[_Floats],
    features: Sequence[_Floats | None],
    offsets: Any,
    layers: Sequence[_Layer],
    branch: _Layer | None,
    coding: _Floats,
    charges: _Floats | None = None,
    positions: bool = False,
    threads: int = 1,
) -> tuple[list[float], Any]:
    """Bits of each grid, by a network of the contexts of each of its positions.

    Behind them: with `positions`, a list of the grids' arrays (h, w) of bits; else with charges
    (gradients of grids, gradients of features or None each, gradient of all weights, as
    `network_gradient`'s), of the sum of all bits times their grid's charge; else None.

    Args:
        grids: (h, w) each.
        features: of each grid (F, ceil(h / 2), ceil(w / 2)), each value for 2 x 2 positions; None
            for zeros.
        offsets: int32 (contexts, 2), rows and columns from a position to its contexts, within +-64;
            outside the grid there are zeros.
        layers: from contexts, then features, to a mean and a log scale, nothing after the last.
        branch: from the same inputs, added to what layers give; or None.
        coding: (4,): what is added to log scales, their lowest and highest value (within +-40), and
            the most bits (at most 100) that a value costs: beyond there are no gradients. A value's
            probability is the Laplace distribution's over the unit interval around it.
        charges: (grids,).
        positions: asks for each position's bits.
        threads: 1..1024.
    """

def small_convolution(
    x: _Floats,
    weight: _Floats,
    bias: _Floats,
    residual: bool = False,
    rectified: bool = False,
    threads: int = 1,
) -> _Found:
    """k x k convolution, edges repeated: (inputs, H, W) -> (outputs, H, W).

    Args:
        x: (inputs, H, W), 1 to 256 inputs.
        weight: (outputs, inputs, k, k), k odd, at most 15.
        bias: (outputs,).
        residual: x is added.
        rectified: ReLU behind.
        threads: 1..1024.
    """

def small_convolution_gradient(
    x: _Floats,
    weight: _Floats,
    out: _Floats,
    gradient: _Floats,
    residual: bool = False,
    rectified: bool = False,
    of_x: bool = True,
    threads: int = 1,
) -> tuple[_Found | None, _Found]:
    """Gradients of x, if asked for, and of weight and bias, one behind the other, in one row.

    out: what `small_convolution` gave; gradient: of it, of the same shape.
    """

def build_pyramid(
    grids: Sequence[_Floats],
    upsampling: _Floats,
    refinement: _Floats,
    residual: bool = True,
    threads: int = 1,
) -> list[_Found]:
    """Stacks (grids from this one on, h, w) of each grid's size; the first is what is wanted.

    Each grid but the coarsest is filtered by its refinement (zeros around; itself added if
    `residual`), then comes the next grid's stack at twice its size, or one row or column less. What
    is at x there goes to 2 x + t - K / 2 + 1 by tap t, edges repeated. Filters are applied along
    rows and along columns.

    Args:
        grids: (h, w) each, finest first, each with half the sides of the one before, rounded up.
        upsampling: (grids - 1, K), K even, 2 to 16.
        refinement: (grids - 1, T), T odd, 1 to 15.
        residual: see above.
        threads: 1..1024.
    """

def pyramid_gradient(
    grids: Sequence[_Floats],
    upsampling: _Floats,
    refinement: _Floats,
    residual: bool,
    stacks: Sequence[_Floats | None],
    gradient: _Floats,
    threads: int = 1,
) -> tuple[list[_Found], _Found, _Found]:
    """Gradients of grids, upsampling and refinement from that of the finest stack.

    stacks: what `build_pyramid` gave; the finest is not looked at and may be None.
    """

def stack_grids(
    grids: Sequence[_Floats], times: Sequence[int], height: int, width: int, threads: int = 1
) -> _Found:
    """(grids, height, width): grids whose sides are doubled `times` times by nearest neighbour.

    grids: (h, w) each, h = ceil(height / 2^times), likewise w; times: 0..24.
    """

def stack_gradient(
    grids: Sequence[_Floats], times: Sequence[int], gradient: _Floats, threads: int = 1
) -> list[_Found]:
    """Gradients of grids from that of `stack_grids`' result."""

def soft_round(
    x: _Floats,
    noise: _Floats,
    gain: float,
    temperature: float,
    with_slope: bool = False,
    threads: int = 1,
) -> tuple[_Found, _Found | None]:
    """r(r(x gain) + noise), (n,), and its derivative by x, if asked for.

    r(x) = floor(x) + 1/2 + tanh(d / temperature) / (2 tanh(1 / (2 temperature))), d = x - floor(x)
    - 1/2. temperature: 0.01 to 1000.
    """
