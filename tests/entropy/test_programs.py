"""Every latent order, through every port: a new latent model joins by one line in `MODELS`."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cuda_backends import Device, Emulation
from kodec.entropy import (
    AdaptiveSlices,
    Block,
    ChannelSlices,
    Checkerboard,
    Coders,
    CompandedIntegers,
    Conditions,
    Distribution,
    FactorisedLatents,
    ForeignCoder,
    FrequencySlices,
    MeanScaleHyperprior,
    MultiReference,
    RasterAutoregression,
    RateMeter,
    RegionAdaptation,
    ScaleHyperprior,
    ScanStep,
    Spatiotemporal,
    SymbolReader,
    SymbolWriter,
    UnevenSlices,
    Uniform,
    build_tables,
    code_blocks,
)
from kodec.entropy.distributions import LocationScale, ScaleTables
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError
from listed_orders import four_steps, quadtree

aten = torch.ops.aten


def adaptive(*features: int) -> dict[str, Any]:
    """Hyper-networks that adapt to regions."""
    return {"adaptation": RegionAdaptation(12, features, (8, 4), (8,), grid=2, centred=True)}


MODELS: dict[str, Callable[[], Any]] = {
    "factorised": lambda: FactorisedLatents(12),
    "factorised, centred": lambda: FactorisedLatents(12, filters=(3, 3), centred=True),
    "scale hyperprior": lambda: ScaleHyperprior(12, 6),
    "mean-scale hyperprior": lambda: MeanScaleHyperprior(channels=12, hyper=6),
    "mean-scale hyperprior, as published": lambda: MeanScaleHyperprior(
        12, 6, scales="linear", prior_filters=(3, 3, 3, 3), centred_prior=True
    ),
    "mean-scale hyperprior, cheng2020": lambda: MeanScaleHyperprior(12, 6, "cheng2020"),
    "mean-scale hyperprior, stf2022": lambda: MeanScaleHyperprior(12, 6, "stf2022"),
    "mean-scale hyperprior, elic2022": lambda: MeanScaleHyperprior(12, 6, "elic2022"),
    "mean-scale hyperprior, ssf2020": lambda: MeanScaleHyperprior(
        12, 6, "ssf2020", scales="linear"
    ),
    "mean-scale hyperprior, laplace": lambda: MeanScaleHyperprior(12, 6, family="laplace"),
    "mean-scale hyperprior, optimised": lambda: MeanScaleHyperprior(12, 6, lagrangian=0.1),
    "checkerboard": lambda: Checkerboard(12, 6),
    "channel slices": lambda: ChannelSlices(12, 6, count=3, support=1, widths=(8,), kernel=3),
    "channel slices, stf2022": lambda: ChannelSlices(
        12, 6, count=4, widths=(8, 8), kernel=3, activation="gelu", networks="stf2022"
    ),
    "channel slices, adaptive to regions": lambda: ChannelSlices(
        *(12, 6, 3, 1, (8,)), kernel=3, networks="stf2022", scales="linear", **adaptive(12, 12)
    ),
    "scale hyperprior, adaptive to regions": lambda: ScaleHyperprior(12, 6, **adaptive(12)),
    "raster, adaptive to regions": lambda: RasterAutoregression(12, 6, **adaptive(24)),
    "uneven slices": lambda: UnevenSlices(12, 6, slices=(2, 4, 6), widths=(8, 8)),
    "multi-reference": lambda: MultiReference(12, 6, count=3, head=4, scales="linear"),
    "multi-reference, narrow": lambda: MultiReference(
        12, 6, count=3, head=4, head_widths=(8,), channel_widths=(6,), residual_widths=(5,)
    ),
    "adaptive slices": lambda: AdaptiveSlices(12, 6, count=3, points=3, scales="linear"),
    "companded": lambda: CompandedIntegers(12),
    "companded, four bits in gray": lambda: CompandedIntegers(12, bits=4, picture="png"),
    "adaptive slices, narrow": lambda: AdaptiveSlices(
        12, 6, count=3, points=3, head_widths=(8,), residual_widths=(5,)
    ),
    "spatiotemporal": lambda: Spatiotemporal(12, 6),
    "quadtree": quadtree,
    "quarters of channels at four phases": four_steps,
    "raster": lambda: RasterAutoregression(12, 6),
    "frequency slices": lambda: FrequencySlices(
        slices=(3, 4, 5), phases=(4, 2, 1), width=16, context=8, hyper=6
    ),
    "frequency slices, gaussian": lambda: FrequencySlices(
        slices=(3, 9), phases=(2, 2), width=16, context=8, hyper=6, family="gaussian"
    ),
    "frequency slices, temporal": lambda: FrequencySlices(
        slices=(3, 9), phases=(4, 2), width=16, context=8, hyper=6, temporal=True
    ),
}
SIZES = [(1, 1), (5, 7)]


def build(name: str) -> Any:
    """A model with weights that give contexts something to do, ready to code."""
    torch.manual_seed(3)
    model = MODELS[name]()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.15)
    for name_, buffer in model.named_buffers():
        if name_.endswith("centre"):
            nn.init.uniform_(buffer, -0.5, 0.5)
    build_tables(model)
    return model.double().eval()


def latents(h: int, w: int, n: int = 2) -> tuple[Tensor, Conditions]:
    torch.manual_seed(h * 100 + w)
    y = torch.randn(n, 12, h, w, dtype=torch.float64) * torch.logspace(1, -1, 12)[:, None, None]
    # Of the frame before, for those that look at it.
    previous = torch.roll(y, 1, dims=3)
    return y, Conditions(y.shape, torch.linspace(5, 60, n), {"temporal": previous})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_reader_returns_what_writer_saw(name: str, size: tuple[int, int]) -> None:
    model = build(name)
    y, cond = latents(*size)
    writer = SymbolWriter(len(y))
    written = model.code(y, cond, writer)
    streams = writer.finish()
    reader = SymbolReader(streams)
    reader.expect(model.symbols(*size))
    assert torch.equal(model.code(None, cond, reader), written)
    reader.finish()


@pytest.fixture(params=[Emulation, Device], ids=["emulation", "device"], scope="module")
def device_coders(request: pytest.FixtureRequest) -> Coders:
    coders: Coders = request.param().coders()
    return coders


BLOCKS_ALONE = [name for name, make in MODELS.items() if not getattr(make(), "host_coded", False)]


@pytest.mark.parametrize("name", BLOCKS_ALONE)
@torch.no_grad()
def test_a_devices_coders_write_and_read_the_same(name: str, device_coders: Coders) -> None:
    model = build(name)
    y, cond = latents(5, 7)
    writer, on_host = SymbolWriter(len(y), device_coders), SymbolWriter(len(y))
    written = model.code(y, cond, writer)
    assert torch.equal(model.code(y, cond, on_host), written)
    streams = writer.finish()
    assert streams == on_host.finish(segments=1, lanes=0)
    reader = SymbolReader(streams, device_coders)
    reader.expect(model.symbols(5, 7))
    assert torch.equal(model.code(None, cond, reader), written)
    reader.finish()


@torch.no_grad()
def test_what_a_devices_coders_do_not_take_is_said(device_coders: Coders) -> None:
    y, cond = latents(5, 7)
    model = build("companded")
    with pytest.raises(UnsupportedError, match="are coded on the host"):
        model.code(y, cond, SymbolWriter(len(y), device_coders))
    streams = SymbolWriter(2).finish()
    with pytest.raises(UnsupportedError, match="are coded on the host"):
        SymbolReader(streams, device_coders).snap("state", y, 2.0**-16, 1e-11)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_items_do_not_depend_on_their_batch(name: str) -> None:
    model = build(name)
    y, cond = latents(5, 7, n=3)
    writer = SymbolWriter(3)
    model.code(y, cond, writer)
    together = writer.finish()
    assert cond.quality is not None
    for i in range(3):
        alone = SymbolWriter(1)
        known = {name: value[i : i + 1] for name, value in cond.known.items()}
        own = Conditions(y[i : i + 1].shape, cond.quality[i : i + 1], known)
        model.code(y[i : i + 1], own, alone)
        assert alone.finish()[0] == together[i]


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_bytes_are_close_to_estimated_bits(name: str) -> None:
    model = build(name)
    y, cond = latents(32, 32, n=1)
    meter, writer = RateMeter(training=False), SymbolWriter(1)
    estimated = model.code(y, cond, meter)
    assert torch.equal(estimated, model.code(y, cond, writer))
    size = len(writer.finish()[0])
    # Escapes are cheaper in the stream than in a Gaussian's tail, hence no lower bound near 1.
    assert size <= 1.01 * meter.total().item() / 8 + 64


@pytest.mark.parametrize("name", MODELS)
def test_training_meter_gives_gradients_to_every_weight(name: str) -> None:
    model = build(name).float().train()
    y, cond = latents(8, 8)
    y = y.float().requires_grad_()
    meter = RateMeter(training=True)
    y_hat = model.code(y, cond, meter)
    (meter.total().sum() + y_hat.square().sum()).backward()
    missing = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert not missing
    assert y.grad is not None and y.grad.isfinite().all() and y.grad.abs().sum() > 0


class _NoWaiting(TorchDispatchMode):
    """Refuses what makes the host wait for a device, which the meta device stands for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (aten.nonzero.default, aten._local_scalar_dense.default), func
        out = func(*args, **(kwargs or {}))
        if func in (aten._to_copy.default, aten.copy_.default):
            devices = {t.device.type for t in (*args, out) if isinstance(t, Tensor)}
            assert len(devices) == 1, f"{func} between {devices}"
        return out


# Of each order once, its networks are all alike here. Of normalisation's `torch.autocast`, the meta
# device is none, which leaves out what adapts to regions.
@pytest.mark.parametrize("name", [name for name in MODELS if "," not in name])
def test_training_does_not_wait_for_a_device(name: str) -> None:
    model = MODELS[name]().to("meta").train()
    if hasattr(model, "lagrangian"):
        model.lagrangian = 0.1
    y = torch.empty(2, 12, 8, 8, device="meta")
    cond = Conditions(y.shape, torch.empty(2, device="meta"))
    # What is sent once, positions among it, is there from the second step on.
    for watched in (contextlib.nullcontext(), _NoWaiting()):  # type: ignore[no-untyped-call]
        with watched:
            meter = RateMeter(training=True)
            y_hat = model.code(y.requires_grad_(), cond, meter)
            (meter.total().sum() + y_hat.sum()).backward()


@pytest.mark.parametrize("family", ["laplace", "gaussian"])
def test_a_block_is_quantised_once_in_training(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    quantise = LocationScale.quantise

    def counted(self: LocationScale, y: Tensor) -> Tensor:
        calls.append(y)
        return quantise(self, y)

    monkeypatch.setattr(LocationScale, "quantise", counted)
    y = 3 * torch.randn(2, 50)
    block = LocationScale(torch.zeros_like(y), torch.zeros_like(y), ScaleTables(family), 0.1)
    meter = RateMeter(training=True)
    y_hat = meter.code("y", y, block)
    assert len(calls) == 1
    assert torch.equal(y_hat, block.dequantise(quantise(block, y)))


class Recorder:
    """A port that keeps each block's distribution and replaces symbols on request."""

    def __init__(self, values: list[Tensor] | None = None) -> None:
        self.values = values
        self.coded: list[Tensor] = []
        self.indexes: list[Tensor] = []
        self.means: list[Tensor] = []
        self.costs: list[Tensor] = []

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        if self.values is None:
            assert y is not None
            symbols = dist.quantise(y)
        else:
            symbols = self.values[len(self.coded)]
        symbols = symbols.contiguous()
        self.coded.append(symbols)
        self.indexes.append(dist.indexes()[0])
        self.means.append(dist.dequantise(torch.zeros_like(symbols)))
        self.costs.append(dist.bits(dist.dequantise(torch.ones_like(symbols))))
        return dist.dequantise(symbols)

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        return code_blocks(self, name, y, fronts, step)

    def integers(self, name: str, values: Tensor | None, high: int, shape: torch.Size) -> Tensor:
        raise AssertionError("these models send no side integers")

    def snap(self, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        raise AssertionError("these models snap no state")

    def payload(self, name: str, y: Tensor | None, coder: ForeignCoder) -> Tensor:
        pytest.skip("a payload has no distributions, and nothing is coded after it")


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_causality(name: str) -> None:
    """Changing a symbol changes no distribution at or before it, and some after it."""
    model = build(name)
    y, cond = latents(6, 6, n=1)
    first = Recorder()
    model.code(y, cond, first)
    for block in range(len(first.coded)):
        values = [v.clone() for v in first.coded]
        values[block].view(-1)[values[block].numel() // 2] += 3
        second = Recorder(values)
        model.code(None, cond, second)
        for b in range(block + 1):
            assert torch.equal(first.means[b], second.means[b])
            assert torch.equal(first.indexes[b], second.indexes[b])
        if block == 0 and len(first.coded) > 1:
            later = zip(first.costs[1:], second.costs[1:], strict=True)
            assert any(not torch.equal(a, b) for a, b in later)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_guard_absorbs_small_differences_and_reports_large_ones(name: str) -> None:
    """Scales off by up to the guard decode exactly; off by a hundred times that is an error."""
    model = build(name)
    if not hasattr(model, "scale_tables"):
        pytest.skip("no scales are predicted")
    model.scale_tables.guard = 1e-4
    y, cond = latents(24, 24, n=1)
    writer = SymbolWriter(1)
    written = model.code(y, cond, writer)
    (stream,) = writer.finish()
    exact = model.scale_tables.indexes

    def disturbed(amount: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(1)

        def indexes(log_scale: Tensor) -> tuple[Tensor, Tensor]:
            noise = torch.rand(log_scale.shape, generator=generator, dtype=torch.float64) * 2 - 1
            return exact(log_scale + amount * noise.sign() * noise.abs().clamp(min=0.5))  # type: ignore[no-any-return]

        return indexes

    model.scale_tables.indexes = disturbed(0.99e-4)
    reader = SymbolReader([stream])
    assert torch.equal(model.code(None, cond, reader), written)
    reader.finish()

    model.scale_tables.indexes = disturbed(1e-2)
    with pytest.raises(BitstreamError):
        reader = SymbolReader([stream])
        model.code(None, cond, reader)
        reader.finish()


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_exact_models_are_those_that_no_float_can_mislead(name: str) -> None:
    """With tables as they were and weights a little off, as no other machine's would be."""
    model = build(name)
    y, cond = latents(16, 24)
    writer = SymbolWriter(len(y))
    written = model.code(y, cond, writer)
    for parameter in model.parameters():
        parameter.mul_(1 + 0.02 * torch.randn_like(parameter))
    reader = SymbolReader(writer.finish())
    if getattr(model, "exact", False):
        assert torch.equal(model.code(None, cond, reader), written)
        reader.finish()
    else:
        with pytest.raises(BitstreamError):
            model.code(None, cond, reader)
            reader.finish()


def test_integers_round_trip_and_refuse_what_is_out_of_range() -> None:
    for high in (1, 2, 255, 256, 1000, 70000):
        values = torch.randint(0, high, (2, 9))
        writer = SymbolWriter(2)
        assert torch.equal(writer.integers("ids", values, high, values.shape), values)
        reader = SymbolReader(writer.finish())
        assert torch.equal(reader.integers("ids", None, high, values.shape), values)
        reader.finish()
        meter = RateMeter(training=False)
        meter.integers("ids", values, high, values.shape)
        assert meter.total().shape == (2,)
    with pytest.raises(InvalidInputError, match="0..3"):
        SymbolWriter(1).integers("ids", torch.tensor([[4]]), 4, torch.Size((1, 1)))
    assert Uniform(torch.Size((1, 3)), 8).bits(torch.zeros(1, 3)).sum() == 9


@pytest.mark.parametrize("name", ["mean-scale hyperprior", "frequency slices", "raster"])
@torch.no_grad()
def test_given_hyper_latents_are_coded_in_place_of_the_analysis_own(name: str) -> None:
    """What an encoder may refine before it codes: any decoder reads it."""
    model = build(name)
    y, cond = latents(5, 7)
    own = model.hyper_latents(y, cond)
    streams = []
    for z in (None, own, own + 3):
        writer = SymbolWriter(2)
        sent = model.code(y, cond, writer, z)
        streams.append(writer.finish())
        reader = SymbolReader(streams[-1])
        assert torch.equal(model.code(None, cond, reader), sent)
        reader.finish()
    assert streams[0] == streams[1] != streams[2]


def test_models_without_hyper_latents_refuse_them() -> None:
    y, cond = latents(4, 4, n=1)
    for name in ("factorised", "companded"):
        assert build(name).hyper_latents(y, cond) is None
        with pytest.raises(InvalidInputError, match="no hyper-latents"):
            build(name).code(y, cond, RateMeter(training=False), z=y)


def test_latents_that_cannot_be_coded_are_refused() -> None:
    model = build("mean-scale hyperprior")
    y, cond = latents(4, 4, n=1)
    for value in (float("nan"), float("inf"), 1e12):
        bad = y.clone()
        bad[0, 0, 0, 0] = value
        with torch.no_grad(), pytest.raises(InvalidInputError, match="out of the coder's range"):
            model.code(bad, cond, SymbolWriter(1))
