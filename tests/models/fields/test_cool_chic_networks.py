"""Cool-chic's float networks against what its authors' code gave."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cool_chic_reference import arrays, coded_picture
from kodec.entropy.contexts.grid_rate import (
    Affine,
    GridArm,
    arm_outputs,
    arm_rate,
    grid_contexts,
    inter_grid_features,
    laplace_bits,
)
from kodec.entropy.latents.integer_arm import LOG_SCALE_OFFSET
from kodec.entropy.ports.relaxation import kumaraswamy_noise, soft_round
from kodec.models.fields.grid_synthesis import synthesise
from kodec.models.fields.grid_upsampling import upsample

PICTURES = ("hop64x96", "mop61x83")


def assert_near(found: Tensor, wanted: Any) -> None:
    """Within 1e-4 of the largest value."""
    assert found.shape == wanted.shape
    error = np.abs(found.double().numpy() - wanted).max()
    assert error <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", PICTURES)
@torch.no_grad()
def test_pixels(name: str) -> None:
    picture = coded_picture(name)
    grids = [grid for grid, hyper in zip(picture.latents, picture.hyper, strict=True) if not hyper]
    features = upsample(grids, picture.filters)
    assert_near(features, picture.values["upsampled"])
    found = functional.conv2d(synthesise(features, picture.synthesis), *picture.mix)
    assert_near(found, picture.values["synthesis_out"])
    decoded = (found.clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy()
    assert np.abs(decoded - picture.values["decoded"]).max() <= 1


@pytest.mark.parametrize("name", PICTURES)
@torch.no_grad()
def test_rates(name: str) -> None:
    picture = coded_picture(name)
    features = inter_grid_features(picture.latents, picture.levels, picture.arm.ifce)
    for call, of_grid in enumerate(reversed(features)):
        # Theirs: integers before the last doubling, position by position.
        wanted = picture.values[f"ifce_out_call{call}"] / 256
        assert_near(of_grid[:, ::2, ::2].flatten(1).t(), wanted)
    x = grid_contexts(picture.latents, picture.levels, picture.arm.neighbours, picture.arm.ifce)
    out = arm_outputs(x, picture.arm)
    first = picture.latents[0].numel()
    size = picture.latents[0].shape
    assert_near(out[0, :first].unflatten(0, size), picture.values["float_mu0"])
    scale = (out[1, :first] - LOG_SCALE_OFFSET).clamp(-5, 5).exp()
    assert_near(scale.unflatten(0, size), picture.values["float_scale0"])
    bits = arm_rate(picture.latents, picture.levels, picture.arm)
    assert_near(bits, picture.values["float_rate_bits"])


def test_functions() -> None:
    content = arrays()
    x = torch.from_numpy(content["softround/x"])
    assert_near(soft_round(x, 0.35), content["softround/t0.35"])
    assert_near(soft_round(x, 0.08), content["softround/t0.08"])
    uniform = torch.linspace(0.01, 0.99, 21)
    assert_near(kumaraswamy_noise(uniform, 2.0), content["kumaraswamy/a2.0"])
    assert_near(kumaraswamy_noise(uniform, 1.0), content["kumaraswamy/a1.0"])
    wanted = content["rate/mu.3_scale.7"]
    values = torch.arange(-6, 7).float()
    mean, log_scale = torch.full_like(values, 0.3), torch.full_like(values, 0.7).log()
    assert_near(laplace_bits(values, mean, log_scale), wanted)


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    picture_levels = [0, 1, 2, 2]
    sizes = [(7, 5), (4, 3), (2, 2), (2, 2)]
    grids = [(2 * torch.randn(size, dtype=torch.float64)).requires_grad_() for size in sizes]

    def affine(outputs: int, inputs: int) -> Affine:
        weight = 0.3 * torch.randn(outputs, inputs, dtype=torch.float64)
        return Affine(weight.requires_grad_(), torch.randn(outputs, dtype=torch.float64) * 0.3)

    arm = GridArm((affine(6, 6),), affine(2, 6), affine(2, 6), (affine(2, 3), affine(2, 2)))
    for layer in (arm.output, arm.branch):
        layer.bias[1] += 2.0

    def bits(*values: Tensor) -> Tensor:
        return arm_rate(values, picture_levels, arm)

    assert torch.autograd.gradcheck(bits, grids)
    assert torch.autograd.gradcheck(
        lambda weight: arm_rate(
            grids, picture_levels, arm._replace(hidden=(Affine(weight, arm.hidden[0].bias),))
        ),
        [arm.hidden[0].weight],
    )
