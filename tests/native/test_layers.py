"""Layers of transforms: what PyTorch computes in float64, up to rounding."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError, UnsupportedError
from kodec.native.layers import (
    Filters,
    convolution,
    divisive_normalisation,
    filter_gradient,
    from_blocks,
    gelu,
    gelu_gradient,
    layers_name,
    minimal_filtering,
    place_filter,
    places,
    runs_layers,
    to_blocks,
)

needs_layers = pytest.mark.skipif(not runs_layers(), reason="a CPU with AVX2 and FMA")
# (height, width, inputs, outputs): smaller than a kernel or a tile, ragged, and several blocks.
SHAPES = [(1, 1, 3, 5), (2, 7, 8, 16), (7, 3, 9, 24), (13, 21, 17, 3), (50, 61, 16, 33)]


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous()


def channels_first(found: Any) -> Tensor:
    return torch.from_numpy(found).movedim(-1, 1)


def example(
    shape: tuple[int, int, int, int], *taps: int, phases: int = 1, out_phases: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures (N, C, H, W), a weight and a bias."""
    height, width, inputs, outputs = shape
    torch.manual_seed(0)
    x = torch.randn(2, inputs, height, width)
    return (
        x,
        torch.randn(outputs * out_phases, inputs * phases, *taps),
        torch.randn(outputs * out_phases),
    )


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 5e-5 * expected.abs().max()


@needs_layers
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolution(shape: tuple[int, int, int, int], side: int, stride: int) -> None:
    x, weight, bias = example(shape, side, side)
    expected = nn.functional.conv2d(x.double(), weight.double(), bias.double(), stride, side // 2)
    found = convolution(channels_last(x), weight, bias, stride)
    assert_near(channels_first(found), expected)
    assert np.array_equal(convolution(channels_last(x), weight, bias, stride, threads=3), found)


@needs_layers
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("period", [1, 2])
@pytest.mark.parametrize("out_period", [1, 2])
def test_minimal_filtering(shape: tuple[int, int, int, int], period: int, out_period: int) -> None:
    x, weight, bias = example(shape, 3, 3, phases=period**2, out_phases=out_period**2)
    height, width = shape[:2]
    filled = nn.functional.pad(x, (0, -width % period, 0, -height % period)).double()
    # PyTorch has a channel's phases side by side, the core a phase's channels.
    phases = nn.functional.pixel_unshuffle(filled, period).unflatten(1, (-1, period**2))
    phases = phases.transpose(1, 2).flatten(1, 2)
    results = nn.functional.conv2d(phases, weight.double(), bias.double(), padding=1)
    results = results.unflatten(1, (out_period**2, -1)).transpose(1, 2).flatten(1, 2)
    expected = nn.functional.pixel_shuffle(results, out_period)
    found = minimal_filtering(channels_last(x), weight, bias, period, out_period)
    assert_near(channels_first(found), expected)
    again = minimal_filtering(channels_last(x), weight, bias, period, out_period, threads=3)
    assert np.array_equal(again, found)


@needs_layers
@pytest.mark.parametrize("layer", [convolution, minimal_filtering])
def test_results_are_finished_in_the_same_pass(layer: Any) -> None:
    x, weight, bias = example((13, 21, 17, 3), 3, 3)
    plain = channels_first(layer(channels_last(x), weight, bias))
    plus = torch.randn_like(plain)
    found = layer(
        channels_last(x), weight, bias, slope=0.25, plus=channels_last(plus), last_slope=0.0
    )
    expected = nn.functional.relu(nn.functional.leaky_relu(plain, 0.25) + plus)
    assert torch.equal(channels_first(found), expected)
    assert (expected == 0).any() and (expected > 0).any()


@needs_layers
@pytest.mark.parametrize("layer", [convolution, minimal_filtering])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_are_modulated_and_curved_in_the_same_pass(
    layer: Any, shape: tuple[int, int, int, int]
) -> None:
    x, weight, bias = example(shape, 3, 3)
    plain = channels_first(layer(channels_last(x), weight, bias)).double()
    affine = torch.randn(2, shape[3])
    scale, shift = affine.double()[:, :, None, None]
    found = layer(channels_last(x), weight, bias, affine=affine)
    assert_near(channels_first(found), plain * scale + shift)
    found = layer(channels_last(x), weight, bias, affine=affine, gelu=True)
    curved = nn.functional.gelu(plain * scale + shift, approximate="tanh")
    assert_near(channels_first(found), curved)


@needs_layers
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (6, 10, 16, 33), (26, 40, 7, 24)])
def test_convolutions_to_and_from_the_phases_of_pixels(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias = example(shape, 2, 2)
    expected = nn.functional.conv2d(x.double(), weight.double(), bias.double(), 2)
    assert_near(channels_first(convolution(channels_last(x), weight, bias, 2)), expected)
    _, weight, bias = example(shape, 1, 1, out_phases=4)
    results = nn.functional.conv2d(x.double(), weight.double(), bias.double())
    results = results.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)
    found = convolution(channels_last(x), weight, bias, out_period=2)
    assert_near(channels_first(found), nn.functional.pixel_shuffle(results, 2))
    again = convolution(channels_last(x), weight, bias, out_period=2, threads=3)
    assert np.array_equal(again, found)


@needs_layers
def test_filters_are_made_once() -> None:
    """The same bits as of the weight, and nothing else takes them."""
    x, weight, bias = example((13, 21, 17, 20), 3, 3)
    rows = channels_last(x)
    taps, tiles = Filters.of_taps(weight), Filters.of_tiles(weight, threads=3)
    assert np.array_equal(convolution(rows, taps, bias), convolution(rows, weight, bias))
    found = minimal_filtering(rows, tiles, bias)
    assert np.array_equal(found, minimal_filtering(rows, weight, bias))
    assert tiles.is_of(weight) and not tiles.is_of(-weight) and not tiles.is_of(weight[:1])
    assert Filters.of_taps(weight, source=-weight).is_of(-weight)
    wrong: list[tuple[Any, Filters, dict[str, Any]]] = [
        (convolution, tiles, {}),
        (minimal_filtering, taps, {}),
        (convolution, taps, {"out_period": 2}),
        (minimal_filtering, tiles, {"period": 2}),
    ]
    for layer, filters, options in wrong:
        with pytest.raises(InvalidInputError, match="was made for another layer"):
            layer(rows, filters, bias, **options)
    with pytest.raises(InvalidInputError, match="weight must be for 3x3 taps"):
        Filters.of_tiles(torch.zeros(4, 3, 5, 5))
    with pytest.raises(InvalidInputError, match="source must have 4 dimensions"):
        Filters.of_tiles(weight, source=bias)


@needs_layers
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("side", "height", "width"), [(2, 2, 8), (4, 12, 4), (16, 48, 80)])
def test_blocks(side: int, height: int, width: int, filtered: bool) -> None:
    torch.manual_seed(0)
    x, plus = torch.randn(2, 3, height, width), torch.randn(2, 3, height, width)
    matrix = torch.randn(side, side) if filtered else None

    def across(planes: Tensor) -> Tensor:
        """Rows, then columns."""
        for _ in range(2):
            planes = planes.transpose(2, 3).clone()
            for first in range(side // 2, planes.shape[2] - side, side):
                if matrix is not None:
                    inner = planes[:, :, first : first + side]
                    planes[:, :, first : first + side] = matrix.double() @ inner
        return planes

    found = to_blocks(x, side, matrix, -0.5)
    expected = nn.functional.pixel_unshuffle(across(x.double() - 0.5), side)
    assert_near(channels_first(found), expected)
    assert np.array_equal(to_blocks(x, side, matrix, -0.5, threads=3), found)
    blocks = channels_last(nn.functional.pixel_unshuffle(x, side))
    back = torch.from_numpy(from_blocks(blocks, side, matrix, 0.5, plus))
    assert_near(back, across(x.double()) + 0.5 + plus)
    assert torch.equal(
        torch.from_numpy(from_blocks(blocks, side, matrix, 0.5, plus, threads=3)), back
    )


@needs_layers
def test_blocks_that_do_not_fit() -> None:
    x = torch.zeros(1, 3, 12, 8)
    for function, arguments, message in (
        (to_blocks, (x, 3), "x's sides must be multiples of side"),
        (to_blocks, (x, 65), "side must be 1 to 64"),
        (to_blocks, (x, 4, torch.zeros(3, 4)), "matrix must be"),
        (to_blocks, (x[..., :1].contiguous(), 1, torch.zeros(1, 1)), "side even"),
        (from_blocks, (x, 4), "blocks must have side\\^2 elements"),
        (from_blocks, (x, 2, None, 0.0, x), "plus must have the result's shape"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            function(*arguments)


@needs_layers
def test_the_environment_chooses_instructions_and_none_changes_a_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weight, bias = example((20, 31, 24, 40), 3, 3)
    rows = channels_last(x)

    def results() -> list[Any]:
        found = [convolution(rows, weight, bias), minimal_filtering(rows, weight, bias, gelu=True)]
        return [*found, gelu(rows.flatten(1, 2)), to_blocks(x[..., :30].contiguous(), 2)]

    widest = results()
    monkeypatch.setenv("KODEC_LAYERS", "avx2")
    assert layers_name() == "avx2"
    for ours, theirs in zip(results(), widest, strict=True):
        assert np.array_equal(ours, theirs)
    monkeypatch.setenv("KODEC_LAYERS", "off")
    assert layers_name() == "off" and not runs_layers()
    with pytest.raises(UnsupportedError, match="KODEC_LAYERS is off"):
        convolution(rows, weight, bias)
    monkeypatch.setenv("KODEC_LAYERS", "sse")
    with pytest.raises(InvalidInputError, match="KODEC_LAYERS is 'sse'; on this machine it can be"):
        runs_layers()


@needs_layers
def test_rectifying_keeps_infinities() -> None:
    x = torch.full((1, 4, 4, 1), torch.inf)
    found = convolution(x, torch.ones(1, 1, 1, 1), torch.zeros(1), slope=0.0, last_slope=0.0)
    assert np.isposinf(found).all()


@needs_layers
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("channels", [1, 5, 16, 37])
def test_divisive_normalisation(inverse: bool, channels: int) -> None:
    torch.manual_seed(0)
    x, gamma, beta = (
        torch.randn(203, channels),
        torch.rand(channels, channels),
        torch.rand(channels),
    )
    energy = x.double().square() @ gamma.double().t() + beta
    expected = x * (energy.sqrt() if inverse else energy.rsqrt())
    out = torch.empty_like(x)
    divisive_normalisation(x, gamma, beta, out, inverse)
    assert_near(out, expected)
    divisive_normalisation(x, gamma, beta, x, inverse, threads=3)
    assert torch.equal(x, out)


@needs_layers
def test_nothing_comes_of_nothing() -> None:
    weight, bias = torch.zeros(4, 3, 3, 3), torch.zeros(4)
    assert convolution(torch.zeros(1, 0, 5, 3), weight, bias).shape == (1, 0, 5, 4)
    assert minimal_filtering(torch.zeros(0, 6, 5, 3), weight, bias).shape == (0, 6, 5, 4)
    nothing = torch.zeros(0, 3)
    divisive_normalisation(nothing, torch.eye(3), torch.ones(3), nothing)


@needs_layers
def test_memory_is_used_again_but_never_while_it_is_held() -> None:
    """Large results share a store of memory."""
    weight, bias = torch.ones(16, 1, 1, 1), torch.zeros(16)
    held = [convolution(torch.full((1, 300, 300, 1), float(i)), weight, bias) for i in range(4)]
    for _ in range(3):
        convolution(torch.full((1, 300, 300, 1), -1.0), weight, bias)
    assert [np.unique(found).tolist() for found in held] == [[0.0], [1.0], [2.0], [3.0]]


X, WEIGHT, BIAS = torch.zeros(1, 6, 5, 3), torch.zeros(4, 3, 3, 3), torch.zeros(4)


@needs_layers
@pytest.mark.parametrize("layer", [convolution, minimal_filtering])
@pytest.mark.parametrize(
    ("x", "weight", "bias", "options", "message"),
    [
        (X[0], WEIGHT, BIAS, {}, "x must have 4 dimensions, not 3"),
        (X.double(), WEIGHT, BIAS, {}, "x must be of type float32"),
        (X.movedim(1, 2), WEIGHT, BIAS, {}, "x must be contiguous"),
        (None, WEIGHT, BIAS, {}, "x must be an array of float32"),
        (X, WEIGHT[:, :2].contiguous(), BIAS, {}, "weight's second dimension must be x's"),
        (X, WEIGHT, BIAS[:3], {}, "weight's first dimension must be bias' length"),
        (X, torch.zeros(4, 3, 2, 2), BIAS, {}, "weight"),
        (X, torch.zeros(4, 3, 3, 1), BIAS, {}, "weight"),
        (X, WEIGHT, BIAS[None], {}, "bias must have one dimension"),
        (X, WEIGHT, BIAS, {"threads": 0}, "threads must be 1 to 1024, not 0"),
        (X, WEIGHT, BIAS, {"threads": 1.0}, "threads must be an integer"),
        (X, WEIGHT, BIAS, {"slope": -0.1}, "slope must be from 0 to 1"),
        (X, WEIGHT, BIAS, {"last_slope": float("nan")}, "last_slope must be from 0 to 1"),
        (X, WEIGHT, BIAS, {"plus": X}, "plus must have the result's shape"),
        (X, WEIGHT, BIAS, {"affine": torch.zeros(2, 3)}, "affine must have a row of scales"),
        (X, WEIGHT, BIAS, {"gelu": True, "slope": 0.5}, "gelu has no slope"),
    ],
)
def test_wrong_arguments_are_refused(
    layer: Any, x: Any, weight: Any, bias: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        layer(x, weight, bias, **options)


@needs_layers
def test_wrong_steps_and_shapes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="stride must be 1 to 16, not 17"):
        convolution(X, WEIGHT, BIAS, stride=17)
    with pytest.raises(InvalidInputError, match="period must be 1 to 2, not 3"):
        minimal_filtering(X, WEIGHT, BIAS, period=3)
    with pytest.raises(InvalidInputError, match="bias must have an element for each output"):
        minimal_filtering(X, torch.zeros(6, 3, 3, 3), torch.zeros(6), out_period=2)
    rows, gamma, beta = torch.zeros(7, 3), torch.eye(3), torch.ones(3)
    for changed, message in (
        ({"out": rows[:6]}, "out must have x's shape"),
        ({"beta": beta[:2]}, "beta must have as many elements"),
        ({"gamma": gamma[:2]}, "gamma must have a row and a column"),
    ):
        arguments: dict[str, Any] = {"x": rows, "gamma": gamma, "beta": beta, "out": rows} | changed
        with pytest.raises(InvalidInputError, match=message):
            divisive_normalisation(**arguments)


@pytest.mark.skipif(runs_layers(), reason="a CPU without AVX2 or FMA")
def test_other_cpus_are_told() -> None:
    with pytest.raises(UnsupportedError, match="runs_layers"):
        convolution(X, WEIGHT, BIAS)


@needs_layers
@pytest.mark.parametrize("shape", SHAPES)
def test_filter_gradient(shape: tuple[int, int, int, int]) -> None:
    x, weight, _ = example(shape, 3, 3)
    gradient = torch.randn(2, shape[3], *shape[:2])
    own = weight.double().requires_grad_()
    nn.functional.conv2d(x.double(), own, padding=1).backward(gradient.double())
    found = filter_gradient(channels_last(x), channels_last(gradient))
    assert own.grad is not None
    assert_near(torch.from_numpy(found), own.grad)
    again = filter_gradient(channels_last(x), channels_last(gradient), threads=3)
    assert np.array_equal(again, found)


@needs_layers
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 7, 13), (3, 50, 64)])
def test_gelu(shape: tuple[int, int, int], modulated: bool) -> None:
    torch.manual_seed(0)
    x, gradient = 4 * torch.randn(shape), torch.randn(shape)
    affine = torch.randn(shape[0], 2, shape[2]) if modulated else None
    own, own_affine = x.double().requires_grad_(), torch.zeros(()).double()
    h: Tensor = own
    if affine is not None:
        own_affine = affine.double().requires_grad_()
        h = own * own_affine[:, :1] + own_affine[:, 1:]
    expected = nn.functional.gelu(h, approximate="tanh")
    expected.backward(gradient.double())
    assert_near(torch.from_numpy(gelu(x, affine)), expected)
    found, found_affine = gelu_gradient(x, gradient, affine)
    assert own.grad is not None
    assert_near(torch.from_numpy(found), own.grad)
    assert (found_affine is None) == (affine is None)
    if found_affine is not None:
        assert own_affine.grad is not None
        assert_near(torch.from_numpy(found_affine), own_affine.grad)
    for one, three in zip(
        (gelu(x, affine), *gelu_gradient(x, gradient, affine)),
        (gelu(x, affine, 3), *gelu_gradient(x, gradient, affine, 3)),
        strict=True,
    ):
        if one is None or three is None:
            assert one is three
        else:
            assert np.array_equal(one, three)


@needs_layers
def test_gradients_of_nothing_and_of_what_does_not_fit() -> None:
    none = torch.zeros(0, 6, 5, 3)
    assert not filter_gradient(none, torch.zeros(0, 6, 5, 4)).any()
    assert gelu(torch.zeros(2, 0, 3)).shape == (2, 0, 3)
    affine = torch.ones(2, 2, 3)
    assert not gelu_gradient(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3), affine)[1].any()  # type: ignore[union-attr]
    with pytest.raises(InvalidInputError, match="gradient must have x's items"):
        filter_gradient(torch.zeros(1, 6, 5, 3), torch.zeros(1, 5, 6, 4))
    with pytest.raises(InvalidInputError, match="affine must be"):
        gelu(torch.zeros(2, 4, 3), torch.zeros(2, 3, 2))
    with pytest.raises(InvalidInputError, match="gradient must have x's shape"):
        gelu_gradient(torch.zeros(2, 4, 3), torch.zeros(2, 3, 4))
    for value in (torch.nan, torch.inf):
        assert not np.isfinite(gelu(torch.full((1, 1, 9), value))).any()


@needs_layers
def test_place_filter() -> None:
    """Where all kinds have the same taps, against plain sums."""
    torch.manual_seed(0)
    x, taps = torch.rand(3, 12, 10), torch.randn(2, 7, 8) / 50
    taps[:, 3, 3] = 0
    luma = x.double().sum(0) / 3**0.5
    around = torch.nn.functional.pad(luma[None], (3, 3, 3, 3), mode="replicate")[0]
    differences = around.unfold(0, 7, 1).unfold(1, 7, 1) - luma[..., None, None]
    seen = torch.stack([differences, differences.clamp(-0.1, 0.1)], dim=2)
    expected = x + (seen * taps[..., :7].double()).sum((2, 3, 4)) / 3**0.5
    same = taps.expand(48, 2, 7, 8).contiguous()
    found = place_filter(x, same, 0.1)
    assert_near(torch.from_numpy(found), expected)
    assert np.array_equal(place_filter(x, same, 0.1, threads=3), found)
    assert np.array_equal(place_filter(x, torch.zeros(48, 2, 7, 8), 0.1), x)


@needs_layers
def test_place_filter_of_colours() -> None:
    """A colour that is a multiple of luma is its regression on it; another comes nearer to it."""
    torch.manual_seed(0)
    luma = torch.rand(16, 20)
    x = torch.stack([luma, 0.5 * luma, 0.25 * luma])
    taps, colours = torch.zeros(48, 2, 7, 8), torch.zeros(48, 2, 3, 8)
    guides = torch.zeros(48, 3, 4)
    guides[:, 1:] = 0.25
    same = place_filter(x, taps, 1e-4, colours, guides)
    assert_near(torch.from_numpy(same), x.double())
    other = x.clone()
    other[0, 8, 10] += 0.3
    found = place_filter(other, taps, 1e-4, colours, guides)
    assert np.array_equal(place_filter(other, taps, 1e-4, colours, guides, threads=3), found)
    by_luma = float(other[:, 8, 10].sum()) * 0.75 / 1.75
    tilts = [float(made[0, 8, 10] - made[2, 8, 10]) for made in (torch.from_numpy(found), other)]
    assert abs(tilts[0] - by_luma) < 0.9 * abs(tilts[1] - by_luma)
    assert np.array_equal(found[:, :2], same[:, :2])


@needs_layers
def test_places() -> None:
    """Flat, steep along rows, steep along columns; and values that no picture has."""
    x = torch.full((3, 24, 60), 0.4)
    x[:, :, 40:] = torch.linspace(0, 1, 20)
    here, near, direction = places(x)
    assert (here[:, :16] == 0).all() and (here[:, 24:28] == 3).all()
    assert (near[:, :12] == 0).all() and (near[:, 16:] == 3).all()
    assert (direction[:, :16] == 0).all() and (direction[:, 24:28] == 1).all()
    assert (places(x.transpose(1, 2).contiguous())[2, 24:28] == -1).all()
    for value in (torch.nan, torch.inf, -1e30):
        x[:, 5, 5] = value
        assert np.isin(places(x)[:2], range(4)).mean() > 0.9


@needs_layers
def test_place_filters_that_do_not_fit() -> None:
    x, taps = torch.zeros(3, 6, 8), torch.zeros(48, 2, 7, 8)
    for wrong, message in (
        ((x[:, :5].contiguous(), taps), "sides even"),
        ((x[:, :0].contiguous(), taps), "above 0"),
        ((x[:2].contiguous(), taps), "x must be"),
        ((x, torch.zeros(48, 2, 7, 7)), "taps must be"),
        ((x, taps[:47].contiguous()), "taps must be"),
        ((x.double(), taps), "float32"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            place_filter(*wrong, clip=1.0)
    for colours, guides, message in (
        (torch.zeros(48, 2, 3, 8), None, "go together"),
        (torch.zeros(48, 2, 3, 7), torch.zeros(48, 3, 4), "colour_taps must be"),
        (torch.zeros(48, 2, 3, 8), torch.zeros(48, 2, 4), "guides must be"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            place_filter(x, taps, 1.0, colours, guides)
    with pytest.raises(InvalidInputError, match="x must be"):
        places(x[:2].contiguous())
