"""Frames as the RGB that models take, and back, the same bits on every machine.

Every operation is one of IEEE 754 on single numbers, in an order that is fixed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kodec.native import InvalidInputError, UnsupportedError

from .colour_conversion import LUMA_WEIGHTS, scales
from .frames import Frame, VideoFormat

_UNKNOWN = (2, 3)
"""Code points of the matrix that say nothing: unspecified and reserved."""
_HD_HEIGHT = 720
_BT709, _BT601, _IDENTITY = 1, 6, 0
# A few rows at a time, so that all of a step stays in a core's cache.
_STRIP_SAMPLES = 1 << 15


def matrix_of(form: VideoFormat) -> int:
    """The matrix that frames are meant in, by its code point (ITU-T H.273).

    An unspecified one is BT.709 from 720 rows on and BT.601 below, as players take it; gray's is
    always BT.709. Raises UnsupportedError for a matrix of another kind, such as ICtCp.
    """
    matrix = form.colour.matrix
    if form.is_rgb:
        return _IDENTITY
    if form.chroma == "400":
        return _BT709
    if matrix in _UNKNOWN:
        return _BT709 if form.height >= _HD_HEIGHT else _BT601
    if matrix not in LUMA_WEIGHTS:
        raise UnsupportedError(
            f"colours by matrix {matrix} of ITU-T H.273 are not converted to RGB and back: BT.601, "
            "BT.709, BT.2020 (not of constant luminance) and RGB are; convert the video first"
        )
    return matrix


def rgb_of_frame(frame: Frame, form: VideoFormat) -> NDArray[np.float32]:
    """A frame as R, G, B (3, H, W) in [0, 1]: float32, by the stream's matrix and range.

    Chroma is repeated up; what lies beyond [0, 1] is clipped. Raises UnsupportedError
    as `matrix_of`.
    """
    matrix = matrix_of(form)
    luma, offset, chroma, middle = scales(form.colour.full_range, form.bit_depth)
    codes = np.arange(2**form.bit_depth, dtype=np.float64)
    light = (codes - offset) / luma
    out = np.empty((3, form.height, form.width), np.float32)
    if matrix == _IDENTITY:
        for channel, plane in zip((1, 2, 0), frame, strict=True):
            out[channel] = _looked_up(np.clip(light, 0, 1).astype(np.float32), plane)
        return out
    if form.chroma == "400":
        out[:] = _looked_up(np.clip(light, 0, 1).astype(np.float32), frame[0])
        return out
    red, blue = LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    shift = (codes - middle) / chroma
    # What U and V add to R, G and B.
    to_red, to_blue = (2 - 2 * red) * shift, (2 - 2 * blue) * shift
    green_of_u, green_of_v = -(blue / green) * to_blue, -(red / green) * to_red
    down, across = form.steps
    for top, bottom in _strips(form, down):
        y = _looked_up(light, frame[0][top:bottom])
        u, v = (plane[top // down : -(-bottom // down)] for plane in frame[1:])
        green_added = _looked_up(green_of_u, u) + _looked_up(green_of_v, v)
        all_added = _looked_up(to_red, v), green_added, _looked_up(to_blue, u)
        for channel, added in enumerate(all_added):
            if across > 1:
                added = np.repeat(added, across, axis=1)[:, : form.width]
            for row in range(down):
                part = y[row::down] + added[: len(y[row::down])]
                np.clip(part, 0, 1, out=part)
                out[channel, top + row : bottom : down] = part
    return out


def frame_of_rgb(rgb: NDArray[Any], form: VideoFormat) -> Frame:
    """R, G, B (3, H, W), about [0, 1], as a frame: the inverse of `rgb_of_frame`.

    Chroma is the mean of the samples that share it (at odd sides, of those there are, the last one
    counted twice). Code values are the nearest, halves up, clipped to the bit depth. Raises
    InvalidInputError for another shape, UnsupportedError as `matrix_of`.
    """
    matrix = matrix_of(form)
    if rgb.shape != (3, form.height, form.width):
        raise InvalidInputError(
            f"RGB of shape {rgb.shape} is no frame of {form.width}x{form.height}: it has "
            f"{(3, form.height, form.width)}"
        )
    luma, offset, chroma, middle = scales(form.colour.full_range, form.bit_depth)
    peak = 2**form.bit_depth - 1
    kind = np.uint8 if form.bit_depth == 8 else np.uint16
    planes = tuple(np.empty(shape, kind) for shape in form.plane_shapes)
    weights = LUMA_WEIGHTS.get(matrix, LUMA_WEIGHTS[_BT709])
    of_luma = weights[0], 1 - weights[0] - weights[1], weights[1]
    # U and V are B and R without luma, as weights of R, G and B.
    of_u = [(float(i == 2) - of_luma[i]) / (2 - 2 * weights[1]) for i in range(3)]
    of_v = [(float(i == 0) - of_luma[i]) / (2 - 2 * weights[0]) for i in range(3)]
    down, across = form.steps
    for top, bottom in _strips(form, down):
        pixels = [_clipped(plane[top:bottom]) for plane in rgb]
        if matrix == _IDENTITY:
            for plane, channel in zip(planes, (1, 2, 0), strict=True):
                _store(plane[top:bottom], luma * pixels[channel] + offset, peak)
            continue
        _store(planes[0][top:bottom], _mixed(pixels, of_luma, luma, offset), peak)
        if len(planes) == 1:
            continue
        pixels = [_mean(plane, down, across) for plane in pixels]
        rows = slice(top // down, -(-bottom // down))
        _store(planes[1][rows], _mixed(pixels, of_u, chroma, middle), peak)
        _store(planes[2][rows], _mixed(pixels, of_v, chroma, middle), peak)
    return planes


def _looked_up(table: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
    # Files may hold code values above what their bit depth allows.
    return table.take(codes, mode="clip")


def _strips(form: VideoFormat, down: int) -> Iterator[tuple[int, int]]:
    rows = max(down, _STRIP_SAMPLES // form.width // down * down)
    return ((top, min(top + rows, form.height)) for top in range(0, form.height, rows))


def _clipped(plane: NDArray[Any]) -> NDArray[np.float64]:
    samples = plane.astype(np.float64)
    return np.clip(samples, 0, 1, out=samples)


def _mixed(
    pixels: list[NDArray[np.float64]], weights: Any, scale: float, offset: float
) -> NDArray[np.float64]:
    mixed = (scale * weights[0]) * pixels[0]
    mixed += (scale * weights[1]) * pixels[1]
    mixed += (scale * weights[2]) * pixels[2]
    mixed += offset
    return np.asarray(mixed)


def _mean(plane: NDArray[np.float64], down: int, across: int) -> NDArray[np.float64]:
    if down > 1:
        plane = (plane[::2] + _second(plane, 0)) / 2
    if across > 1:
        plane = (plane[:, ::2] + _second(plane, 1)) / 2
    return plane


def _second(plane: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Of each two rows or columns the second one, or the last of all."""
    if plane.shape[axis] % 2:
        plane = np.concatenate([plane, plane[-1:] if axis == 0 else plane[:, -1:]], axis=axis)
    return plane[1::2] if axis == 0 else plane[:, 1::2]


def _store(plane: NDArray[Any], codes: NDArray[np.float64], peak: int) -> None:
    codes += 0.5
    np.clip(codes, 0, peak, out=codes)
    plane[...] = codes
