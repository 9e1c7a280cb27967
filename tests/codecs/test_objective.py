"""What is minimised: lambdas and distortions."""

import pytest
import torch
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor

from kodec.codecs import DISTORTIONS, Objective
from kodec.native import InvalidInputError


def pair() -> tuple[Tensor, Tensor]:
    """A picture twice, and a reconstruction of either: a poor and a perfect one."""
    torch.manual_seed(0)
    x = torch.rand(1, 3, 176, 176).expand(2, -1, -1, -1).clone()
    x_hat = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    x_hat[1] = x[1]
    return x, x_hat


def test_lambdas_rise_geometrically_over_the_qualities() -> None:
    objective = Objective("mse", 0.001, 0.1)
    lam = objective.lambdas(torch.tensor([0.0, 31.5, 63.0]))
    assert lam.tolist() == pytest.approx([0.001, 0.01, 0.1])
    assert objective.lambda_at(0) == pytest.approx(0.001)
    assert objective.lambda_at(None) == objective.lambda_at(63) == pytest.approx(0.1)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions(name: str) -> None:
    x, x_hat = pair()
    found = Objective(name, 1.0, 1.0).distortions(x, x_hat)
    a, b = x[:1], x_hat[:1]
    l1 = (a - b).abs().mean()
    structure = 1 - ms_ssim(b, a, data_range=1.0)
    similar = 0.7 * l1 + 0.3 * (1 - ssim(b, a, data_range=1.0))
    spectrum = torch.fft.fft2((a - b).double())
    spectral = (spectrum.real.abs().mean() + spectrum.imag.abs().mean()) / 2
    expected = {
        "mse": (a - b).square().mean() * 255**2,
        "ms-ssim": structure,
        "l1-ssim": similar,
        "l1-ms-ssim": 0.7 * l1 + 0.3 * structure,
        "frequency": 60 * (0.7 * l1 + 0.3 * structure) + spectral,
        "frequency-ssim": 60 * similar + spectral,
    }[name]
    assert found.shape == (2,)
    assert found[0].item() == pytest.approx(float(expected), rel=1e-4) and found[0] > 0.001
    assert found[1].item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "name, side", [("ms-ssim", 160), ("l1-ms-ssim", 160), ("frequency", 160), ("l1-ssim", 10)]
)
def test_pictures_that_are_too_small_are_refused(name: str, side: int) -> None:
    x = torch.rand(1, 3, side, 200)
    with pytest.raises(InvalidInputError, match=f"{side + 1} pixels"):
        Objective(name, 1.0, 1.0).distortions(x, x)
    with pytest.raises(InvalidInputError, match="distortion is one of mse"):
        Objective("vibes", 1.0, 1.0).distortions(x, x)
