"""Whole pictures to whole files, for any composition of parts: one joins by a line below."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from compositions import LATENTS, SIDES, TRANSFORMS, config_of
from cuda_backends import Emulation
from exact_latents import ExactRaster
from kodec.codecs import (
    Codec,
    ModelInfo,
    Picture,
    PictureCodec,
    build_module,
    load,
    read_container,
    save_model,
)
from kodec.entropy import RateMeter, SymbolReader, SymbolWriter
from kodec.models import (
    GDNAnalysis,
    GDNSynthesis,
    RefinedLappedAnalysis,
    RefinedLappedSynthesis,
)
from kodec.native import BitstreamError, InvalidInputError, MismatchError, UnsupportedError

Pixels = NDArray[np.uint8]


# Parts meet in latents alone: each transform with one latent model, each latent model with one
# transform; other pairs meet in test_compositions.py.
CODECS = [
    *((transform, "frequency slices", gain) for transform in TRANSFORMS for gain in (True, False)),
    *(("gdn", latents, gain) for latents in LATENTS for gain in (True, False)),
]
CODECS = list(dict.fromkeys(CODECS))
every_codec = pytest.mark.parametrize(
    "key", CODECS, ids=lambda key: ", ".join(key[:2]) + (", variable rate" if key[2] else "")
)
# Height, width, components, quality: each size and each kind of picture at either end.
PICTURES = [(1, 1, 3, 63), (1, 1, 1, 0), (17, 33, 1, 63), (64, 48, 3, 0), (33, 48, 3, 63)]


@cache
def codec_of(
    key: tuple[str, str, bool], portability: str = "guarded", seed: int = 0, noise: float = 0.02
) -> Codec:
    """Through a model file; with weights that give every network something to do."""
    torch.manual_seed(seed)
    config = config_of(key, portability)
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
        quality = torch.tensor([10.0, 50.0]) if key[2] else None
        network.calibrate(torch.rand(2, 3, 32, 32), quality)
        if not key[2] and key[0] == "refined lapped":
            # Without gains, latents are far below one quantisation step.
            analysis, synthesis = network.analysis, network.synthesis
            assert isinstance(analysis, RefinedLappedAnalysis)
            assert isinstance(synthesis, RefinedLappedSynthesis)
            analysis.linear.basis.mul_(30)
            synthesis.linear.basis.div_(30)
        elif not key[2]:
            make_loud(network)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(network, config, path, "small")
        return load(path)


def make_loud(network: PictureCodec) -> None:
    """Scale the analysis' last layer: latents of some quantisation steps, symbols to code."""
    x = torch.rand(1, 3, 64, 64)
    cond = network.conditions((1, 64, 64), None)
    y = network.eval().analyse(network.pad(x), cond, RateMeter(training=False)).y
    layers = [
        layer
        for name, layer in network.analysis.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "gate" not in name and "trunk" not in name
    ]
    for values in layers[-1].parameters():
        values.mul_(4 / y.std())


def picture(height: int, width: int, components: int = 3) -> Pixels:
    y, x = np.mgrid[:height, :width][..., None]
    rng = np.random.default_rng(height)
    waves = np.sin(x * rng.uniform(0, 0.4, components) + y * rng.uniform(0, 0.4, components))
    noisy = 127 + 90 * waves + rng.normal(0, 8, (height, width, components))
    clipped: NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return clipped


def quality_of(key: tuple[str, str, bool], quality: int) -> int | None:
    return quality if key[2] else None


@every_codec
def test_files_decode_to_the_encoders_reconstruction(key: tuple[str, str, bool]) -> None:
    codec = codec_of(key)
    for height, width, components, quality in PICTURES:
        given = Picture(picture(height, width, components), icc=b"profile")
        coded = codec.code_picture(given, quality_of(key, quality))
        assert coded.latents is not None
        if height > 1 and quality:
            assert (coded.latents.y_hat.abs() >= 0.5).float().mean() > 0.01
        encoded = codec.reconstruct(coded)
        decoded = codec.decode_picture(encoded.data)
        assert np.array_equal(decoded.pixels, encoded.reconstruction.pixels)
        assert decoded.pixels.shape == (height, width, components)
        assert decoded.icc == b"profile" and decoded.exif is None


@every_codec
def test_bytes_are_close_to_the_estimate(key: tuple[str, str, bool]) -> None:
    codec = codec_of(key)
    pixels = picture(64, 96)
    for quality in (20, 60) if key[2] else (0,):
        bits = codec.estimate_bits(Picture(pixels), quality_of(key, quality))
        size = len(codec.encode(pixels, quality_of(key, quality)))
        assert set(bits) - {"z"}
        assert size <= 1.01 * sum(bits.values()) / 8 + 64


@every_codec
@torch.inference_mode()
def test_one_program_for_every_port(key: tuple[str, str, bool]) -> None:
    network = codec_of(key).network
    torch.manual_seed(1)
    x = torch.rand(2, 3, 20, 35)
    quality = torch.tensor([5.0, 55.0]) if key[2] else None
    size = (2, 20, 35)
    writer, meter = SymbolWriter(2), RateMeter(training=False)
    written = network.code(x, size, quality, writer)
    estimated = network.code(x, size, quality, meter)
    assert torch.equal(written.y_hat, estimated.y_hat)
    streams = writer.finish()
    reader = SymbolReader(streams)
    reader.expect(network.symbols_per_item(20, 35))
    read = network.code(None, size, quality, reader)
    reader.finish()
    assert torch.equal(read.y_hat, written.y_hat) and torch.equal(read.x_hat, written.x_hat)
    assert read.x_hat.shape == x.shape


def test_a_devices_coders_write_and_read_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_of(CODECS[0])
    pixels = picture(40, 50)
    data = codec.encode(pixels, 40)
    coders = Emulation().coders()
    monkeypatch.setattr("kodec.codecs.coded_transform.coders_of", lambda device: coders)
    assert codec.encode(pixels, 40) == data
    assert np.array_equal(
        codec.decode(data), codec.encode_picture(Picture(pixels), 40).reconstruction.pixels
    )


def test_all_images_that_are_taken() -> None:
    codec = codec_of(CODECS[0])
    pixels = picture(20, 30)
    data = codec.encode(pixels, 40)
    assert codec.encode(Image.fromarray(pixels), 40) == data
    gray = picture(20, 30, 1)
    assert codec.encode(gray[..., 0], 40) == codec.encode(gray, 40)
    assert codec.encode(Image.fromarray(gray[..., 0]), 40) == codec.encode(gray, 40)
    assert codec.encode(pixels[::-1, ::-1], 40) != data
    assert codec.decode(codec.encode(pixels[::-1, ::-1], 40)).shape == (20, 30, 3)
    wrongs: list[Any] = [
        pixels.astype(np.float32),
        pixels[..., None],
        np.zeros((0, 4, 3), np.uint8),
    ]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError):
            codec.encode(wrong)
    with pytest.raises(UnsupportedError):
        codec.encode(Image.new("CMYK", (4, 4)))
    for kind in (np.uint8, np.uint16):
        for components in (2, 4):
            samples = np.dstack([pixels, pixels[..., :1]])[..., -components:].astype(kind)
            decoded = codec.decode(codec.encode(samples, 40))
            assert decoded.shape == samples.shape and decoded.dtype == kind
            assert np.array_equal(
                codec.decode(codec.encode(Image.fromarray(samples.astype(np.uint8)), 40)).shape,
                samples.shape,
            )


def test_pixels_that_can_not_be_written_are_taken_without_a_warning() -> None:
    codec = codec_of(CODECS[0])
    pixels = picture(17, 33)
    data = codec.encode(pixels)
    pixels.flags.writeable = False
    assert codec.encode(pixels) == data
    assert codec.encode(np.asarray(Image.fromarray(pixels))) == data


@pytest.mark.parametrize("quality", [-1, 64, 3.5, "32", True])
def test_wrong_qualities_are_refused(quality: Any) -> None:
    with pytest.raises(InvalidInputError, match="quality"):
        codec_of(CODECS[0]).encode(picture(8, 8), quality)


def test_quality_of_a_fixed_rate_model() -> None:
    fixed = codec_of(("gdn", "mean-scale hyperprior", False))
    with pytest.raises(InvalidInputError, match="one fixed rate"):
        fixed.encode(picture(8, 8), 32)
    assert not fixed.variable_rate


def test_quality_defaults_to_the_middle_and_changes_the_file() -> None:
    codec = codec_of(("refined lapped", "frequency slices", True), noise=0.0)
    pixels = picture(64, 64)
    files = {quality: codec.encode(pixels, quality) for quality in (0, 32, 63)}
    assert codec.encode(pixels) == files[32]
    assert len(files[0]) < len(files[32]) < len(files[63])
    errors = [np.abs(codec.decode(f).astype(int) - pixels).mean() for f in files.values()]
    assert errors[0] > errors[1] > errors[2]


def test_another_models_file_is_refused() -> None:
    key = CODECS[0]
    data = codec_of(key).encode(picture(16, 16), 32)
    other = codec_of(key, seed=1)
    with pytest.raises(UnsupportedError, match=other.info.model_id.hex()):
        other.decode(data)


def test_local_models_code_on_this_machine() -> None:
    local = codec_of(("gdn", "frequency slices", True), portability="local")
    assert next(local.network.latents.parameters()).dtype == torch.float32
    encoded = local.encode_picture(Picture(picture(33, 47)), 50)
    decoded = local.decode_picture(encoded.data)
    assert np.array_equal(decoded.pixels, encoded.reconstruction.pixels)


def test_local_files_are_refused_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is decoded: a layer of another version may change float32 bits."""
    local = codec_of(("gdn", "frequency slices", True), portability="local")
    data = local.encode(picture(17, 19))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 57)
    with pytest.raises(UnsupportedError, match="decodes only where it was made.*57 threads"):
        local.decode(data)


@pytest.mark.parametrize("asked", ["guarded", "exact"])
@pytest.mark.parametrize("latents", ["factorised", "companded"])
def test_a_model_without_predicted_scales_is_exact(latents: str, asked: str) -> None:
    codec = codec_of(("gdn", latents, True), portability=asked)
    assert codec.info.portability == codec.settings["portability"] == "exact"
    encoded = codec.encode_picture(Picture(picture(33, 47)), 50)
    assert read_container(encoded.data).header.portability == "exact"
    assert np.array_equal(codec.decode(encoded.data), encoded.reconstruction.pixels)
    assert codec_of(("gdn", latents, True), portability="local").info.portability == "local"


def exact_network() -> PictureCodec:
    torch.manual_seed(4)
    transforms = [GDNAnalysis(width=4, latents=6), GDNSynthesis(width=4, latents=6)]
    network = PictureCodec(transforms[0], ExactRaster(6), transforms[1], portability="exact")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for layer in network.analysis.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(3)
    return network


def test_a_model_of_integer_layers_is_exact() -> None:
    codec = Codec(exact_network().deploy(), ModelInfo("exact", {}, bytes(8)))
    encoded = codec.encode_picture(Picture(picture(33, 47)))
    header = read_container(encoded.data).header
    assert header.portability == "exact" and header.machine == b""
    assert encoded.data[-40:] != codec.encode(picture(33, 47)[::-1])[-40:]
    # As far as two machines' floats may be apart, and further.
    with torch.no_grad():
        for parameter in codec.network.latents.parameters():
            parameter.mul_(1 + 1e-9)
    assert np.array_equal(codec.decode(encoded.data), encoded.reconstruction.pixels)


def test_integer_layers_that_may_round_are_refused() -> None:
    network = exact_network()
    with torch.no_grad():
        network.latents.order.layers[0].weight.fill_(2.0**40)  # type: ignore[index,union-attr]
    with pytest.raises(InvalidInputError, match="beyond 2\\^53"):
        network.deploy()


def test_damaged_files_are_refused() -> None:
    codec = codec_of(CODECS[0])
    data = codec.encode(picture(24, 24), 60)
    for length in (0, 3, len(data) // 2, len(data) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(data[:length])
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((BitstreamError, UnsupportedError)):
            codec.decode(bytes(changed))


def test_parts_that_do_not_fit_are_refused() -> None:
    config = config_of(("gdn", "mean-scale hyperprior", True))
    config["init_args"]["gain"]["init_args"]["channels"] = 7
    with pytest.raises(InvalidInputError, match="7 channels"):
        build_module(config)
    config = config_of(("gdn", "mean-scale hyperprior", False))
    config["init_args"]["latents"]["init_args"]["channels"] = 7
    network = build_module(config)
    with pytest.raises(InvalidInputError, match="analysis gives latents"):
        network.code(torch.rand(1, 3, 16, 16), (1, 16, 16), None, RateMeter(training=True))  # type: ignore[operator]
    config["init_args"]["side"] = SIDES["region adaptive"]
    with pytest.raises(InvalidInputError, match="side latents"):
        build_module(config)
    config["init_args"]["side"] = None
    for portability, words in (
        ("hopeful", "exact, guarded or local, not 'hopeful'"),
        ("exact", r"can't be exact: in latents \(\w+\) floating-point numbers choose tables"),
    ):
        config["init_args"]["portability"] = portability
        with pytest.raises(InvalidInputError, match=words):
            build_module(config)
    config["init_args"]["portability"] = "guarded"
    for place, other in (("latents", "analysis"), ("synthesis", "latents"), ("gain", "synthesis")):
        wrong = {**config["init_args"], place: config["init_args"][other]}
        with pytest.raises((InvalidInputError, BitstreamError), match=place):
            build_module({**config, "init_args": wrong})


def test_gradients_reach_every_weight() -> None:
    for key in CODECS:
        torch.manual_seed(0)
        network = build_module(config_of(key))
        for parameter in network.parameters():
            parameter.data.add_(0.02 * torch.randn_like(parameter))
        quality = torch.tensor([10.0, 50.0]) if key[2] else None
        meter = RateMeter(training=True)
        x = torch.rand(2, 3, 48, 48)
        coded = network.code(x, (2, 48, 48), quality, meter)  # type: ignore[operator]
        (meter.total().mean() / 1000 + (coded.x_hat - x).square().mean()).backward()
        missing = [n for n, p in network.named_parameters() if p.grad is None]
        assert not missing, key


HYPERPRIOR = ("gdn", "mean-scale hyperprior", True)


def test_what_encoding_computes_can_be_fitted_on() -> None:
    codec = codec_of(HYPERPRIOR)
    seen = []
    hook = codec.network.analysis.register_forward_hook(lambda *call: seen.append(call[2]))
    for use in (codec.encode, lambda p: codec.encode_picture(Picture(p)),
                lambda p: codec.estimate_bits(Picture(p))):  # fmt: skip
        use(picture(16, 16))
    hook.remove()
    for y in seen:
        y.requires_grad_()
        (codec.network.synthesis(y, torch.tensor([20.0])) - 0.5).square().sum().backward()
        assert y.grad is not None and y.grad.abs().sum() > 0


def test_nothing_is_made_of_a_stream_before_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_of(HYPERPRIOR)
    data = codec.encode(picture(16, 16))
    made: list[object] = []
    monkeypatch.setattr(codec.network, "reconstruct", lambda *arguments: made.append(arguments))

    def refuse(reader: SymbolReader) -> None:
        raise MismatchError("another machine")

    monkeypatch.setattr(SymbolReader, "finish", refuse)
    with pytest.raises(MismatchError, match="another machine"):
        codec.decode(data)
    assert not made


def test_a_scale_that_is_none_is_a_mismatch() -> None:
    codec = codec_of(HYPERPRIOR)
    data = codec.encode(picture(16, 16))
    layer = codec.network.latents.get_submodule("hyper_synthesis")
    hook = layer.register_forward_hook(lambda *call: call[2] * torch.nan)
    try:
        with pytest.raises(MismatchError, match="a scale is not a number"):
            codec.decode(data)
        with pytest.raises(InvalidInputError):
            codec.encode(picture(16, 16))
    finally:
        hook.remove()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_picture_that_is_not_finite_is_an_error(value: float) -> None:
    codec = codec_of(HYPERPRIOR)
    data = codec.encode(picture(16, 16))
    hook = codec.network.synthesis.register_forward_hook(lambda *call: call[2].fill_(value))
    try:
        with pytest.raises(InvalidInputError, match="reconstruction is not finite"):
            codec.encode_picture(Picture(picture(16, 16)))
        with pytest.raises(BitstreamError, match="decodes to is not finite"):
            codec.decode(data)
    finally:
        hook.remove()
