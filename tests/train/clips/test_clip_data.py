"""Unfit clips end a run before it has begun."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kodec.native import InvalidInputError
from kodec.train import train
from video_clips import CHECKED, damage_frame, moving, write_video

Config = dict[str, Any]
Arguments = Callable[..., list[str]]


@pytest.fixture
def mixed(videos: Path, sequence_config: Config, tmp_path: Path) -> Config:
    """A run of one step over sound videos, a short one, a small one and two that are none."""
    folder = tmp_path / "mixed"
    shutil.copytree(videos, folder)
    write_video(folder / "short.mkv", moving(2))
    write_video(folder / "small.mkv", moving(9, 16, 24))
    (folder / "text.mkv").write_text("no video")
    (folder / "raw.yuv").write_bytes(bytes(10))
    sequence_config["data"]["init_args"] |= {"dataset": str(folder), "validation": str(videos)}
    sequence_config["trainer"] |= {"max_steps": 1, "limit_val_batches": 0}
    return sequence_config


def test_clips_that_can_not_be_read_are_named_in_one_line(
    mixed: Config, arguments: Arguments, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="2 of 7 training clips can't be read") as caught:
        train(arguments(mixed, "run"))
    message = str(caught.value)
    assert "text.mkv" in message and "raw.yuv" in message and "\n" not in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_damage_that_is_met_in_training_is_one_line(
    workers: int, videos: Path, sequence_config: Config, arguments: Arguments, tmp_path: Path
) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    path = tmp_path / "videos" / "1.mkv"
    damage_frame(write_video(path, moving(24), "ffv1", **CHECKED))
    changed = {"dataset": str(tmp_path / "videos"), "validation": str(videos), "workers": workers}
    sequence_config["data"]["init_args"] |= changed
    sequence_config["trainer"]["limit_val_batches"] = 0
    with pytest.raises(InvalidInputError, match=r"^\S+1\.mkv can't be read: ") as caught:
        train(arguments(sequence_config, "run"))
    assert "\n" not in str(caught.value)


def test_unfit_clips_are_refused_or_left_out(
    mixed: Config, arguments: Arguments, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = mixed["data"]["init_args"]
    data["leave_out_unreadable"] = True
    with pytest.raises(InvalidInputError, match=r"short\.mkv has 2 frames .*1 others are too"):
        train(arguments(mixed, "run"))
    data["leave_out_small"] = True
    with caplog.at_level(logging.WARNING):
        train(arguments(mixed, "run"))
    assert "2 of 7 training clips can't be read and are left out" in caplog.text
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
