import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

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
        assert complaint == f"there is no config file '{tmp_path / 'no.yaml'}'"
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
    assert "no checkpoint file" in kodec("export", tmp_path, output).complaint
    assert "not a whole checkpoint" in kodec("export", picture, output).complaint
    assert "not a whole checkpoint" in kodec("export", tiny_model, output).complaint
    assert "*.safetensors" in kodec("export", picture, tmp_path / "m.bin").complaint
    assert "does not exist" in kodec("export", picture, tmp_path / "no" / output.name).complaint
    assert os.listdir(tmp_path) == ["in.png"]
