"""Shared blocks."""

from unittest.mock import Mock

import pytest
import torch
from torch import nn

from kodec.models.blocks import (
    GDN,
    DepthwiseBlock,
    DepthwiseConv2d,
    Modulation,
    PaddedConv2d,
    QualityEmbedding,
    ResidualBlock,
    StrideTwoConvTranspose2d,
    add_to,
    channels_last,
    normalised,
    polyphase,
    winograd,
    zeroed,
)
from kodec.models.blocks.phases import from_phases, to_phases


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


def test_depthwise_gradients_agree() -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, 3).double()
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64, requires_grad=True)
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
    monkeypatch.setattr(winograd, "LEAST_POSITIONS", 1)
    torch.manual_seed(0)
    layer = PaddedConv2d(6, 5, kernel).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = nn.Conv2d.forward(layer, x)
    assert torch.allclose(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(x.to(memory_format=torch.channels_last)), layer(x))
    with torch.enable_grad():
        assert torch.equal(layer(x), expected)


@pytest.mark.skipif(not winograd.nnpack_is_quicker(), reason="a CPU with AVX2 and no AVX-512")
@torch.no_grad()
def test_stride_one_convolution_in_float32_is_near_conv2d_whatever_the_threads() -> None:
    torch.manual_seed(0)
    layer = PaddedConv2d(48, 64)
    x = torch.randn(1, 48, 33, 47)
    out = layer(x)
    expected = nn.Conv2d.forward(layer.double(), x.double())
    layer.float()
    assert not torch.equal(out, nn.Conv2d.forward(layer, x)), "it took the direct way"
    assert (out - expected).abs().max() < 1e-4 * expected.abs().max()
    # What one side of a local file computes, the other must.
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    assert torch.equal(layer(x), out)
    torch.set_num_threads(threads)
    shifted = torch.empty(x.numel() + 3)[3:].view(x.shape).copy_(x)
    assert torch.equal(layer(shifted), out)


@pytest.mark.skipif(not winograd.nnpack_is_quicker(), reason="a CPU with AVX2 and no AVX-512")
@pytest.mark.parametrize("sides", [(112, 440), (113, 441)])
@torch.no_grad()
def test_stride_two_convolutions_by_phases_are_near_direct_ones(
    sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    quick = Mock(side_effect=polyphase.nnpack_convolution)
    monkeypatch.setattr(polyphase, "nnpack_convolution", quick)
    down, up = PaddedConv2d(160, 168, 5, stride=2), StrideTwoConvTranspose2d(96, 5)
    for layer, direct, x in (
        (down, nn.Conv2d.forward, torch.randn(1, 160, *sides)),
        (up, nn.ConvTranspose2d.forward, torch.randn(1, 96, *sides)),
    ):
        out = layer(x)
        expected = direct(layer.double(), x.double())  # type: ignore[operator]
        layer.float()
        assert out.shape == expected.shape
        assert (out - expected).abs().max() < 1e-4 * expected.abs().max()
        # Odd sides have no whole phases; channels last, the direct way is best.
        assert quick.call_count == (layer is up or sides[0] % 2 == 0)
        quick.reset_mock()
        layer(x.to(memory_format=torch.channels_last))
        quick.assert_not_called()


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_phases_are_those_of_pixel_unshuffle(order: torch.memory_format) -> None:
    x = torch.rand(2, 3, 6, 10).contiguous(memory_format=order)
    phases = to_phases(x)
    assert torch.equal(phases, nn.functional.pixel_unshuffle(x, 2))
    assert torch.equal(from_phases(phases), x)
    assert torch.equal(from_phases(phases.contiguous(memory_format=order)), x)


@torch.no_grad()
def test_stride_one_convolution_takes_its_own_way_for_one_contiguous_item_alone() -> None:
    layer = PaddedConv2d(48, 48)
    for x in (
        torch.randn(2, 48, 32, 32),
        torch.randn(1, 48, 32, 32).to(memory_format=torch.channels_last),
        torch.randn(1, 48, 8, 8),
    ):
        assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))
    half = layer.bfloat16()(torch.randn(1, 48, 32, 32).bfloat16())
    assert half.dtype == torch.bfloat16


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
