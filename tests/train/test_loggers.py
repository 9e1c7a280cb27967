"""Lightning's loggers, named by a config: those that come with it, others' and one's own."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kodec.native import InvalidInputError
from kodec.train import train

Run = Callable[..., Path]


@pytest.fixture
def run_with(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Three steps with a logger of a config, or the default; the run's folder."""
    monkeypatch.chdir(tmp_path)

    def run(logger: Any = None) -> Path:
        given = {} if logger is None else {"logger": logger}
        few = {"max_steps": 3, "log_every_n_steps": 1, "limit_val_batches": 0}
        tiny_config["trainer"] |= few | given
        train(arguments(tiny_config, "run"))
        return tmp_path / "run"

    return run


def steps_of(path: Path) -> list[int]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["step"] for row in rows if "train/loss" in row]


def test_tensorboard_is_the_default(run_with: Run) -> None:
    events = EventAccumulator(str(run_with() / "logs" / "version_0"))
    events.Reload()
    assert len(events.Scalars("train/loss")) == 3


def test_a_logger_of_ones_own_beside_others(run_with: Run, tmp_path: Path) -> None:
    folder = run_with(
        [
            {"class_path": "CSVLogger", "init_args": {"save_dir": str(tmp_path / "table")}},
            {
                "class_path": "listed_logger.ListedLogger",
                "init_args": {"path": str(tmp_path / "steps.jsonl")},
            },
        ]
    )
    assert steps_of(tmp_path / "steps.jsonl") == [0, 1, 2]
    assert len(list((tmp_path / "table").rglob("metrics.csv"))) == 1
    assert not (folder / "logs").exists()


# What they use that is going out of use is theirs.
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases(run_with: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    where = {"project": "codecs", "offline": True, "save_dir": str(tmp_path / "wandb-files")}
    run_with({"class_path": "WandbLogger", "init_args": where})
    wandb.teardown()
    (log,) = (tmp_path / "wandb-files").rglob("run-*.wandb")
    assert b"train/loss" in log.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_mlflow(run_with: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = {"experiment_name": "codecs", "tracking_uri": f"file:{tmp_path / 'store'}"}
    run_with({"class_path": "MLFlowLogger", "init_args": store})
    (losses,) = (tmp_path / "store").rglob("metrics/train/loss")
    assert len(losses.read_text().splitlines()) == 3


@pytest.mark.skipif(find_spec("comet_ml") is not None, reason="it is installed")
def test_a_logger_that_is_not_installed_is_one_line(run_with: Run) -> None:
    told = "^lightning.pytorch.loggers.CometLogger: Requirement 'comet-ml.*' not met.*`$"
    with pytest.raises(InvalidInputError, match=told):
        run_with({"class_path": "CometLogger", "init_args": {"project": "codecs"}})
