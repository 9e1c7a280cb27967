"""The trainer's defaults, and that Lightning's own arguments stay in reach."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import LambdaCallback, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from kodec.native import InvalidInputError
from kodec.train import Trainer
from kodec.train.checkpointing import AtomicCheckpointIO, LastCheckpoint


def test_defaults(tmp_path: Path) -> None:
    trainer = Trainer(default_root_dir=str(tmp_path), accelerator="cpu")
    table, board = trainer.loggers
    assert isinstance(table, CSVLogger) and isinstance(board, TensorBoardLogger)
    assert table.log_dir == board.log_dir == str(tmp_path / "logs" / "version_0")
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
    (checkpoint,) = trainer.checkpoint_callbacks
    assert isinstance(checkpoint, LastCheckpoint)
    assert checkpoint.path == tmp_path / "checkpoints" / "last.ckpt"
    assert trainer.precision in ("bf16-mixed", "32-true")


def test_lightnings_own_arguments(tmp_path: Path) -> None:
    own = [LambdaCallback(), TQDMProgressBar()]
    trainer = Trainer(
        default_root_dir=str(tmp_path),
        accelerator="cpu",
        precision="64-true",
        logger=False,
        callbacks=own,
        enable_checkpointing=False,
        accumulate_grad_batches=3,
    )
    assert trainer.loggers == []
    assert trainer.checkpoint_callbacks == []
    assert trainer.progress_bar_callback is own[1]
    callbacks: Any = vars(trainer)["callbacks"]
    assert own[0] in callbacks
    assert trainer.precision == "64-true"
    assert trainer.accumulate_grad_batches == 3


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_weights_of_16_bits_are_refused(precision: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=f"{precision} .* bf16-mixed"):
        Trainer(default_root_dir=str(tmp_path), precision=precision)


@pytest.mark.parametrize(
    "wrong", [{"precision": "12-bit"}, {"accelerator": "abacus"}, {"strategy": "hope"}]
)
def test_what_lightning_refuses_is_one_line(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the trainer's settings") as caught:
        Trainer(default_root_dir=str(tmp_path), **{"accelerator": "cpu", **wrong})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
