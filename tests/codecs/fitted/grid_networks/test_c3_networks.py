"""C3's rate and synthesis by the core against PyTorch in float64, gradients among it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kodec.codecs.fitted.grid_networks.c3_architecture import (
    C3Architecture,
    layers_of,
    synthesis_of,
)
from kodec.codecs.fitted.grid_networks.c3_fitting import c3_bits, plain_c3_bits
from kodec.models.fields.c3_synthesis import c3_synthesis, plain_c3_synthesis

HEIGHT, WIDTH = 33, 46
ARCHITECTURE = C3Architecture(levels=5)


def networks() -> dict[str, Tensor]:
    torch.manual_seed(3)
    # As a fit's: of the narrowest distributions float32 itself gives no gradients of five digits.
    return {
        name: 0.7 * torch.randn(shape) / max(1, torch.Size(shape[1:]).numel()) ** 0.5
        for name, shape in ARCHITECTURE.shapes(3).items()
    }


def held(
    core: Callable[[Sequence[Tensor]], Tensor],
    plain: Callable[[Sequence[Tensor]], Tensor],
    inputs: Sequence[Tensor],
) -> None:
    """Results and gradients are within 1e-5 of the largest, of float64's."""
    single = [value.clone().requires_grad_() for value in inputs]
    double = [value.double().requires_grad_() for value in inputs]
    found, expected = core(single), plain(double)
    charge = torch.randn(expected.shape, dtype=torch.float64)
    got = torch.autograd.grad(found, single, charge.float())
    wanted = torch.autograd.grad(expected, double, charge)
    for one, other in zip((found, *got), (expected, *wanted), strict=True):
        assert other.abs().max() > 0
        assert (one.double() - other).abs().max() <= 1e-5 * other.abs().max()


def test_bits_and_their_gradients_are_those_of_pytorch() -> None:
    values = networks()
    names = [name for name in values if name.startswith("arm")]
    grids = [2 * torch.randn(g.rows, g.columns) for g in ARCHITECTURE.grids(HEIGHT, WIDTH)]

    def by(rate: Callable[..., Tensor]) -> Callable[[Sequence[Tensor]], Tensor]:
        def bits(inputs: Sequence[Tensor]) -> Tensor:
            own = dict(zip(names, inputs[len(grids) :], strict=True))
            return rate(inputs[: len(grids)], layers_of(own, "arm.layer"))

        return bits

    held(by(c3_bits), by(plain_c3_bits), [*grids, *(values[name] for name in names)])


def test_pictures_and_their_gradients_are_those_of_pytorch() -> None:
    values = networks()
    names = [name for name in values if name.startswith("synthesis")]
    features = torch.randn(1, ARCHITECTURE.levels, HEIGHT, WIDTH)

    def by(synthesis: Callable[..., Tensor]) -> Callable[[Sequence[Tensor]], Tensor]:
        def picture(inputs: Sequence[Tensor]) -> Tensor:
            own = dict(zip(names, inputs[1:], strict=True))
            return synthesis(inputs[0], synthesis_of(own))

        return picture

    inputs = [features, *(values[name] for name in names)]
    held(by(c3_synthesis), by(plain_c3_synthesis), inputs)
