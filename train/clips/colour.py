"""Windows of clips as RGB, by the matrix and range that their file states."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.sequences.frames import Frame, VideoFormat

IDENTITY, UNSPECIFIED = 0, 2

# Kr and Kb by H.273 matrix code: BT.709-6 (2015), item 3.2; BT.601-7 (2011), item 2.5.1;
# BT.2020-2 (2015), table 4, non-constant luminance.
_WEIGHTS = {
    1: (0.2126, 0.0722),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    9: (0.2627, 0.0593),
}
# What is no larger and says no matrix is taken for BT.601, as players do.
_HIGH_DEFINITION = 720


def stated_colour(colour: Colour, form: VideoFormat) -> Colour | None:
    """The colour with a matrix that `rgb_of_frames` knows; None where it is another."""
    matrix = colour.matrix
    if form.chroma == "400" or matrix == UNSPECIFIED:
        matrix = 1 if form.height >= _HIGH_DEFINITION else 6
    if matrix not in _WEIGHTS and not (matrix == IDENTITY and form.chroma == "444"):
        return None
    return Colour(colour.primaries, colour.transfer, matrix, colour.full_range)


def rgb_of_frames(
    frames: Sequence[Frame], colour: Colour, bit_depth: int, box: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """A part of frames as RGB (T, 3, H, W) in [0, 1], chroma repeated up, clipped.

    frames: planes Y, U, V, or G, B, R of matrix 0, or Y alone. box: top, left, height and width,
    the first two multiples of what chroma is subsampled by.
    """
    top, left, height, width = box
    planes = []
    for number, first in enumerate(frames[0]):
        down = -(-frames[0][0].shape[0] // first.shape[0])
        across = -(-frames[0][0].shape[1] // first.shape[1])
        rows = slice(top // down, -(-(top + height) // down))
        columns = slice(left // across, -(-(left + width) // across))
        part = np.stack([frame[number][rows, columns] for frame in frames]).astype(np.float32)
        planes.append(part.repeat(down, 1).repeat(across, 2)[:, :height, :width])
    high = 2.0**bit_depth - 1
    step = 2.0 ** (bit_depth - 8)
    offset, luma, chroma = (
        (0.0, high, high) if colour.full_range else (16 * step, 219 * step, 224 * step)
    )
    y = (planes[0] - offset) / luma
    if len(planes) == 1:
        rgb = [y, y, y]
    elif colour.matrix == IDENTITY:
        rgb = [(planes[2] - offset) / luma, y, (planes[1] - offset) / luma]
    else:
        red, blue = _WEIGHTS[colour.matrix]
        u, v = ((plane - 128 * step) / chroma for plane in planes[1:])
        r, b = y + (2 - 2 * red) * v, y + (2 - 2 * blue) * u
        rgb = [r, (y - red * r - blue * b) / (1 - red - blue), b]
    return np.asarray(np.stack(rgb, axis=1).clip(0, 1), np.float32)
