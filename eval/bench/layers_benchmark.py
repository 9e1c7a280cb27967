"""How long layers of the published systems take: the core's beside PyTorch's own and CompressAI's.

All for a picture of 768x512 or smaller, inputs channels last in memory, float32; and whole
transforms, with the core's layers and without.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy import Conditions, RasterAutoregression, SymbolReader, SymbolWriter, build_tables
from kodec.eval.running.machine import describe_machine
from kodec.eval.running.run import Progress
from kodec.models import (
    ELICAnalysis,
    ELICSynthesis,
    GDNAnalysis,
    GDNSynthesis,
    RefinedLappedAnalysis,
    RefinedLappedSynthesis,
    ResidualAnalysis,
    ResidualSynthesis,
)
from kodec.models.blocks import (
    GDN,
    PaddedConv2d,
    PointwiseConv2d,
    StrideTwoConvTranspose2d,
    SubpixelConv2d,
)
from kodec.models.blocks.core_floats import core_takes

from .bench_report import BenchReport
from .instruction_sets import without_layers
from .race import Contestant, Race, Ratio, Spread, threads_of

Layer = tuple[Callable[[], nn.Module], int, tuple[int, int]]
"""What makes it, the channels of its input, and their height and width."""

LAYERS: dict[str, Layer] = {
    "3x3, 128 to 128": (lambda: PaddedConv2d(128, 128), 128, (256, 384)),
    "3x3, 128 to 128, half as large": (lambda: PaddedConv2d(128, 128), 128, (128, 192)),
    "3x3, 64 to 64": (lambda: PaddedConv2d(64, 64), 64, (128, 192)),
    "3x3, 192 to 192": (lambda: PaddedConv2d(192, 192), 192, (128, 192)),
    "3x3, 128 to 512, sub-pixel": (lambda: SubpixelConv2d(128, 128), 128, (128, 192)),
    "5x5 / 2, 192 to 192": (lambda: PaddedConv2d(192, 192, 5, 2), 192, (128, 192)),
    "5x5 / 2 transposed, 192 to 192": (
        lambda: StrideTwoConvTranspose2d(192, 192),
        192,
        (64, 96),
    ),
    "3x3 / 2, 3 to 128": (lambda: PaddedConv2d(3, 128, 3, 2), 3, (512, 768)),
    "5x5 / 2, 3 to 192": (lambda: PaddedConv2d(3, 192, 5, 2), 3, (512, 768)),
    "1x1, 128 to 64": (lambda: PaddedConv2d(128, 64, 1), 128, (128, 192)),
    "GDN, 128": (lambda: GDN(128), 128, (256, 384)),
    "3x3, 64 to 64, a tile": (lambda: PaddedConv2d(64, 64), 64, (64, 64)),
    "3x3, 192 to 192, few": (lambda: PaddedConv2d(192, 192), 192, (16, 16)),
    "5x5 / 2, 192 to 192, few": (lambda: PaddedConv2d(192, 192, 5, 2), 192, (32, 32)),
    "5x5 / 2 transposed, 192 to 192, few": (
        lambda: StrideTwoConvTranspose2d(192, 192),
        192,
        (16, 16),
    ),
    "1x1, 192 to 384": (lambda: PointwiseConv2d(192, 384), 192, (32, 48)),
    "1x1, 192 to 384, few": (lambda: PointwiseConv2d(192, 384), 192, (8, 8)),
    "GDN, 192, few": (lambda: GDN(192), 192, (16, 16)),
}
TRANSFORMS: dict[str, Layer] = {
    "default analysis": (RefinedLappedAnalysis, 3, (512, 768)),
    "default synthesis": (lambda: RefinedLappedSynthesis(), 768, (32, 48)),
    "default analysis, a tile": (RefinedLappedAnalysis, 3, (256, 256)),
    "default synthesis, a tile": (lambda: RefinedLappedSynthesis(), 768, (16, 16)),
    "GDN analysis": (GDNAnalysis, 3, (256, 256)),
    "GDN synthesis": (GDNSynthesis, 192, (16, 16)),
    "residual analysis": (ResidualAnalysis, 3, (256, 256)),
    "residual synthesis": (ResidualSynthesis, 128, (16, 16)),
    "ELIC analysis": (ELICAnalysis, 3, (256, 256)),
    "ELIC synthesis": (ELICSynthesis, 320, (16, 16)),
}
"""As `LAYERS`."""
RASTER = (192, 32, 48)
"""Latents of the serial order: channels, height and width."""


@dataclass(frozen=True)
class LayerRow:
    """One way of computing a layer, or of coding latents in raster order; seconds by step."""

    layer: str
    input: str
    """Width x height."""
    way: str
    """`kodec` (by the core where it is quicker), `PyTorch`, `NNPACK`, `CompressAI`."""
    seconds: dict[str, Spread]
    ratios: dict[str, Ratio | None]
    """How many times as fast kodec's is."""


@dataclass(frozen=True)
class LayersReport(BenchReport):
    """What `bench_layers` measured, and on what."""

    benchmark = "layers"

    rows: tuple[LayerRow, ...]


@torch.no_grad()
def bench_layers(
    repeats: int = 15,
    threads: int = 1,
    layers: Mapping[str, Layer] = LAYERS,
    transforms: Mapping[str, Layer] = TRANSFORMS,
    raster: tuple[int, int, int] = RASTER,
    progress: Progress | None = None,
) -> LayersReport:
    """Measure every layer and transform, and the raster order of latents (channels, height, width).

    repeats: timed runs in turn, after one that is not timed; a serial order, which takes
    CompressAI seconds, has a fifth of them. threads: as for `bench_pictures`.
    """
    rows: list[LayerRow] = []
    race = Race(repeats, threads, len(layers) + len(transforms), progress)
    with threads_of(threads, threads):
        for name, (make, channels, (height, width)) in layers.items():
            torch.manual_seed(0)
            x = torch.randn(1, channels, height, width)
            x = x.contiguous(memory_format=torch.channels_last)
            ways = _ways(make(), x)
            contestants = [Contestant(way, {"run": lambda _, f=f: f()}) for way, f in ways.items()]  # type: ignore[misc]
            race.run(name, contestants)
            rows += _rows(name, (width, height), contestants)
        for name, (make, channels, (height, width)) in transforms.items():
            torch.manual_seed(0)
            transform, x = make().eval(), torch.rand(1, channels, height, width)
            contestants = _with_and_without(transform, x)
            race.run(name, contestants)
            rows += _rows(name, (width, height), contestants)
        core = core_takes(torch.zeros(1))
        serial = Race(max(1, repeats // 5), threads)
        coders = _raster_coders(*raster)
        serial.run("raster order", coders)
        rows += _rows("raster order of latents", (raster[2], raster[1]), coders)
        machine = describe_machine()
    race.done()
    settings = {"repeats": repeats, "threads": threads, "clock": race.clock_name, "core": core}
    return LayersReport(machine, settings, tuple(rows))


def _rows(name: str, size: tuple[int, int], contestants: list[Contestant]) -> list[LayerRow]:
    ours, *_ = contestants
    return [
        LayerRow(
            layer=name,
            input=f"{size[0]}x{size[1]}",
            way=one.name,
            seconds={step: one.spread(step) for step in one.steps},
            ratios={
                step: None if one is ours else ours.times_as_fast(step, one) for step in one.steps
            },
        )
        for one in contestants
    ]


def _ways(layer: nn.Module, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The layer on x, by kodec's own choice, and the same by PyTorch's alone."""
    found: dict[str, Callable[[], Tensor]] = {"kodec": lambda: layer(x)}
    if isinstance(layer, GDN):
        found["PyTorch"] = lambda: _normalised(layer, x)
    elif isinstance(layer, SubpixelConv2d):
        first, shuffle = layer
        assert isinstance(first, PaddedConv2d)
        found["PyTorch"] = lambda: shuffle(nn.Conv2d.forward(first, x))
    elif isinstance(layer, StrideTwoConvTranspose2d):
        found["PyTorch"] = lambda: nn.ConvTranspose2d.forward(layer, x)
    elif isinstance(layer, PaddedConv2d | PointwiseConv2d):
        found["PyTorch"] = lambda: nn.Conv2d.forward(layer, x)
        if layer.kernel_size == (3, 3) and layer.stride == (1, 1) and _nnpack_is_there():
            # Its minimal filtering takes channels first.
            planes = x.contiguous()
            found["NNPACK"] = lambda: torch._nnpack_spatial_convolution(
                planes, layer.weight, layer.bias, 1
            )
    return found


def _normalised(layer: GDN, x: Tensor) -> Tensor:
    """As CompressAI's layer does it, whose weights are made of what is stored at each call, too."""
    beta, gamma = layer.weights()
    return x * nn.functional.conv2d(x.square(), gamma[..., None, None], beta).rsqrt_()


def _with_and_without(transform: nn.Module, x: Tensor) -> list[Contestant]:
    """A transform of x as it is, and by PyTorch's layers alone."""

    def without(_: Any) -> Tensor:
        with without_layers():
            found: Tensor = transform(x)
        return found

    return [
        Contestant("kodec", {"run": lambda _: transform(x)}),
        Contestant("PyTorch", {"run": without}),
    ]


def _nnpack_is_there() -> bool:
    """Whether PyTorch was built with it, and the CPU is one that it knows."""
    available: bool = torch.backends.nnpack.is_available()
    return available


def _raster_coders(channels: int, height: int, width: int) -> list[Contestant]:
    """Latents alone in raster order, guarded, beside CompressAI's mbt2018 without transforms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compressai.models import JointAutoregressiveHierarchicalPriors
    torch.manual_seed(0)
    theirs = JointAutoregressiveHierarchicalPriors(channels, channels).eval()
    theirs.update(force=True, scale_table=torch.logspace(-0.96, 2.4, 64).tolist())
    theirs.g_a = theirs.g_s = nn.Identity()
    ours: Any = RasterAutoregression(channels, channels, scales="linear").eval()
    build_tables(ours)
    ours.double()
    ours.hyper_analysis.float()
    y = 4 * torch.randn(1, channels, height, width)
    cond = Conditions(y.shape)

    def write(_: Any) -> bytes:
        writer = SymbolWriter(1)
        ours.code(y, cond, writer)
        return writer.finish()[0]

    def read(stream: bytes) -> Tensor:
        reader = SymbolReader([stream])
        y_hat: Tensor = ours.code(None, cond, reader)
        reader.finish()
        return y_hat

    def near(y_hat: Tensor) -> bool:
        return bool(((y_hat - y).abs() <= 0.5 + 1e-6).all())

    return [
        Contestant("kodec", {"encode": write, "decode": read}, near),
        Contestant(
            "CompressAI",
            {
                "encode": lambda _: theirs.compress(y),
                "decode": lambda coded: theirs.decompress(coded["strings"], coded["shape"]),
            },
        ),
    ]
