"""The lapped transform of differences: back and forth, orthonormal in each plane."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from kodec.models import LappedDifferences
from kodec.models.lapped_differences import colour_matrix


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (48, 32)])
def test_the_way_back_gives_the_coefficients(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    transform = LappedDifferences()
    y = torch.randn(2, 384, size[0] // 16, size[1] // 16, dtype=torch.float64)
    d = transform.back(y)
    assert d.shape == (2, 3, *size)
    assert torch.allclose(transform(d), y, atol=1e-12)


def test_energy_is_that_of_luma_and_of_colour_at_half_the_resolution() -> None:
    torch.manual_seed(0)
    d = torch.randn(1, 3, 32, 48, dtype=torch.float64)
    planes = torch.einsum("ij,njhw->nihw", torch.from_numpy(colour_matrix()), d)
    energy = planes[:, :1].square().sum() + avg_pool2d(planes[:, 1:], 2).square().sum()
    assert LappedDifferences()(d).square().sum().item() == pytest.approx(energy.item())


def test_gray_differences_have_no_colour() -> None:
    transform = LappedDifferences()
    y = transform(torch.rand(1, 1, 32, 32, dtype=torch.float64).expand(1, 3, 32, 32))
    colour = transform.order >= 256
    assert y[:, colour].abs().max() < 1e-12 and y[:, ~colour].abs().max() > 0.1
