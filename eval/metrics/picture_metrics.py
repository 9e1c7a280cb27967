"""PSNR and MS-SSIM of arrays. `metric_set.py` has the names of results files and what they mean."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim as _torch_ms_ssim

from kodec.native import InvalidInputError

MS_SSIM_SMALLEST_SIDE = 161  # an 11-tap window must fit at the fifth scale: side > 10 * 2**4


_SAMPLES_AT_A_TIME = 1 << 20


def psnr(a: NDArray[Any], b: NDArray[Any], max_value: int | None = None) -> float:
    """PSNR of two pictures in dB, infinite when they are identical.

    Both are uint8 or uint16, HxWxC or HxW, of one shape and type. The mean squared error is taken
    over all samples, in float64. `max_value` is the largest sample value: 255 for uint8; for
    uint16 it must be given, as samples of 10, 12 and 16 bits look alike.

    Raises InvalidInputError for other types or shapes, and uint16 without `max_value`.
    """
    _check_pair(a, b)
    if max_value is None:
        if a.dtype != np.uint8:
            raise InvalidInputError(
                "PSNR of uint16 pictures needs max_value, for instance 1023 or 65535"
            )
        max_value = 255
    if max_value <= 0:
        raise InvalidInputError(f"PSNR: max_value must be positive, not {max_value}")
    return psnr_of_error(mean_squared_error(a, b), max_value)


def mean_squared_error(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The mean over all samples of the squared difference, in float64."""
    # Some rows at a time: of a large picture as float64 the process would grow by a gigabyte.
    rows = max(1, _SAMPLES_AT_A_TIME * len(a) // max(1, a.size))
    total = 0.0
    for top in range(0, len(a), rows):
        some = a[top : top + rows].astype(np.float64) - b[top : top + rows]
        total += float(np.square(some, out=some).sum())
    return total / a.size


def psnr_of_error(error: float, max_value: float) -> float:
    """PSNR in dB of a mean squared error; infinite at 0."""
    return math.inf if error == 0 else 10 * math.log10(max_value**2 / error)


def yuv_psnrs(errors: Sequence[float], max_value: float) -> dict[str, float]:
    """PSNRs of a YUV picture from the mean squared errors of Y, U and V; of Y alone when gray.

    Different figures go by the name YUV-PSNR, so each has its own here:

    - `psnr-yuv-611`: (6 Y + U + V) / 8 of the dB values: the DCVC family, x265;
    - `psnr-yuv-411`: (4 Y + U + V) / 6 of the dB values: CompressAI;
    - `psnr-yuv-mse-411`: the PSNR of (4 Y + U + V) / 6 of the squared errors: VTM, HM and VVenC
      for 4:2:0;
    - `psnr-yuv-mse-111`: the PSNR of their plain mean: VTM for 4:4:4.
    """
    values = [psnr_of_error(error, max_value) for error in errors]
    if len(values) == 1:
        return {"psnr-y": values[0]}
    (y, u, v), (error_y, error_u, error_v) = values, errors
    return {
        "psnr-y": y,
        "psnr-u": u,
        "psnr-v": v,
        "psnr-yuv-611": (6 * y + u + v) / 8,
        "psnr-yuv-411": (4 * y + u + v) / 6,
        "psnr-yuv-mse-411": psnr_of_error((4 * error_y + error_u + error_v) / 6, max_value),
        "psnr-yuv-mse-111": psnr_of_error((error_y + error_u + error_v) / 3, max_value),
    }


def ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """MS-SSIM of two 8-bit pictures, in [0, 1], 1 when they are identical.

    HxWx3, or gray as HxW or HxWx1; five scales, an 11-tap Gaussian window, data range 255, float32.
    "Multi-scale structural similarity for image quality assessment" (Wang, Simoncelli, Bovik,
    2003), as in pytorch-msssim.

    Raises InvalidInputError for other types or shapes, and for sides below 161 pixels, where five
    scales do not fit.
    """
    _check_pair(a, b)
    if a.dtype != np.uint8:
        raise InvalidInputError(f"MS-SSIM takes uint8 pictures, not {a.dtype}")
    if not fits_ms_ssim(a):
        raise InvalidInputError(
            f"MS-SSIM needs both sides of a picture to be at least {MS_SSIM_SMALLEST_SIDE} pixels "
            f"for its five scales, not {a.shape[1]}x{a.shape[0]}"
        )
    return _ms_ssim(_to_tensor(a), _to_tensor(b), 255)


def ms_ssim_of_plane(a: NDArray[Any], b: NDArray[Any], max_value: float) -> float:
    """MS-SSIM of two planes (H, W) of any sample type, as `ms_ssim` computes it.

    Raises InvalidInputError for planes of different shapes, or smaller than 161 pixels.
    """
    if a.shape != b.shape or a.ndim != 2 or not fits_ms_ssim(a):
        raise InvalidInputError(
            f"MS-SSIM needs two planes of one shape, {MS_SSIM_SMALLEST_SIDE} pixels or more a "
            f"side, not {a.shape} and {b.shape}"
        )
    return _ms_ssim(_to_tensor(a), _to_tensor(b), max_value)


def ms_ssim_db(value: float) -> float:
    """MS-SSIM on a decibel scale, -10 log10(1 - value); infinite at 1.

    Raises InvalidInputError outside of [0, 1].
    """
    if not 0 <= value <= 1:
        raise InvalidInputError(f"MS-SSIM lies in [0, 1], not {value}")
    return math.inf if value == 1 else -10 * math.log10(1 - value)


def fits_ms_ssim(picture: NDArray[Any]) -> bool:
    """Whether a picture (H, W, ...) is large enough for the five scales of MS-SSIM."""
    return min(picture.shape[:2]) >= MS_SSIM_SMALLEST_SIDE


def _ms_ssim(a: torch.Tensor, b: torch.Tensor, max_value: float) -> float:
    with torch.inference_mode():
        value = float(_torch_ms_ssim(a, b, data_range=max_value))
    return min(value, 1.0)  # float32 rounds identical pictures to a little above


def _to_tensor(picture: NDArray[Any]) -> torch.Tensor:
    planes = picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1)
    return torch.from_numpy(planes.astype(np.float32)).unsqueeze(0)


def _check_pair(a: NDArray[Any], b: NDArray[Any]) -> None:
    if a.dtype not in (np.uint8, np.uint16) or b.dtype != a.dtype:
        raise InvalidInputError(
            f"pictures to compare must both be uint8 or both uint16, not {a.dtype} and {b.dtype}"
        )
    if a.shape != b.shape:
        raise InvalidInputError(f"pictures to compare differ in shape: {a.shape} and {b.shape}")
    if a.ndim not in (2, 3) or a.size == 0:
        raise InvalidInputError(f"a picture is HxWxC or HxW, not of shape {a.shape}")
