from typing import Any

import numpy as np
from numpy.typing import NDArray

# Contiguous float32 in CPU memory, of any library that speaks DLPack; of torch, without gradient.
_Floats = Any

def runs_layers() -> bool:
    """Whether this CPU has AVX2 with FMA, which the layers below are written for.

    False as well where the environment's KODEC_LAYERS is `off`, or the package was built without.

    Raises:
        InvalidInputError: KODEC_LAYERS names nothing that runs here.
    """

def layers_name() -> str:
    """The instruction set of the layers here and now: avx2, avx512, or off where there are none.

    The widest that the CPU has, or what KODEC_LAYERS says. All give the same bits.
    """

def keep_freed(most: int) -> int:
    """Keep at most so many bytes of freed memory, of this module's results and work, for the next.

    Returns what the limit was; 256 MiB at first. The system counts them as the process's.
    """

class Filters:
    """A convolution's weight as the core takes it, with a fingerprint of what it was made from.

    What comes with it takes up to seven times the weight's memory.
    """

    @staticmethod
    def of_taps(weight: _Floats, out_period: int = 1, source: _Floats | None = None) -> Filters:
        """For `convolution`, with the same out_period. source: see `is_of`; None for the weight.

        weight: (outputs, inputs, k, k). Raises as `convolution` does.
        """

    @staticmethod
    def of_tiles(
        weight: _Floats,
        period: int = 1,
        out_period: int = 1,
        source: _Floats | None = None,
        threads: int = 1,
    ) -> Filters:
        """For `minimal_filtering`, with the same periods; otherwise as `of_taps`.

        weight: (outputs, inputs, 3, 3). Raises as `minimal_filtering` does.
        """

    def is_of(self, source: _Floats) -> bool:
        """Whether these were made from `source`, four-dimensional: by 256 bits of all its bits."""

def convolution(
    x: _Floats,
    weight: _Floats | Filters,
    bias: _Floats,
    stride: int = 1,
    out_period: int = 1,
    slope: float = 1.0,
    plus: _Floats | None = None,
    last_slope: float = 1.0,
    affine: _Floats | None = None,
    gelu: bool = False,
    threads: int = 1,
) -> NDArray[np.float32]:
    """k x k convolution with zeros around: (N, H, W, inputs) -> (N, H', W', outputs).

    H' and W' are H / stride and W / stride, rounded up. With an out_period of 2 the results are
    phases of a picture of twice as many rows and columns, as `minimal_filtering`'s are. All
    float32, contiguous. The number of threads changes no bit.

    Args:
        x: (N, H, W, inputs).
        weight: (outputs * out_period^2, inputs, k, k), k odd, or the stride; or `Filters.of_taps`
            of such.
        bias: (outputs * out_period^2,).
        stride: 1..16.
        out_period: 1 or 2.
        slope: 0..1, what results are multiplied by where negative.
        plus: of the result's shape, added to that.
        last_slope: 0..1, what the sums are multiplied by where negative.
        affine: (2, outputs * out_period^2), scales and shifts of the results, before all of these.
        gelu: results pass through GELU, by tanh, in place of `slope`.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.
    """

def minimal_filtering(
    x: _Floats,
    weight: _Floats | Filters,
    bias: _Floats,
    period: int = 1,
    out_period: int = 1,
    slope: float = 1.0,
    plus: _Floats | None = None,
    last_slope: float = 1.0,
    affine: _Floats | None = None,
    gelu: bool = False,
    threads: int = 1,
) -> NDArray[np.float32]:
    """3x3 convolution of stride 1 with zeros around: (N, H, W, inputs) -> (N, H, W, outputs).

    With a period of 2 the pixels at even and odd rows and columns are channels of their own:
    those of channel c at rows 2 y + i and columns 2 x + j are channel (2 i + j) * inputs + c at
    (y, x); odd sides are filled up with zeros. With an out_period of 2 the result's are likewise,
    so that it has twice as many rows and columns as there are positions. All float32, contiguous.
    Results differ from direct convolution by rounding, some 2e-5 of the largest; the number of
    threads changes no bit.

    Args:
        x: (N, H, W, inputs).
        weight: (outputs * out_period^2, inputs * period^2, 3, 3), or `Filters.of_tiles` of such.
        bias: (outputs * out_period^2,).
        period: 1 or 2.
        out_period: 1 or 2.
        slope, plus, last_slope, affine, gelu, threads: as `convolution`'s.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """

def to_blocks(
    x: _Floats, side: int, matrix: _Floats | None = None, shift: float = 0.0, threads: int = 1
) -> NDArray[np.float32]:
    """x + shift in blocks: (N, C, H, W) -> (N, H / side, W / side, C side^2), float32.

    A block's elements lie by component, row, column.

    Args:
        x: (N, C, H, W), H and W multiples of `side`.
        side: 1..64.
        matrix: (side, side), side even: applied before across all inner boundaries of blocks, along
            rows and then down columns, to the half a block on each side. The edges stay.
        shift: added to x.
        threads: 1..1024, which changes no bit.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Lapped transform via time-domain pre- and post-filtering" (2003).
    """

def from_blocks(
    blocks: _Floats,
    side: int,
    matrix: _Floats | None = None,
    shift: float = 0.0,
    plus: _Floats | None = None,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Blocks as pixels, filtered, + shift, + plus: (N, h, w, C side^2) -> (N, C, side h, side w).

    plus: of the result's shape. Other arguments and errors: as `to_blocks`'.
    """

def filter_gradient(x: _Floats, gradient: _Floats, threads: int = 1) -> NDArray[np.float32]:
    """The gradient of a 3x3 convolution's weight: (outputs, inputs, 3, 3).

    The convolution is `minimal_filtering` with both periods 1, and so is the way there: results
    differ from direct sums by rounding. All float32, contiguous; the number of threads changes no
    bit.

    Args:
        x: (N, H, W, inputs), what it was given.
        gradient: (N, H, W, outputs), of what it gave.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Fast algorithms for convolutional neural networks" (2016).
    """

def place_filter(
    x: _Floats,
    taps: _Floats,
    clip: float,
    colour_taps: _Floats | None = None,
    guides: _Floats | None = None,
    colour_clips: tuple[float, float] = (1.0, 1.0),
    threads: int = 1,
) -> NDArray[np.float32]:
    """Pixels with what each place's kind says added to luma, and to colours: (3, H, W), float32.

    At each pixel that is, for luma, the differences of its 7x7 neighbours from it, and these
    clipped to +-clip, times the taps of its kind or kinds (`places`). With `guides`, for both
    colours the same of their 3x3 neighbours; and for each component how far it is from its
    regression on luma over 3x3 and 5x5 cells of 2x2 pixels, with clip^2 times 0.09 or 1 added to
    luma's variance, times weights. Kinds where all are zero take no time; the number of threads
    changes no bit.

    Args:
        x: (3, H, W) around [0, 1], sides even and above 0.
        taps: (48, 2, 7, 8), plain and clipped; the eighth of a row is ignored.
        clip: of luma's clipped differences.
        colour_taps: (48, 2, 3, 8), plain and clipped, of a row four of (red - blue) / sqrt(2) and
            four of (red - 2 green + blue) / sqrt(6), of which the last is ignored.
        guides: (48, 3, 4), luma's, then the colours' weights: 3x3 with both floors, 5x5 with both.
        colour_clips: of the colours' clipped differences.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Sources: "Adaptive loop filtering for video coding" (2013); "Guided image filtering" (2010).
    """

def places(x: _Floats, threads: int = 1) -> NDArray[np.float32]:
    """What kinds of place are told by, of each 2x2 pixels: (3, H/2, W/2), float32.

    The level of luma's spread (0 to 3), the highest near by, and the direction, from 1 (luma
    changes along rows alone) to -1 (along columns); whole numbers but beside bounds, where a place
    is of two kinds. The same bits as `kodec.models.deringing.places_of`.

    Args:
        x: (3, H, W) around [0, 1], sides even and above 0.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.
    """

def gelu(x: _Floats, affine: _Floats | None = None, threads: int = 1) -> NDArray[np.float32]:
    """GELU by tanh of x * scale + shift: (N, P, C) -> (N, P, C), all float32, contiguous.

    Equal to PyTorch's up to rounding; the number of threads changes no bit.

    Args:
        x: (N, P, C), P positions of C channels.
        affine: (N, 2, C), scale and shift of each channel; None for 1 and 0.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Gaussian error linear units" (2016).
    """

def gelu_gradient(
    x: _Floats, gradient: _Floats, affine: _Floats | None = None, threads: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Gradients of `gelu`'s x (N, P, C) and affine (N, 2, C), or None, from that of its result.

    Arguments, threads and errors: as `gelu`'s. gradient: (N, P, C).
    """

def divisive_normalisation(
    x: _Floats,
    gamma: _Floats,
    beta: _Floats,
    out: _Floats,
    inverse: bool = False,
    threads: int = 1,
) -> None:
    """x[i] / sqrt(beta[i] + sum_j gamma[i, j] x[j]^2), or times the root: (n, C) -> out (n, C).

    All float32, contiguous; out may be x. gamma: (C, C). beta: (C,). threads: 1..1024, which
    changes no bit.

    Raises:
        InvalidInputError: an argument is not so.
        UnsupportedError: not `runs_layers()`.

    Source: "Density modeling of images using a generalized normalization transformation" (2016).
    """
