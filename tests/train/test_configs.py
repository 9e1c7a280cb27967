"""Every config in the repository parses, and its codec builds."""

from pathlib import Path

import pytest
import torch

import kodec.train
from kodec.codecs import PictureCodec
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
    assert cli.model.codec.analysis(crops, quality).shape[1:] == (
        cli.model.codec.latent_model.channels,
        1,
        2,
    )


def test_there_are_configs() -> None:
    assert {"default", "tiny"} <= {path.stem for path in CONFIGS}
