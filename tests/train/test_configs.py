"""Every config in the repository parses, and its codec builds, at the published size."""

from pathlib import Path

import pytest
import torch
import yaml

import kodec.train
from kodec.codecs import PictureCodec, build_module
from kodec.entropy import RateMeter
from kodec.train import CropData, RateDistortion, Trainer
from kodec.train.cli import KodecCLI

CONFIGS = sorted((Path(kodec.train.__file__).parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_builds(path: Path, tmp_path: Path) -> None:
    cli = KodecCLI(
        RateDistortion,
        CropData,
        trainer_class=Trainer,
        seed_everything_default=0,
        parser_kwargs={"exit_on_error": False},
        args=["--config", str(path), f"--trainer.default_root_dir={tmp_path}"],
        run=False,
    )
    text = path.read_text()
    assert f"kodec train --config train/configs/{path.name}" in text
    assert f"default_root_dir: runs/{path.stem}" in text
    assert isinstance(cli.model.codec, PictureCodec)
    # MS-SSIM needs 161 pixels; and whole latent positions waste no part of a crop.
    assert cli.datamodule.crop >= (161 if cli.model.distortion == "ms-ssim" else 64)
    assert cli.datamodule.crop % cli.model.codec.stride == 0
    crops = torch.rand(1, 3, cli.model.codec.stride, 2 * cli.model.codec.stride)
    quality = torch.tensor([20.0]) if cli.model.codec.variable_rate else None
    size = (1, *crops.shape[-2:])
    coded = cli.model.codec.code(crops, size, quality, RateMeter(training=True))
    assert coded.y_hat.shape == (1, cli.model.codec.latent_model.channels, 1, 2)
    assert coded.x_hat.shape == crops.shape


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
