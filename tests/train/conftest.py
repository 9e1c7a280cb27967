"""A folder of rendered pictures, and configs of runs that take a second."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from compositions import part
from video_clips import moving, write_video

Config = dict[str, Any]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bit for bit is promised for one thread; and more of them gain nothing here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of waves and noise, 72 x 56, one of them gray."""
    folder = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:56, :72][..., None]
    for number in range(5):
        rng = np.random.default_rng(number)
        waves = [
            np.sin(x * rng.uniform(-0.3, 0.3, 3) + y * rng.uniform(-0.3, 0.3, 3)) for _ in "ab"
        ]
        pixels = 127 + 50 * sum(waves) + rng.normal(0, 4, (56, 72, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        (image.convert("L") if number == 2 else image).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def tiny_config(pictures: Path) -> Config:
    """A variable-rate codec of 20,000 weights, 12 steps, a checkpoint after every fifth."""
    latents = {"slices": [4, 8], "phases": [2, 2], "width": 8, "context": 4, "hyper": 4}
    codec = part(
        "codecs.PictureCodec",
        analysis=part("models.GDNAnalysis", width=8, latents=12),
        latents=part("entropy.FrequencySlices", **latents),
        synthesis=part("models.GDNSynthesis", width=8, latents=12),
        gain=part("entropy.GainUnit", channels=12),
    )
    return {
        "trainer": {
            "max_steps": 12,
            "checkpoint_every": 5,
            "val_check_interval": 4,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 3,
            "gradient_clip_val": 1.0,
            "accelerator": "cpu",
            "devices": 1,
            "precision": "32-true",
            "enable_progress_bar": False,
        },
        "data": {
            "dataset": str(pictures),
            "crop": 32,
            "batch_size": 2,
            "validation_pictures": 1,
        },
        "model": {
            "lambda_low": 0.001,
            "lambda_high": 0.1,
            "learning_rate": 1e-3,
            "slow": {"analysis": 0.1},
            "warmup": 2,
            "validation_qualities": [8],
            "codec": codec,
        },
    }


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 64 x 48, 24 frames each."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        write_video(folder / f"{seed}.mkv", moving(24, seed=seed))
    return folder


@pytest.fixture
def sequence_config(videos: Path, tiny_config: Config) -> Config:
    """A model of sequences, 12 steps in three phases, a checkpoint after every fifth."""
    return {
        "trainer": tiny_config["trainer"],
        "data": {
            "class_path": "kodec.train.ClipData",
            "init_args": {
                "dataset": str(videos),
                "crop": 32,
                "batch_size": 2,
                "validation_frames": 3,
            },
        },
        "model": {
            "class_path": "kodec.train.SequenceRateDistortion",
            "init_args": {
                "phases": [
                    {"steps": 4, "frames": 2},
                    {"steps": 3, "frames": 3, "detach": "intra"},
                    {"steps": 1, "frames": 4, "checkpointing": True, "learning_rate": 0.5},
                ],
                "lambda_low": 0.001,
                "lambda_high": 0.1,
                "learning_rate": 1e-3,
                "warmup": 2,
                "validation_qualities": [8],
                "codec": {"class_path": "toy_sequence.ToySequence", "init_args": {}},
            },
        },
    }


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes a config; gives the arguments of `kodec train` that run it in `tmp_path/<name>`."""

    def write(config: Config, name: str, *more: str) -> list[str]:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        root = f"--trainer.default_root_dir={tmp_path / name}"
        return ["--config", str(path), root, *more]

    return write
