from typing import Any

import numpy as np
from numpy.typing import NDArray

# Contiguous in CPU memory, of any library that speaks DLPack: uint8, or int16 for vectors.
_Bytes = Any
_Vectors = Any

def search(
    current: _Bytes,
    reference: _Bytes,
    bit_cost: int = 64,
    reach: int = 64,
    precision: int = 4,
    splits: bool = True,
    threads: int = 1,
    hints: _Vectors | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Where the reference has what is in the current picture, block by block.

    Blocks of 16x16 pixels, in rows; those at the right and lower edge may hang over it. Whole
    pixels by sums of absolute differences: the best of zero, the neighbours' vectors and the hints,
    then hexagons, then the square around. Halves and quarters by Hadamard transforms, on half-pixel
    planes and means of them. A block is divided where differences and bits together become less.
    Vectors are priced as signed Exp-Golomb codes of the difference from the median of neighbours.
    They bring a block at most 24 pixels beyond the border. The number of threads and KODEC_SIMD
    change nothing.

    Args:
        current, reference: (H, W), luma, sides 1..32768.
        bit_cost: of a bit of vectors, in sixteenths of a grey level of difference, 0..16384.
        reach: pixels down and right that vectors may go, 1..2047.
        precision: parts of a pixel, 1, 2 or 4.
        splits: whether blocks may be divided.
        threads: 1..1024.
        hints: (N, 2 ceil(H / 16), 2 ceil(W / 16), 2), int16: N fields of vectors to begin from, of
            each block its first cell's; any are valid.

    Returns:
        vectors: (2 ceil(H / 16), 2 ceil(W / 16), 2), down and right in quarters of a pixel, of
            cells of 8x8 pixels: where a cell's match lies in the reference, seen from the cell.
        splits: (ceil(H / 16), ceil(W / 16)), of each block: 0 none, 1 upper and lower half,
            2 left and right half, 3 quarters.

    Raises:
        InvalidInputError: an argument is not so.

    Source: hexagons from "Hexagon-based search pattern for fast block motion estimation" (2002).
    """

def compensate(
    planes: _Bytes, vectors: _Vectors, cell: int = 8, overlap: bool = True, threads: int = 1
) -> NDArray[np.uint8]:
    """Planes (N, H, W) moved by the vectors of their cells: a prediction, (N, H, W).

    Any vectors are valid, a file's too: beyond the border its samples repeat without end. Quarters
    of a pixel by the eight-tap luma filters of H.265 (2013), rounded once. Where cells overlap, a
    prediction reaches half a cell beyond its cell and fades there, as a raised cosine in 16ths. All
    in integers; the number of threads and KODEC_SIMD change nothing.

    Args:
        planes: sides 1..32768, any number of components of one size.
        vectors: (16 / cell * ceil(H / 16), 16 / cell * ceil(W / 16), 2), int16, as `search`'s.
        cell: 8 or 16, the side of a cell.
        overlap: whether predictions overlap.
        threads: 1..1024.

    Raises:
        InvalidInputError: an argument is not so.

    Source: "Overlapped block motion compensation: an estimation-theoretic approach" (1994).
    """

def average(a: _Bytes, b: _Bytes) -> NDArray[np.uint8]:
    """The mean of two predictions (N, H, W), rounded up.

    Raises:
        InvalidInputError: not two such arrays of one shape.
    """

def luma(rgb: _Bytes) -> NDArray[np.uint8]:
    """What `search` takes, of planes of red, green and blue: (3, H, W) -> (H, W).

    BT.709's weights in 256ths, rounded.

    Raises:
        InvalidInputError: not such an array.
    """
