import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kodec.eval import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
from kodec.native import InvalidInputError


def picture(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """Smooth, with some texture."""
    small = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)[:, :, :channels]


def test_psnr_of_a_known_error() -> None:
    a = np.full((4, 6, 3), 100, dtype=np.uint8)
    b = a.copy()
    b[0, 0, 0] = 112  # mse 144 / 72 = 2
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 2), abs=1e-12)
    assert psnr(b, a) == psnr(a, b)  # no wrap-around of unsigned differences


def test_psnr_of_the_largest_error_is_zero() -> None:
    a = np.zeros((2, 2, 3), dtype=np.uint8)
    assert psnr(a, a + 255) == 0


def test_psnr_of_identical_pictures_is_infinite() -> None:
    assert psnr(picture(9, 5), picture(9, 5)) == math.inf


def test_psnr_of_16_bit_pictures_states_its_range() -> None:
    a = np.zeros((2, 2, 1), dtype=np.uint16)
    b = a + np.uint16(1)
    assert psnr(a, b, 1023) == pytest.approx(20 * math.log10(1023))
    with pytest.raises(InvalidInputError, match="max_value"):
        psnr(a, b)


def test_ms_ssim_falls_with_noise_and_is_one_for_identity() -> None:
    a = picture(176, 192)
    noise = np.random.default_rng(1).normal(size=a.shape)
    scores = [
        ms_ssim(a, np.clip(a + scale * noise, 0, 255).astype(np.uint8)) for scale in (0, 3, 12, 40)
    ]
    assert ms_ssim(a, a) == 1
    assert 1 > scores[1] > scores[2] > scores[3] > 0
    assert ms_ssim_db(scores[1]) > ms_ssim_db(scores[2])


def test_ms_ssim_is_the_mean_over_channels() -> None:
    a = picture(170, 170)
    b = (a // 16 * 16).astype(np.uint8)
    channels = [ms_ssim(a[:, :, c : c + 1], b[:, :, c : c + 1]) for c in range(3)]
    assert ms_ssim(a, b) == pytest.approx(np.mean(channels), abs=1e-6)
    assert ms_ssim(a[:, :, 0], b[:, :, 0]) == pytest.approx(channels[0], abs=1e-7)


@pytest.mark.parametrize("shape", [(160, 400), (400, 160)])
def test_ms_ssim_refuses_pictures_too_small_for_five_scales(shape: tuple[int, int]) -> None:
    small = picture(*shape)
    assert not fits_ms_ssim(small)
    with pytest.raises(InvalidInputError, match="161"):
        ms_ssim(small, small)
    assert fits_ms_ssim(picture(161, 161))
    assert ms_ssim(picture(161, 161), picture(161, 161)) == 1


def test_ms_ssim_in_decibels() -> None:
    assert ms_ssim_db(0.9) == pytest.approx(10)
    assert ms_ssim_db(0.99) == pytest.approx(20)
    assert ms_ssim_db(1) == math.inf
    with pytest.raises(InvalidInputError):
        ms_ssim_db(1.5)


def test_pictures_that_cannot_be_compared() -> None:
    a = picture(8, 8)
    with pytest.raises(InvalidInputError, match=r"shape.*\(8, 8, 3\).*\(8, 7, 3\)"):
        psnr(a, a[:, :7])
    with pytest.raises(InvalidInputError, match="float32"):
        psnr(a.astype(np.float32), a.astype(np.float32))
    with pytest.raises(InvalidInputError, match="uint8 and uint16"):
        psnr(a, a.astype(np.uint16))
    with pytest.raises(InvalidInputError):
        psnr(a[:0], a[:0])
    with pytest.raises(InvalidInputError, match="uint16"):
        ms_ssim(a.astype(np.uint16), a.astype(np.uint16))
