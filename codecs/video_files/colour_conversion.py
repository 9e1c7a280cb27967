"""RGB to YUV and back, with the matrix and the range named, and 4:2:0 chroma."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Matrix = Literal["bt709", "bt601"]

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
"""Kr and Kb by the code point of the matrix: ITU-T H.273 (2021), table 4."""
_WEIGHTS: dict[Matrix, tuple[float, float]] = {"bt709": LUMA_WEIGHTS[1], "bt601": LUMA_WEIGHTS[6]}


def rgb_to_yuv(
    rgb: NDArray[np.uint8], matrix: Matrix = "bt709", full_range: bool = True, bit_depth: int = 8
) -> NDArray[np.float64]:
    """8-bit RGB (H, W, 3) as Y, U, V (H, W, 3) in code values of `bit_depth`, not rounded.

    Full range: Y in [0, 2^b - 1], chroma about 2^(b-1). Limited range: Y in [16, 235] * 2^(b-8),
    chroma in [16, 240] * 2^(b-8).
    """
    red, blue = _WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb.astype(np.float64) / 255, 2, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    luma, offset, chroma, middle = scales(full_range, bit_depth)
    return np.stack([offset + luma * y, middle + chroma * u, middle + chroma * v], axis=2)


def yuv_to_rgb(
    yuv: NDArray[Any], matrix: Matrix = "bt709", full_range: bool = True, bit_depth: int = 8
) -> NDArray[np.uint8]:
    """Y, U, V (H, W, 3) in code values of `bit_depth` as 8-bit RGB (H, W, 3), rounded, clipped."""
    red, blue = _WEIGHTS[matrix]
    luma, offset, chroma, middle = scales(full_range, bit_depth)
    y, u, v = np.moveaxis(yuv.astype(np.float64), 2, 0)
    y, u, v = (y - offset) / luma, (u - middle) / chroma, (v - middle) / chroma
    r, b = y + (2 - 2 * red) * v, y + (2 - 2 * blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.asarray(np.rint(255 * np.clip(np.stack([r, g, b], axis=2), 0, 1)), np.uint8)


def quantised(plane: NDArray[np.float64], bit_depth: int) -> NDArray[Any]:
    """Code values rounded and clipped to `bit_depth`: uint8, or uint16 above 8 bits."""
    kind = np.uint8 if bit_depth == 8 else np.uint16
    return np.clip(np.rint(plane), 0, 2**bit_depth - 1).astype(kind)


def halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plane of even sides at half its size: means of 2x2 samples, so sited at their centre."""
    height, width = plane.shape
    return np.asarray(plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)))


def doubled(plane: NDArray[Any]) -> NDArray[np.float64]:
    """A plane at twice its size, linearly between samples sited as `halved` leaves them."""
    for axis in (0, 1):
        samples = np.moveaxis(plane.astype(np.float64), axis, 0)
        padded = np.concatenate([samples[:1], samples, samples[-1:]])
        near, before, after = padded[1:-1], padded[:-2], padded[2:]
        both = np.stack([0.75 * near + 0.25 * before, 0.75 * near + 0.25 * after], axis=1)
        plane = np.moveaxis(both.reshape(-1, *samples.shape[1:]), 0, axis)
    return np.asarray(plane)


def scales(full_range: bool, bit_depth: int) -> tuple[float, float, float, float]:
    """Luma's scale and offset, chroma's scale and middle, in code values of `bit_depth`."""
    if full_range:
        return 2**bit_depth - 1, 0, 2**bit_depth - 1, 2 ** (bit_depth - 1)
    step = 2.0 ** (bit_depth - 8)
    return 219 * step, 16 * step, 224 * step, 128 * step
