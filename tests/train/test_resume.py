"""A run that was killed and resumed ends exactly as an unbroken one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kodec.native import BitstreamError, InvalidInputError
from kodec.train import RateDistortion, train

# Kills itself, as the system would, at the place that its first argument names.
KILLED = """
import io, os, signal, sys
import torch
from kodec.train import RateDistortion, train

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

place, *arguments = sys.argv[1:]
if place == "step":
    whole = RateDistortion.training_step
    RateDistortion.training_step = lambda self, x, i: (
        die() if self.global_step == 8 else whole(self, x, i)
    )
elif place == "checkpoint":
    move = os.replace
    def replace(source, target, saved=[]):
        saved.append(target)
        if len(saved) == 2:
            open(source, "r+b").truncate(1000)
            die()
        move(source, target)
    os.replace = replace
torch.set_num_threads(1)
train(arguments)
"""


def run_killed(place: str, arguments: list[str]) -> None:
    command = [sys.executable, "-c", KILLED, place, *arguments]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def last(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return content


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal, tensors bit for bit."""
    assert type(a) is type(b), where
    if isinstance(a, Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}/{number}")
    else:
        assert a == b, where


def assert_same_training(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a["global_step"] == b["global_step"] == 12
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(a[key], b[key], key)


@pytest.mark.parametrize("place", ["step", "checkpoint"])
def test_killed_with_sigkill_and_resumed(
    place: str, tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    run_killed(place, arguments(tiny_config, "broken"))
    stopped = last(tmp_path / "broken")
    assert stopped["global_step"] == 5
    train(arguments(tiny_config, "whole"))
    checkpoint = str(tmp_path / "broken" / "checkpoints" / "last.ckpt")
    train(arguments(tiny_config, "broken", "--ckpt_path", checkpoint))
    whole, resumed = last(tmp_path / "whole"), last(tmp_path / "broken")
    assert_same_training(whole, resumed)
    # The comparison is not one of weights that stand still.
    moved = [not torch.equal(v, whole["state_dict"][k]) for k, v in stopped["state_dict"].items()]
    assert sum(moved) > 0.8 * len(moved)


class Interruption(Exception):
    """Ends a run in the middle, in this process."""


@pytest.mark.parametrize(
    "trainer, data",
    [
        pytest.param({"limit_train_batches": 3, "val_check_interval": 3}, {}, id="short epochs"),
        pytest.param({"accumulate_grad_batches": 2}, {}, id="accumulated gradients"),
        pytest.param({"val_check_interval": 5}, {}, id="validation at the checkpoint"),
        pytest.param({"precision": "bf16-mixed"}, {"workers": 2}, id="bf16, loader processes"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_interrupted_and_resumed(
    trainer: dict[str, Any],
    data: dict[str, Any],
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_config["trainer"] |= trainer
    tiny_config["data"] |= data
    train(arguments(tiny_config, "whole"))
    step = RateDistortion.training_step

    def interrupted(self: RateDistortion, x: Tensor, batch_idx: int) -> Tensor:
        if self.global_step == 8:
            raise Interruption
        return step(self, x, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(RateDistortion, "training_step", interrupted)
        with pytest.raises(Interruption):
            train(arguments(tiny_config, "broken"))
    checkpoint = str(tmp_path / "broken" / "checkpoints" / "last.ckpt")
    assert last(tmp_path / "broken")["global_step"] == 5
    train(arguments(tiny_config, "broken", "--ckpt_path", checkpoint))
    assert_same_training(last(tmp_path / "whole"), last(tmp_path / "broken"))


def test_epochs_never_repeat_crops(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_config["trainer"] |= {"limit_train_batches": 4}
    seen: list[bytes] = []
    step = RateDistortion.training_step

    def watched(self: RateDistortion, x: Tensor, batch_idx: int) -> Tensor:
        seen.append(x.numpy().tobytes())
        return step(self, x, batch_idx)

    monkeypatch.setattr(RateDistortion, "training_step", watched)
    train(arguments(tiny_config, "run"))
    assert len(seen) == 12 == len(set(seen))


def test_a_finished_run_goes_on_with_more_steps(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    tiny_config["model"]["decay"] = 0.0
    train(arguments(tiny_config, "whole"))
    tiny_config["trainer"]["max_steps"] = 7
    train(arguments(tiny_config, "longer"))
    assert last(tmp_path / "longer")["global_step"] == 7
    checkpoint = str(tmp_path / "longer" / "checkpoints" / "last.ckpt")
    train(arguments(tiny_config, "longer", "--trainer.max_steps=12", "--ckpt_path", checkpoint))
    assert_same_training(last(tmp_path / "whole"), last(tmp_path / "longer"))


def test_what_a_run_cannot_go_on_from(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="there is no checkpoint"):
        train(arguments(tiny_config, "run", "--ckpt_path", str(tmp_path / "missing.ckpt")))
    damaged = tmp_path / "damaged.ckpt"
    for content in (b"", b"no checkpoint", b"PK\3\4" + bytes(100)):
        damaged.write_bytes(content)
        with pytest.raises(
            BitstreamError, match="a (whole )?checkpoint|no checkpoint|cut-off checkpoint"
        ):
            train(arguments(tiny_config, "run", "--ckpt_path", str(damaged)))
    tiny_config["trainer"]["max_steps"] = 1
    train(arguments(tiny_config, "other"))
    codec = tiny_config["model"]["codec"]["init_args"]
    codec["analysis"]["init_args"]["width"] = 16
    other = str(tmp_path / "other" / "checkpoints" / "last.ckpt")
    with pytest.raises(InvalidInputError, match="another codec than the config") as caught:
        train(arguments(tiny_config, "run", "--ckpt_path", other))
    assert "\n" not in str(caught.value)
