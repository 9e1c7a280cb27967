"""Every config in the repository parses, its codec builds at the published size, and trains."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

import kodec.train
from kodec.codecs import PictureCodec, build_module
from kodec.entropy import RateMeter
from kodec.train import ClipData, RateDistortion, SequenceRateDistortion, train
from kodec.train.cli import read_config
from kodec.train.data import Crops
from video_clips import moving, write_video

CONFIGS = sorted((Path(kodec.train.__file__).parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_builds(path: Path, tmp_path: Path) -> None:
    cli = read_config(["--config", str(path), f"--trainer.default_root_dir={tmp_path}"])
    text = path.read_text()
    assert f"kodec train --config train/configs/{path.name}" in text
    assert f"default_root_dir: runs/{path.stem}" in text
    if isinstance(cli.model, SequenceRateDistortion):
        assert isinstance(cli.datamodule, ClipData)
        return
    assert isinstance(cli.model.codec, PictureCodec)
    # MS-SSIM needs 161 pixels; and whole latent positions waste no part of a crop.
    assert cli.datamodule.crop >= (161 if cli.model.objective.distortion == "ms-ssim" else 64)
    assert cli.datamodule.crop % cli.model.codec.stride == 0
    crops = torch.rand(1, 3, cli.model.codec.stride, 2 * cli.model.codec.stride)
    quality = torch.tensor([20.0]) if cli.model.codec.variable_rate else None
    size = (1, *crops.shape[-2:])
    coded = cli.model.codec.code(crops, size, quality, RateMeter(training=True))
    assert coded.y_hat.shape == (1, cli.model.codec.latent_model.channels, 1, 2)
    assert coded.x_hat.shape == crops.shape


# Widths that published systems have and configs leave out, and ones for a test.
NARROW = {
    "UnevenSlices": {"widths": [8, 4]},
    "MultiReference": {"head_widths": [8], "channel_widths": [6], "residual_widths": [5]},
    "AdaptiveSlices": {"head_widths": [8], "residual_widths": [5]},
}


def shrunk(value: Any, key: str = "") -> Any:
    """A codec section with the same parts, a sixteenth as wide."""
    if isinstance(value, dict) and "class_path" in value:
        own = NARROW.get(value["class_path"].rpartition(".")[2], {})
        return {**value, "init_args": {**shrunk(value.get("init_args", {})), **own}}
    if isinstance(value, dict):
        # The lapped transforms' channels are as many as their pixels have: their slices stay.
        lapped = (768, 384)
        stays = value.get("channels") in lapped or sum(value.get("slices", [])) in lapped
        kept = ("channels", "slices") if stays else ()
        return {k: v if k in kept else shrunk(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [shrunk(item, key) for item in value]
    if key == "heads":
        return 1
    if key == "enhancement":
        # Growth at full resolution, in bfloat16 a minute on CPUs without it.
        return None
    return value // 16 if isinstance(value, int) and value >= 16 else value


TOY = "a toy sequence"


@pytest.mark.parametrize("path", [*CONFIGS, Path(TOY)], ids=lambda path: path.stem)
def test_config_trains_in_mixed_precision_as_in_single(
    path: Path,
    pictures: Path,
    sequence_config: dict[str, Any],
    tmp_path: Path,
    arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two steps; of the first one's weights and batch, single precision gives the same bits."""
    config = sequence_config if path.stem == TOY else yaml.safe_load(path.read_text())
    is_sequence = "class_path" in config["model"]
    model = config["model"]["init_args"] if is_sequence else config["model"]
    model["codec"] = shrunk(model["codec"])
    # A model as small has no weights to start from.
    model.pop("start_from", None)
    # The rounding of a few latents more or less is no per cent of the bits of so many pixels.
    crop = 176 if model.get("distortion") == "ms-ssim" else 96
    config["data"] = {"dataset": str(large(pictures, tmp_path)), "crop": crop, "batch_size": 1}
    if is_sequence:
        clips = {"dataset": str(large_videos(tmp_path)), "crop": 128, "batch_size": 1}
        config["data"] = {"class_path": "kodec.train.ClipData", "init_args": clips}
        model["phases"] = [{"steps": 1, "frames": 3, "checkpointing": True}]
    config["trainer"] = {
        "max_steps": 2,
        "accelerator": "cpu",
        "precision": "bf16-mixed",
        "limit_val_batches": 0,
        "enable_progress_bar": False,
        "logger": False,
    }
    figures: list[dict[str, float]] = []
    module: Any = SequenceRateDistortion if is_sequence else RateDistortion
    step = module.training_step

    def both(self: Any, crops: Crops, batch_idx: int) -> Tensor:
        if self.global_step == 0:
            with torch.autocast("cpu", enabled=False):
                step(self, crops, batch_idx).backward()
            trained = [p for p in self.parameters() if p.requires_grad]
            assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
            self.zero_grad()
        loss: Tensor = step(self, crops, batch_idx)
        return loss

    def record(self: Any, seen: Mapping[str, Tensor], *_: Any, **__: Any) -> None:
        figures.append({name: float(value.detach()) for name, value in seen.items()})

    monkeypatch.setattr(module, "training_step", both)
    monkeypatch.setattr(module, "_record", record)
    train(arguments(config, "run"))
    assert len(figures) == 3
    assert all(math.isfinite(f["loss"]) for f in figures)
    single, mixed, _ = (f["bpp"] for f in figures)
    assert mixed == pytest.approx(single, rel=0.01, abs=0.004)


def large(pictures: Path, folder: Path) -> Path:
    """A folder with one picture that has room for MS-SSIM."""
    (folder / "large").mkdir()
    with Image.open(pictures / "0.png") as image:
        image.resize((192, 176)).save(folder / "large" / "0.png")
    return folder / "large"


def large_videos(folder: Path) -> Path:
    """A folder with one video of 192 x 176."""
    (folder / "videos").mkdir()
    write_video(folder / "videos" / "0.mkv", moving(9, 176, 192))
    return folder / "videos"


# Parameters of the authors' public code, or CompressAI's at the same widths, and channels under
# factorised priors (z or, without z, y; prototypes): theirs have three quantiles for each of those,
# ours one centre, not trained.
PUBLISHED = {
    "bmshj2018-factorized": (2_998_147, 192),
    "bmshj2018-hyperprior": (5_075_843, 128),
    "mbt2018-mean": (7_028_003, 128),
    "mbt2018": (14_130_467, 192),
    "cheng2020-anchor": (11_833_149, 128),
    "cheng2020-attn": (13_183_293, 128),
    "elic": (32_074_200, 192),
    "mlicpp": (83_501_408, 192),
    "segpic": (83_503_971, 192 + 96 + 96),
    # Encoder and decoder; it has no prior for quantiles.
    "walloc": (2_316 + 56_883_648, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_their_published_size(name: str) -> None:
    path = next(path for path in CONFIGS if path.stem == name)
    config = yaml.safe_load(path.read_text())["model"]["codec"]
    with torch.device("meta"):
        codec = build_module(config)
    published, channels = PUBLISHED[name]
    assert sum(p.numel() for p in codec.parameters()) == published - 3 * channels


def test_there_are_configs() -> None:
    assert {"default", "tiny"} <= {path.stem for path in CONFIGS}
