from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compositions import part
from kodec.codecs import (
    Picture,
    PictureCodec,
    build_module,
    embedded_models,
    save_model,
    write_picture,
)
from photos import photo_like


def tiny_config(variable_rate: bool) -> dict[str, Any]:
    """The default model's config with networks a few channels wide."""
    widths = [4, 4, 8]
    return part(
        "codecs.PictureCodec",
        analysis=part("models.RefinedLappedAnalysis", widths=widths),
        latents=part("entropy.FrequencySlices", width=16, context=8, hyper=8),
        synthesis=part("models.RefinedLappedSynthesis", widths=widths, blocks=1),
        gain=part("entropy.GainUnit", channels=768, lowest=1.15, highest=32.0)
        if variable_rate
        else None,
        portability="guarded",
    )


def save_tiny_model(path: Path, variable_rate: bool) -> None:
    """Write an untrained but calibrated model: its pictures are real, its rates are poor."""
    torch.manual_seed(0)
    config = tiny_config(variable_rate)
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    pictures = np.stack([photo_like(96, 96, seed=seed) for seed in range(4)])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    network.calibrate(x, torch.linspace(0, 63, len(x)) if variable_rate else None)
    save_model(network, config, path, path.stem, {"licence": "CC0"})


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _nothing_left_switched() -> Iterator[None]:
    """What the process has one of comes back as it was: a later test would fail in its place."""
    before = _switches()
    yield
    after = _switches()
    torch.set_grad_enabled(True)
    assert after == before


def _switches() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a variable-rate codec."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_tiny_model(path, variable_rate=True)
    return path


@pytest.fixture(scope="session")
def fixed_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a fixed-rate codec."""
    path = tmp_path_factory.mktemp("models") / "fixed.safetensors"
    save_tiny_model(path, variable_rate=False)
    return path


@pytest.fixture
def default_model() -> str:
    """The embedded default model's name; skips where none is embedded."""
    if not any(entry.name == "default" for entry in embedded_models()):
        pytest.skip("no default model is embedded in this build")
    return "default"


@pytest.fixture
def save_picture(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a picture of a size to a PNG in `tmp_path`."""

    def save(name: str = "in.png", height: int = 40, width: int = 56, components: int = 3) -> Path:
        pixels = photo_like(height, width, components)
        write_picture(tmp_path / name, Picture(pixels))
        return tmp_path / name

    return save
