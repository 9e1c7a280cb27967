"""Shared blocks."""

import pickle
from copy import deepcopy
from typing import Any

import pytest
import torch
from compressai.layers import QReLU
from torch import nn

from kodec.models.blocks import (
    GDN,
    Bottleneck,
    BoundedRectifier,
    DepthwiseBlock,
    DepthwiseConv2d,
    DownResidual,
    HalvingConv2d,
    Modulation,
    PaddedConv2d,
    PlainResidual,
    PointwiseConv2d,
    QualityEmbedding,
    RectifiedBottleneck,
    ResidualBlock,
    StrideTwoConvTranspose2d,
    SubpixelConv2d,
    UpResidual,
    add_to,
    channels_last,
    convolution,
    core_floats,
    gelu,
    normalised,
    zeroed,
)
from kodec.models.blocks.transposed import in_products


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 4)])
@pytest.mark.parametrize("channels_last", [False, True])
@torch.no_grad()
def test_depthwise_float64_equals_conv2d(
    kernel: int, size: tuple[int, int], channels_last: bool
) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    expected = nn.Conv2d.forward(layer, x)
    assert torch.allclose(layer(x), expected, rtol=1e-12, atol=1e-13)
    single = layer.float()(x.float())
    assert torch.allclose(single.double(), expected, atol=1e-5)


def test_bounded_rectifier_as_compressai_s() -> None:
    """Values, and gradients near both ends and far beyond them."""
    x = torch.tensor([-300.0, -3.0, -0.5, 0.5, 100.0, 254.5, 255.5, 258.0, 900.0])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = BoundedRectifier()(ours), QReLU.apply(theirs, 8, 100)
    assert torch.equal(out, expected)
    weights = torch.linspace(-1, 1, len(x))
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    assert 0 < abs(float(ours.grad[2])) < abs(float(weights[2]))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 40)])
@pytest.mark.parametrize("outputs", [3, 16])
@torch.no_grad()
def test_transposed_float64_equals_conv_transpose2d(size: tuple[int, int], outputs: int) -> None:
    torch.manual_seed(0)
    layer = StrideTwoConvTranspose2d(6, outputs).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = nn.ConvTranspose2d.forward(layer, x)
    for found in (layer(x), in_products(x, layer.weight, layer.bias)):
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_depthwise_gradients_agree() -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, 3).double()
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    assert layer.bias is not None
    leaves = (x, layer.weight, layer.bias)
    ours = torch.autograd.grad(layer(x).square().sum(), leaves)
    theirs = torch.autograd.grad(nn.Conv2d.forward(layer, x).square().sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b)


@torch.no_grad()
def test_residual_blocks_start_as_the_identity() -> None:
    x, e = torch.randn(2, 8, 5, 6), torch.randn(2, 16)
    assert torch.equal(ResidualBlock(8)(x), x)
    assert torch.equal(ResidualBlock(8, 16)(x, e), x)
    assert torch.equal(DepthwiseBlock(8)(x), x)
    assert torch.equal(Modulation(16, 8)(x, e), x)


@torch.no_grad()
def test_modulation_differs_per_sample() -> None:
    torch.manual_seed(0)
    modulation = Modulation(16, 8)
    nn.init.normal_(modulation.affine.weight)
    x = torch.randn(1, 8, 3, 3).expand(2, -1, -1, -1)
    out = modulation(x, torch.randn(2, 16))
    assert not torch.allclose(out[0], out[1])


@torch.no_grad()
def test_quality_embedding_is_smooth_and_keeps_its_precision() -> None:
    assert normalised(torch.tensor([0.0, 31.5, 63.0])).tolist() == [-1, 0, 1]
    torch.manual_seed(0)
    embedding = QualityEmbedding(16)
    out = embedding(torch.arange(64))
    assert out.shape == (64, 16)
    steps = out.diff(dim=0).abs()
    assert 0 < steps.max() < 0.5
    assert embedding.double()(torch.arange(64)).dtype == torch.float64
    assert "like" not in embedding.state_dict()


def test_zeroed() -> None:
    layer = zeroed(nn.Linear(3, 2))
    assert not layer.weight.any() and not layer.bias.any()
    assert not zeroed(nn.Linear(3, 2, bias=False)).weight.any()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 4)])
@torch.no_grad()
def test_stride_one_convolution_in_float64_equals_conv2d(
    kernel: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "LEAST_POSITIONS", 1)
    torch.manual_seed(0)
    layer = PaddedConv2d(6, 5, kernel).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = nn.Conv2d.forward(layer, x)
    assert torch.allclose(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(x.to(memory_format=torch.channels_last)), layer(x))
    with torch.enable_grad():
        assert torch.equal(layer(x), expected)


needs_core = pytest.mark.skipif(
    not torch.no_grad()(core_floats.core_takes)(torch.zeros(1)), reason="a CPU with AVX2"
)


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@needs_core
@pytest.mark.parametrize(
    ("layer", "sides"),
    [
        (PaddedConv2d(48, 30), (33, 47)),
        (PaddedConv2d(48, 30, 5, stride=2), (40, 36)),
        (PaddedConv2d(48, 30, 5, stride=2), (41, 35)),
        (HalvingConv2d(48, 30), (40, 36)),
        (StrideTwoConvTranspose2d(48, 30), (20, 21)),
        (SubpixelConv2d(48, 30), (20, 18)),
        (PaddedConv2d(48, 64, 1), (40, 36)),
        # As many positions as AVX2 needs.
        (PointwiseConv2d(48, 30), (110, 107)),
        (GDN(48), (90, 82)),
        (GDN(48, inverse=True), (90, 82)),
    ],
)
@torch.no_grad()
def test_layers_of_the_core_are_near_pytorchs_whatever_the_threads(
    layer: nn.Module, sides: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 48, *sides)
    out = layer(x)
    expected = deepcopy(layer).double()(x.double())
    assert out.is_contiguous(memory_format=torch.channels_last), "PyTorch computed it"
    assert_near(out, expected)
    # What one side of a local file computes, the other must.
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    assert torch.equal(layer(x), out)
    torch.set_num_threads(threads)
    shifted = torch.empty(x.numel() + 3)[3:].view(x.shape).copy_(x)
    assert torch.equal(layer(shifted), out)
    assert torch.equal(layer(channels_last(x)), out)
    assert torch.equal(layer(x[:1]), out[:1])


@needs_core
@torch.no_grad()
def test_filters_follow_their_weights() -> None:
    """However these are written, and in copies."""
    torch.manual_seed(0)
    x = torch.randn(1, 48, 32, 32)
    for layer in (PaddedConv2d(48, 16), PointwiseConv2d(48, 16), SubpixelConv2d(48, 4)):
        first = layer(x)
        pickled = pickle.loads(pickle.dumps(layer))
        assert torch.equal(deepcopy(layer)(x), first) and torch.equal(pickled(x), first)
        weight = next(layer.parameters())
        for view in (weight, weight.data):
            before = layer(x)
            view.mul_(2)
            assert_near(layer(x), deepcopy(layer).double()(x.double()))
            assert not torch.equal(layer(x), before)
        other = deepcopy(layer)
        for parameter in other.parameters():
            parameter.zero_()
        layer.load_state_dict(other.state_dict())
        assert not layer(x).any()


@needs_core
@pytest.mark.parametrize("sides", [(2, 6), (40, 34)])
@torch.no_grad()
def test_products_of_phases_are_those_of_shuffled_pixels(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    narrow, wide = PointwiseConv2d(24, 20), PointwiseConv2d(96, 20)
    x = torch.randn(2, 24, *sides)
    expected = deepcopy(wide).double()(nn.functional.pixel_unshuffle(x.double(), 2))
    assert_near(wide.of_phases(x), expected)
    expected = nn.functional.pixel_shuffle(deepcopy(narrow).double()(x.double()), 2)
    assert_near(narrow.to_phases(x), expected)
    with torch.enable_grad():
        assert_near(wide.of_phases(x), wide(nn.functional.pixel_unshuffle(x, 2)))
        assert_near(narrow.to_phases(x), nn.functional.pixel_shuffle(narrow(x), 2))


@pytest.mark.parametrize("samples", [1, 2])
@torch.no_grad()
def test_modulation_in_one_pass_is_modulation(samples: int) -> None:
    torch.manual_seed(0)
    modulation, layer = Modulation(16, 24), PointwiseConv2d(8, 24)
    for parameter in modulation.parameters():
        nn.init.normal_(parameter)
    x, e = torch.randn(samples, 8, 20, 30), torch.randn(samples, 16)
    assert_near(modulation.after(layer, x, e), modulation(layer(x), e))
    padded = PaddedConv2d(8, 24)
    expected = gelu(modulation(padded(x[:1]), e[:1]))
    assert_near(modulation.gelu_after(padded, x[:1], e[:1]), expected)


@torch.no_grad()
def test_convolutions_of_few_positions_and_of_other_types_are_pytorchs() -> None:
    layer = PaddedConv2d(48, 48)
    x = torch.randn(1, 48, 8, 8)
    assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))
    half = layer.bfloat16()(torch.randn(1, 48, 32, 32).bfloat16())
    assert half.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert PaddedConv2d(48, 48)(torch.randn(1, 48, 32, 32)).dtype == torch.bfloat16


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu"])
@pytest.mark.parametrize(
    "block",
    [PlainResidual, DownResidual, UpResidual, Bottleneck, RectifiedBottleneck],
)
def test_blocks_are_the_same_with_and_without_gradients(block: Any, activation: str) -> None:
    torch.manual_seed(0)
    widths = (20,) if issubclass(block, Bottleneck) else (20, 24)
    module = block(*widths, activation=activation)
    x = torch.randn(1, 20, 32, 36)
    kept = x.clone()
    expected = module(x)
    with torch.no_grad():
        assert_near(module(x), expected)
        assert_near(module(channels_last(x)), expected)
    assert torch.equal(x, kept)


def test_unknown_activations_are_refused() -> None:
    unknown: Any = "swish"
    for block in (PlainResidual, DownResidual, UpResidual):
        with pytest.raises(ValueError, match="activation is one of"):
            block(8, 8, activation=unknown)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("reordered", [False, True])
def test_normalisation_is_the_same_with_and_without_gradients(
    inverse: bool, reordered: bool
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 37, 61)
    if reordered:
        x = x.to(memory_format=torch.channels_last)
    layer = GDN(5, inverse)
    nn.init.uniform_(layer.gamma, 0, 0.5)
    expected = layer(x).detach()
    before = x.clone()
    with torch.no_grad():
        assert torch.allclose(layer(x), expected, rtol=1e-5)
        assert torch.equal(x, before)
        layer.inplace = True
        assert torch.allclose(layer(x), expected, rtol=1e-5)


def test_sums_in_place_keep_gradients_and_types() -> None:
    own = torch.randn(3, requires_grad=True)
    doubled = 2 * own
    total = add_to(doubled, torch.ones(3))
    total.square().sum().backward()
    assert own.grad is not None
    assert torch.allclose(own.grad, 4 * (2 * own.detach() + 1))
    with torch.no_grad():
        half = torch.ones(3, dtype=torch.bfloat16)
        assert add_to(half, torch.ones(3)).dtype == torch.float32
        single = torch.ones(3)
        assert add_to(single, torch.ones(3)) is single


def test_channels_lie_first_where_gradients_are_asked_for() -> None:
    x = torch.rand(1, 4, 6, 8).to(memory_format=torch.channels_last)
    # On CPUs only, where convolutions' backward passes crashed.
    assert channels_last(x).is_contiguous()
    with torch.no_grad():
        assert channels_last(x.contiguous()).is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(channels_last(x), x)
