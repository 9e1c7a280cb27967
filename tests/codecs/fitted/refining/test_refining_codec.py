"""Pictures refined before they are coded: any decoder reads them, and none is worse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compositions import LATENTS, config_of
from kodec.codecs import (
    Codec,
    Objective,
    Picture,
    PictureCodec,
    build_module,
    load,
    save_model,
    to_tensor,
)
from kodec.codecs.fitted import (
    Budget,
    LatentRefinement,
    Moment,
    Phase,
    Ramp,
    RefiningCodec,
    Schedule,
)
from kodec.native import InvalidInputError

Pixels = NDArray[np.uint8]
# Transforms that nobody trained make poor pictures, whose bits count little but for such a lambda.
LAMBDA = 2e-5
STRAIGHT = Schedule((Phase(1.0, Ramp(0.3, 0.1)),), (0, 8))
COLDER = {"temperature": Ramp(0.5, 0.05)}
ANNEALED = Schedule((Phase(1.0, Ramp(0.3, 0.1), COLDER, {"values": "annealed"}),), (0, 8))


def picture(height: int, width: int, components: int = 3) -> Pixels:
    y, x = np.mgrid[:height, :width][..., None]
    waves = 90 * np.sin(x * 0.15 + y * np.linspace(0.05, 0.2, components))
    noise = np.random.default_rng(1).normal(0, 6, (height, width, components))
    pixels: Pixels = (127 + waves + noise).clip(0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def codec_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Codec]:
    """A function that gives a codec of a transform with a latent model, with symbols to code."""

    def build(latents: str, transform: str = "gdn", gain: bool = False, **options: Any) -> Codec:
        torch.manual_seed(0)
        config = config_of((transform, latents, gain))
        network = build_module(config)
        assert isinstance(network, PictureCodec)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
            network.calibrate(
                torch.rand(2, 3, 32, 32), torch.tensor([10.0, 50.0]) if gain else None
            )
            last = [m for m in network.analysis.modules() if hasattr(m, "weight")][-1]
            if transform == "gdn":
                last.weight.mul_(40)  # type: ignore[operator]
        path = tmp_path_factory.mktemp("models") / "small.safetensors"
        options.setdefault("objective", Objective("mse", LAMBDA, LAMBDA))
        save_model(network, config, path, "small", **options)
        return load(path)

    return build


def loss(codec: Codec, data: bytes, pixels: Pixels, lam: float = LAMBDA) -> float:
    error = float((to_tensor(pixels) - to_tensor(codec.decode(data))).square().mean()) * 255**2
    return 8 * len(data) / (pixels.shape[0] * pixels.shape[1]) + lam * error


@pytest.mark.parametrize(
    "latents, schedule",
    [
        *((latents, STRAIGHT) for latents in LATENTS),
        ("mean-scale hyperprior", ANNEALED),
        ("frequency slices", ANNEALED),
    ],
    ids=[*LATENTS, "mean-scale hyperprior, annealed", "frequency slices, annealed"],
)
def test_refined_files_decode_and_are_never_worse(
    latents: str, schedule: Schedule, codec_of: Callable[..., Codec]
) -> None:
    codec = codec_of(latents)
    pixels = picture(37, 51)
    refined = RefiningCodec(codec, Budget(steps=8), schedule).refine(Picture(pixels))
    decoded = codec.decode_picture(refined.coded.data)
    assert np.array_equal(decoded.pixels, refined.coded.reconstruction.pixels)
    before = loss(codec, codec.encode(pixels), pixels)
    after = loss(codec, refined.coded.data, pixels)
    assert after < before if refined.better else refined.coded.data == codec.encode(pixels)
    if latents == "mean-scale hyperprior":
        assert after < 0.99 * before


def test_side_latents_and_gray_and_tiny_pictures(codec_of: Callable[..., Codec]) -> None:
    for transform, gain in (("region adaptive", False), ("gdn", True)):
        codec = codec_of("mean-scale hyperprior", transform, gain)
        refining = RefiningCodec(codec, Budget(steps=3), STRAIGHT)
        for pixels in (picture(20, 33), picture(17, 16, 1), picture(1, 1), np.full((9, 9, 3), 7)):
            data = refining.encode(pixels.astype(np.uint8), 40 if gain else None)
            assert codec.decode(data).shape == pixels.shape


def test_the_objective_is_the_models(codec_of: Callable[..., Codec]) -> None:
    silent = codec_of("mean-scale hyperprior", objective=None)
    with pytest.raises(InvalidInputError, match="does not say what it was trained for"):
        RefiningCodec(silent, Budget(steps=1))
    # With a higher lambda, more bits for a better picture.
    sizes = []
    for lam in (1e-6, 1.0):
        refining = RefiningCodec(silent, Budget(steps=12), STRAIGHT, Objective("mse", lam, lam))
        sizes.append(len(refining.encode(picture(48, 48))))
    assert sizes[0] < sizes[1]
    strange = codec_of("factorised", objective=Objective("vibes", 0.1, 0.1))
    with pytest.raises(InvalidInputError, match="distortion is one of"):
        RefiningCodec(strange, Budget(steps=1)).encode(picture(16, 16))


def test_settings_tell_the_budget(codec_of: Callable[..., Codec]) -> None:
    codec = codec_of("factorised")
    assert RefiningCodec(codec, Budget(steps=9)).settings["refinement"] == "9 steps"
    assert RefiningCodec(codec, Budget(minutes=0.5)).settings["refinement"] == "0.5 minutes"


def test_a_broken_refinement_goes_on_to_the_same_bytes(
    codec_of: Callable[..., Codec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, pixels, state = codec_of("checkerboard"), picture(40, 40), tmp_path / "a.kdc.fit"
    refining = RefiningCodec(codec, Budget(steps=10), STRAIGHT)
    whole = refining.refine(Picture(pixels))
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)

    def stop(done: int, total: int, label: str) -> None:
        if done == 6:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refining.refine(Picture(pixels), show=stop, state=state)
    again = refining.refine(Picture(pixels), state=state, resume=True)
    assert again.coded.data == whole.coded.data and whole.better


def test_large_pictures_are_refined_tile_by_tile(
    codec_of: Callable[..., Codec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients are those of the whole, to where contexts and hyper-networks still see anything."""
    monkeypatch.setattr("kodec.entropy.ports.relaxation.under_noise", lambda x, uniform: x)
    codec = codec_of("mean-scale hyperprior")
    x = to_tensor(picture(16 * 45 - 5, 16 * 40 - 3))

    def fitting() -> LatentRefinement:
        return LatentRefinement(codec.network, x, None, Objective("mse", 0.1, 0.1), LAMBDA, {})

    whole = fitting()
    monkeypatch.setattr("kodec.codecs.fitted.refining.refinement.MOST_PIXELS", 1000)
    monkeypatch.setattr("kodec.codecs.fitted.refining.refinement.TILE", 16)
    tiled = fitting()
    assert tiled.tiled and not whole.tiled
    for one in (whole, tiled):
        one.descend(Moment(Phase(), 0.0, 0, 1))
    for name, value in whole.values.items():
        found = tiled.values[name].grad
        assert value.grad is not None and found is not None
        largest = value.grad.abs().max()
        assert (found - value.grad).abs().max() < 1e-3 * largest, name
    assert RefiningCodec(codec, Budget(steps=8), STRAIGHT).refine(Picture(picture(64, 64))).better
    with pytest.raises(InvalidInputError, match="tile by tile"):
        RefiningCodec(codec_of("factorised", "swin"), Budget(steps=2)).encode(picture(64, 64))
