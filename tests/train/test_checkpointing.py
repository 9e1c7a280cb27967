"""A checkpoint is whole, or the one before."""

import errno
import os
import resource
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
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, fail)
        with pytest.raises(OSError, match="no space left") as caught:
            checkpoints.save_checkpoint({"value": 2}, target)
        assert failing == "torch.save" or caught.value.filename == str(target)
    assert torch.load(target) == {"value": 1}
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_nothing_goes_through_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    AtomicCheckpointIO().save_checkpoint({"value": 1}, tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt") == {"value": 1}


def test_where_there_is_no_room_the_target_is_named(tmp_path: Path) -> None:
    target = tmp_path / "last.ckpt"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError) as caught:
            AtomicCheckpointIO().save_checkpoint({"value": torch.rand(10_000)}, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(target)
    assert not list(tmp_path.iterdir())


def test_an_interval_below_one_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="checkpoint_every"):
        LastCheckpoint(tmp_path / "last.ckpt", 0)
