"""A checkpoint is whole, or the one before."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from kodec.native import InvalidInputError
from kodec.train.checkpointing import AtomicCheckpointIO, LastCheckpoint


def test_save_and_load(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"value": torch.arange(3)}, target)
    assert torch.load(target)["value"].tolist() == [0, 1, 2]
    assert os.listdir(target.parent) == ["last.ckpt"]


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace", "torch.save"])
def test_a_failure_leaves_the_old_checkpoint(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "last.ckpt"
    checkpoints = AtomicCheckpointIO()
    checkpoints.save_checkpoint({"value": 1}, target)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, fail)
        with pytest.raises(OSError, match="no space left"):
            checkpoints.save_checkpoint({"value": 2}, target)
    assert torch.load(target) == {"value": 1}
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_an_interval_below_one_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="checkpoint_every"):
        LastCheckpoint(tmp_path / "last.ckpt", 0)
