"""What is minimised, in training and in fitting: bits per pixel + lambda x distortion."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor

from kodec.native import InvalidInputError

from .container.head_fields import MAX_QUALITY

HIGHEST_QUALITY = MAX_QUALITY
SMALLEST_FOR_SSIM = 11
SMALLEST_FOR_MS_SSIM = 161
MAX_NAME = 1_000


def _squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).square().mean(dim=(1, 2, 3)) * 255**2


def _absolute_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).abs().mean(dim=(1, 2, 3))


def _dissimilarity(x: Tensor, x_hat: Tensor, scales: Callable[..., Tensor], least: int) -> Tensor:
    if min(x.shape[-2:]) < least:
        what = "MS-SSIM" if scales is ms_ssim else "SSIM"
        raise InvalidInputError(
            f"{what} needs crops and pictures of {least} pixels or more each way, not "
            f"{x.shape[-1]}x{x.shape[-2]}: take larger ones (in training: data.crop), or mse"
        )
    # Its filters are convolutions, and variances differences of what they give.
    with torch.autocast(x.device.type, enabled=False):
        return 1 - scales(x_hat.clamp(0, 1), x, data_range=1.0, size_average=False)


def _ms_ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    return _dissimilarity(x, x_hat, ms_ssim, SMALLEST_FOR_MS_SSIM)


def _l1_ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    structure = _dissimilarity(x, x_hat, ssim, SMALLEST_FOR_SSIM)
    return 0.7 * _absolute_error(x, x_hat) + 0.3 * structure


def _l1_ms_ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    return 0.7 * _absolute_error(x, x_hat) + 0.3 * _ms_ssim(x, x_hat)


def _spectral_error(x: Tensor, x_hat: Tensor) -> Tensor:
    spectrum = torch.view_as_real(torch.fft.fft2(x.float() - x_hat.float()))
    return spectrum.abs().mean(dim=(1, 2, 3, 4))


def _frequency(x: Tensor, x_hat: Tensor) -> Tensor:
    return 60 * _l1_ms_ssim(x, x_hat) + _spectral_error(x, x_hat)


def _frequency_ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    return 60 * _l1_ssim(x, x_hat) + _spectral_error(x, x_hat)


DISTORTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": _squared_error,
    "ms-ssim": _ms_ssim,
    "l1-ssim": _l1_ssim,
    "l1-ms-ssim": _l1_ms_ssim,
    "frequency": _frequency,
    "frequency-ssim": _frequency_ssim,
}
"""By name, functions of pixels (N, 3, H, W) in [0, 1] and their reconstruction; each (N,).

mse: 255^2 times the mean squared error. ms-ssim: 1 - MS-SSIM. l1-ssim: 0.7 L1 + 0.3 (1 - SSIM)
("NeRV: Neural representations for videos", 2021). l1-ms-ssim: the same with MS-SSIM. frequency: 60
times that + L1 of the spectrum ("Boosting neural representations for videos with a conditional
decoder", 2024), and frequency-ssim with l1-ssim in its place, for small pictures.
"""


def check_distortion(name: str) -> None:
    """Refuse, with `InvalidInputError`, a distortion that there is none by this name."""
    if name not in DISTORTIONS:
        raise InvalidInputError(f"distortion is one of {', '.join(DISTORTIONS)}, not {name!r}")


@dataclass(frozen=True)
class Objective:
    """What a model was trained for: bits per pixel + lambda x distortion.

    distortion: its name, see `DISTORTIONS`; files may name others. lambda_low, lambda_high: lambda
    at the lowest and the highest quality, geometric between them; equal for a fixed rate. Raises
    `InvalidInputError` unless 0 < lambda_low <= lambda_high.
    """

    distortion: str
    lambda_low: float
    lambda_high: float

    def __post_init__(self) -> None:
        named = isinstance(self.distortion, str) and self.distortion.isprintable()
        if not (named and 0 < len(self.distortion) <= MAX_NAME):
            raise InvalidInputError(f"a distortion has a name of 1 to {MAX_NAME} characters")
        lambdas = (self.lambda_low, self.lambda_high)
        if not (
            all(isinstance(value, float) for value in lambdas)
            and 0 < self.lambda_low <= self.lambda_high < math.inf
        ):
            raise InvalidInputError("lambdas need 0 < lambda_low <= lambda_high")

    def lambdas(self, quality: Tensor) -> Tensor:
        """Lambda (N,) of qualities (N,) in [0, 63]."""
        ratio = self.lambda_high / self.lambda_low
        return self.lambda_low * ratio ** (quality / HIGHEST_QUALITY)

    def lambda_at(self, quality: int | None) -> float:
        """Lambda at one quality; None: of a fixed rate."""
        q = HIGHEST_QUALITY if quality is None else quality
        return float(self.lambdas(torch.tensor(float(q), dtype=torch.float64)))

    def distortions(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Distortion (N,) of pixels (N, 3, H, W) in [0, 1].

        Raises `InvalidInputError` for a distortion that this version has not, and for pictures too
        small for it.
        """
        check_distortion(self.distortion)
        return DISTORTIONS[self.distortion](x, x_hat)
