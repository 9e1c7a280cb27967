"""Code lengths against torch's own densities; table choice; quantisers."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Laplace, Normal

from kodec.entropy import LocationScale, ScaleTables, Uniform
from kodec.entropy.ports.relaxation import under_noise
from kodec.native import InvalidInputError

FAMILIES = {"gaussian": Normal, "laplace": Laplace}


def tables(family: str = "gaussian", **settings: float) -> ScaleTables:
    built = ScaleTables(family, **settings)  # type: ignore[arg-type]
    built.build()
    return built


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 7.5, 200.0])
def test_bits_are_those_of_the_density(family: str, scale: float) -> None:
    v = torch.cat([torch.linspace(-6, 6, 401), torch.tensor([-40.0, 25.0])]).double() * max(
        scale, 1
    )
    density = FAMILIES[family](torch.zeros((), dtype=torch.float64), scale)
    expected = -torch.log2(density.cdf(v + 0.5) - density.cdf(v - 0.5))
    # The reference itself loses its digits where the probability is small.
    sound = expected < 25
    bits = ScaleTables(family).bits(v, torch.tensor(scale, dtype=torch.float64))
    assert torch.allclose(bits[sound], expected[sound], rtol=1e-6, atol=1e-7)
    assert sound.sum() > 20 and bits.isfinite().all()


def test_far_values_keep_their_gradient() -> None:
    for family, floor in (("gaussian", -math.log2(1e-9)), ("laplace", math.inf)):
        v = torch.tensor([1000.0], dtype=torch.float64)
        scale = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        bits = ScaleTables(family).bits(v, scale)
        bits.sum().backward()
        assert bits.item() <= floor + 1e-6
        assert scale.grad is not None and scale.grad.isfinite().all()
    assert ScaleTables("laplace").bits(v, torch.tensor(0.5)).item() == pytest.approx(
        999.5 / 0.5 / math.log(2) - math.log2(-0.5 * math.expm1(-2)), rel=1e-6
    )


def test_index_is_the_nearest_table() -> None:
    scales = tables(levels=16, smallest=0.1, largest=100.0)
    centres = scales.log_smallest + torch.arange(16).double() * scales.log_step
    for offset in (-0.49, 0.0, 0.49):
        indexes, close = scales.indexes(centres + offset * scales.log_step)
        assert indexes.tolist() == list(range(1, 17))
        assert not close.any()
    assert scales.indexes(centres[:1] - 0.51 * scales.log_step)[0].item() == 0
    assert scales.indexes(torch.tensor([-50.0, 50.0]).double())[0].tolist() == [0, 16]


def test_the_guard_marks_what_is_close_to_a_boundary_and_nothing_else() -> None:
    scales = tables(levels=16, smallest=0.1, largest=100.0, guard=1e-4)
    boundaries = scales.log_smallest + (torch.arange(17).double() - 0.5) * scales.log_step
    for distance in (-0.9e-4, 0.0, 0.9e-4):
        _, close = scales.indexes(boundaries + distance)
        # Beyond the widest table there is no choice.
        assert close.tolist() == list(range(16))
    for distance in (-1.1e-4, 1.1e-4):
        assert scales.indexes(boundaries + distance)[1].numel() == 0
    scales.guard = 0.0
    assert scales.indexes(boundaries)[1].numel() == 0


@pytest.mark.parametrize("levels", [16, 64, 300])
def test_both_ways_to_find_indexes_agree(levels: int) -> None:
    """The compiled one, and the one of tensors that other devices run."""
    scales = tables(levels=levels, guard=1e-3)
    torch.manual_seed(1)
    log_scale = torch.randn(3, 1111, dtype=torch.float64) * 4
    log_scale[0, :3] = torch.tensor([-math.inf, math.inf, scales.log_smallest])
    indexes, close = scales.indexes(log_scale)
    others, close_there = scales._indexes_elsewhere(log_scale, indexes.dtype)
    assert indexes.dtype == (torch.uint8 if levels <= 255 else torch.uint16)
    assert torch.equal(indexes.int(), others.int())
    assert torch.equal(close, close_there) and close.numel() > 0
    nearest = torch.exp(log_scale).clamp(0, 256)[..., None] / torch.exp(
        scales.log_smallest + scales.log_step * torch.arange(levels).double()
    )
    best = nearest.log().abs().argmin(-1) + 1
    inside = (indexes.int() > 0).reshape(-1)
    inside[close] = False
    assert torch.equal(indexes.int().reshape(-1)[inside], best.int().reshape(-1)[inside])


def test_a_scale_that_is_no_number_is_refused() -> None:
    log_scale = torch.zeros(1, 5000, dtype=torch.float64)
    log_scale[0, 4321] = math.nan
    with pytest.raises(InvalidInputError, match="not a number"):
        tables().indexes(log_scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_skipped_positions_carry_no_symbol(dtype: torch.dtype) -> None:
    scales = tables()
    boundary = torch.tensor(scales.log_smallest - 0.5 * scales.log_step, dtype=dtype)
    steps = torch.arange(-8, 9)
    log_scale = torch.stack([_neighbour(boundary, int(step)) for step in steps])[None]
    log_scale = torch.cat([log_scale, torch.full_like(log_scale, -30.0)], dim=1)
    block = LocationScale(torch.zeros_like(log_scale), log_scale, scales)
    symbols = block.quantise(torch.full_like(log_scale, 5.0))
    assert torch.equal(symbols == 0, block.indexes()[0] == 0)
    assert 0 < (symbols != 0).sum() < len(steps)


def _neighbour(value: Tensor, steps: int) -> Tensor:
    """The floating-point number `steps` above `value`."""
    target = torch.tensor(math.copysign(math.inf, steps), dtype=value.dtype)
    for _ in range(abs(steps)):
        value = torch.nextafter(value, target)
    return value


def block(family: str = "gaussian", lagrangian: float = 0.0) -> tuple[LocationScale, Tensor]:
    torch.manual_seed(0)
    mean = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    log_scale = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    y = mean + torch.randn_like(mean) * log_scale.exp() * 2
    return LocationScale(mean, log_scale, tables(family), lagrangian), y


def test_rounding_is_about_the_mean() -> None:
    coded, y = block()
    values = coded.dequantise(coded.quantise(y))
    kept = coded.indexes()[0] > 0
    assert ((values - y).abs()[kept] <= 0.5 + 1e-12).all()
    assert torch.equal(values[~kept], coded.mean[~kept])
    assert coded.dequantise(coded.quantise(y).int()).dtype == torch.float64


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lagrangian", [0.01, 0.1, 0.5])
def test_optimised_quantisation_never_worsens_its_objective(family: str, lagrangian: float) -> None:
    plain, y = block(family)
    optimised, _ = block(family, lagrangian)

    def cost(values: Tensor) -> Tensor:
        return (values - y).square() + lagrangian * plain.bits(values)

    rounded = plain.dequantise(plain.quantise(y))
    moved = optimised.dequantise(optimised.quantise(y))
    assert (cost(moved) <= cost(rounded) + 1e-12).all()
    assert (moved != rounded).any()
    assert ((moved - plain.mean).abs() <= (rounded - plain.mean).abs() + 1e-12).all()


@pytest.mark.parametrize("lagrangian", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_core_quantises_as_pytorch_does(dtype: torch.dtype, lagrangian: float) -> None:
    torch.manual_seed(1)
    mean = 3 * torch.randn(2, 9000, 5, dtype=torch.float64)
    log_scale = 3 * torch.randn_like(mean) - 1
    y = (mean + torch.randn_like(mean) * log_scale.exp() * 2).to(dtype)
    # Halves go to even numbers.
    y[0, :9, 0] = torch.arange(-4, 5, dtype=dtype) / 2
    mean[0, :9, 0] = 0
    coded = LocationScale(mean, log_scale, tables("laplace"), lagrangian)
    by_pytorch = coded.quantise(y)
    with torch.no_grad():
        assert torch.equal(coded.quantise(y), by_pytorch)
        y[0, 0, 0] = math.nan
        assert coded.quantise(y)[0, 0, 0].isnan() or coded.indexes()[0][0, 0, 0] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_training_bits_are_those_of_the_coded_symbols(family: str) -> None:
    coded, y = block(family, 0.1)
    coded.log_scale.requires_grad_()
    y.requires_grad_()
    bits = coded.training_bits(under_noise(y), coded.quantise(y))
    bits.sum().backward()
    for leaf in (coded.log_scale, y):
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.any()
    values = coded.dequantise(coded.quantise(y))
    assert torch.allclose(bits, coded.bits(values), rtol=1e-9, atol=1e-9)


def test_uniform() -> None:
    flat = Uniform(torch.Size((2, 3)), 10)
    values = torch.tensor([[0, 4, 9], [1, 2, 3]])
    assert torch.equal(flat.dequantise(flat.quantise(values.double())).long(), values)
    assert flat.bits(values.double()).sum().item() == pytest.approx(6 * math.log2(10))
    indexes, close = flat.indexes()
    assert (indexes == 1).all() and close.numel() == 0
    assert len(flat.tables) == 1
    # A table a call would take longer than coding with it.
    assert Uniform(torch.Size((5,)), 10).tables is flat.tables


@pytest.mark.parametrize(
    "wrong",
    [{"family": "cauchy"}, {"levels": 1}, {"smallest": 0.0}, {"largest": 0.1}, {"guard": -1.0}],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        ScaleTables(**wrong)  # type: ignore[arg-type]
