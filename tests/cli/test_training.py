import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from kodec.codecs import build_module

Cli = Callable[..., Any]

CONFIG: dict[str, Any] = {
    "trainer": {
        "max_steps": 2,
        "accelerator": "cpu",
        "limit_train_batches": 100,
        "limit_val_batches": 0,
        "checkpoint_every": 1,
    },
    "data": {"crop": 32, "batch_size": 1},
    "model": {
        "codec": {
            "class_path": "kodec.codecs.PictureCodec",
            "init_args": {
                "analysis": {
                    "class_path": "kodec.models.RefinedLappedAnalysis",
                    "init_args": {"widths": [4, 4, 8]},
                },
                "latents": {
                    "class_path": "kodec.entropy.FrequencySlices",
                    "init_args": {"width": 8, "context": 8, "hyper": 4},
                },
                "synthesis": {
                    "class_path": "kodec.models.RefinedLappedSynthesis",
                    "init_args": {"widths": [4, 4, 8], "blocks": 1},
                },
            },
        }
    },
}


def write_config(folder: Path, old: str = "", new: str = "") -> Path:
    text = yaml.safe_dump(CONFIG)
    assert old in text
    (folder / "config.yaml").write_text(text.replace(old, new) if old else text)
    return folder / "config.yaml"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("crop:", "crpo:", "'crpo'"),
        ("max_steps:", "max_step:", "'max_step'"),
        ("data:", "dta:", "dta"),
        ("hyper:", "hypre:", "'hypre'"),
        ("analysis:", "analyses:", "'analyses"),
        ("FrequencySlices", "FrequencySlcies", "no attribute 'FrequencySlcies'"),
        ("max_steps: 2", "max_steps: many", "trainer.max_steps"),
        ("batch_size: 1", "batch_size: [", "Problems parsing config"),
        ("crop: 32", "crop: 0", "crop"),
    ],
)
def test_a_misspelt_config_is_one_line_that_names_the_key(
    kodec: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, old, new)
    outcome = kodec("train", "--config", config, "--data.dataset", tmp_path)
    assert outcome.status == 1
    assert words in outcome.complaint
    assert os.listdir(tmp_path) == ["config.yaml"]


@pytest.mark.parametrize(
    "option",
    [
        "--trainer.max_step=5",
        "--model.lambda_hi=0.1",
        "--data.crops=32",
        "--ckpt=x",
        "--model.codec.init_args.latents.init_args.widt=8",
        "--print_conf",
    ],
)
def test_an_option_that_begins_another_is_refused(
    kodec: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = kodec("train", "--config", write_config(tmp_path), option)
    assert outcome.status == 1
    assert option.partition("=")[0].rpartition(".")[2].lstrip("-") in outcome.complaint
    assert os.listdir(tmp_path) == ["config.yaml"]


def test_a_missing_config_is_one_line(kodec: Cli, tmp_path: Path) -> None:
    for arguments in (["--config", tmp_path / "no.yaml"], [f"--config={tmp_path / 'no.yaml'}"]):
        complaint = kodec("train", *arguments).complaint
        start = f"there is no config file '{tmp_path / 'no.yaml'}'; packaged are: "
        assert complaint.startswith(start)
    assert "no config file" in kodec("train", "--config", tmp_path).complaint
    assert "no config file ''" in kodec("train", "--config").complaint


def test_absent_data_are_one_line_and_start_nothing(
    kodec: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = kodec(
        *("train", "--quiet", "--config", write_config(tmp_path)),
        *("--data.dataset", tmp_path / "nowhere", "--data.validation", tmp_path / "nowhere"),
    )
    assert "no data set or folder" in outcome.complaint
    assert os.listdir(tmp_path) == ["config.yaml"]


def test_print_config_passes_arguments_on(kodec: Cli, tmp_path: Path) -> None:
    arguments = ["--config", write_config(tmp_path), "--data.seed=7", "--print_config"]
    outcome = kodec("train", *arguments)
    assert outcome.status == 0
    printed = yaml.safe_load(outcome.out)
    assert printed["data"]["seed"] == 7 and printed["trainer"]["max_steps"] == 2


def test_from_config_to_picture(
    save_picture: Callable[..., Path], tmp_path: Path, kodec: Cli
) -> None:
    """Train two steps, export, encode and decode: the three jobs' chain."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    source = save_picture().rename(pictures / "a.png")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "kodec", "train", "--quiet"),
            *("--config", write_config(tmp_path), "--trainer.default_root_dir", "run"),
            *("--data.dataset", pictures, "--data.validation", pictures),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    model, coded = tmp_path / "mine.safetensors", tmp_path / "a.kdc"
    outcome = kodec("export", checkpoint, model)
    assert outcome.status == 0 and "model mine, id " in outcome.out
    assert kodec("encode", source, coded, "--model", model, "--verify").status == 0
    assert kodec("decode", coded, tmp_path / "a.png", "--model", model).status == 0


def test_export_of_bad_input_is_one_line_and_leaves_nothing(
    kodec: Cli, save_picture: Callable[..., Path], tmp_path: Path, tiny_model: Path
) -> None:
    output = tmp_path / "m.safetensors"
    picture = save_picture()
    assert "no checkpoint file" in kodec("export", tmp_path / "none.ckpt", output).complaint
    assert "is a folder" in kodec("export", tmp_path, output).complaint
    for other, kind in ((picture, "a PNG picture"), (tiny_model, "a safetensors file")):
        complaint = kodec("export", other, output).complaint
        assert f"looks like {kind}" in complaint and "*.ckpt files of `kodec train`" in complaint
    assert "*.safetensors" in kodec("export", picture, tmp_path / "m.bin").complaint
    assert "does not exist" in kodec("export", picture, tmp_path / "no" / output.name).complaint
    assert os.listdir(tmp_path) == ["in.png"]


def test_a_users_own_class_from_config_to_picture(
    save_picture: Callable[..., Path], tmp_path: Path, kodec: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that loads the model takes --trust, and without it says so."""
    source = save_picture()
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "__init__.py").write_text(
        "from kodec.models import RefinedLappedAnalysis\n"
        "class MyAnalysis(RefinedLappedAnalysis):\n    ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load(write_config(tmp_path).read_text())
    codec = config["model"]["codec"]
    codec["init_args"]["analysis"]["class_path"] = "mypkg.MyAnalysis"
    torch.manual_seed(0)
    network = build_module(codec, "mypkg")
    state = {f"codec.{name}": value for name, value in network.state_dict().items()}
    checkpoint = tmp_path / "last.ckpt"
    torch.save({"codec_config": codec, "state_dict": state}, checkpoint)
    model, coded = tmp_path / "mine.safetensors", tmp_path / "a.kdc"
    results = tmp_path / "r.json"
    measured = ("eval", "--dataset", source, "--metrics", "psnr-rgb")
    for command in (
        ("export", checkpoint, model),
        ("encode", source, coded, "--model", model, "--verify"),
        ("decode", coded, tmp_path / "out.png", "--model", model),
        (*measured, "--model", model, "--output", results),
    ):
        complaint = kodec(*command).complaint
        assert "mypkg.MyAnalysis" in complaint and "--trust mypkg" in complaint
        assert kodec(*command, "--trust", "mypkg").status == 0, command
    shown = kodec("info", model)
    assert shown.status == 0 and "needs trust  mypkg" in shown.out
    assert kodec("info", model, "--trust", "mypkg").out == shown.out
    assert kodec("info", model, "--trust", "my.pkg").status == 2
