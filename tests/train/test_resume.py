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
from kodec.train import RateDistortion, export_checkpoint, train

# Kills itself, as the system would, while its second checkpoint is written.
KILLED = """
import io, os, signal, sys
import torch
from kodec.train import RateDistortion, train

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

move = os.replace
def replace(source, target, saved=[]):
    saved += [target] * str(target).endswith(".ckpt")
    if len(saved) == 2:
        open(source, "r+b").truncate(1000)
        die()
    move(source, target)
os.replace = replace
torch.set_num_threads(1)
train(sys.argv[1:])
"""


def run_killed(arguments: list[str]) -> None:
    command = [sys.executable, "-c", KILLED, *arguments]
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


def test_killed_with_sigkill_and_resumed(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    run_killed(arguments(tiny_config, "broken"))
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
        pytest.param(
            {"precision": "bf16-mixed", "val_check_interval": 5},
            {"workers": 2},
            id="bf16, loader processes, validation at the checkpoint",
        ),
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


def rates(content: dict[str, Any]) -> list[float]:
    return [group["lr"] for group in content["optimizer_states"][0]["param_groups"]]


def test_a_resumed_run_follows_its_config(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Whatever the checkpoint says of rates, groups and schedule."""
    tiny_config["model"] |= {"decay": 0.0, "warmup": 0}
    tiny_config["trainer"] |= {"max_steps": 5, "limit_val_batches": 0}
    train(arguments(tiny_config, "first"))
    stopped = last(tmp_path / "first")
    assert rates(stopped) == pytest.approx([1e-4, 1e-3])
    checkpoint = str(tmp_path / "first" / "checkpoints" / "last.ckpt")

    def resumed(name: str, *more: str) -> dict[str, Any]:
        more = ("--trainer.max_steps=6", "--ckpt_path", checkpoint, *more)
        train(arguments(tiny_config, name, *more))
        return last(tmp_path / name)

    plain = resumed("plain")
    stood_still = resumed("rate", "--model.learning_rate=1e-30")
    for name, value in stopped["state_dict"].items():
        assert torch.equal(stood_still["state_dict"][name], value), name
    # Half-way down to zero in the first step that the resumed run makes, then at zero.
    falling = resumed("decay", "--model.decay=1", "--model.slow={gain: 1.0}")
    assert rates(falling) == [0.0]
    key = "codec.gain.first"
    step = (plain["state_dict"][key] - stopped["state_dict"][key]).abs().max().item()
    shorter = (falling["state_dict"][key] - stopped["state_dict"][key]).abs().max().item()
    assert shorter == pytest.approx(step / 6, rel=0.01)
    # Moments stay with their parameters, in whatever group those are now.
    regrouped = resumed("slow", "--model.slow={synthesis: 0.5, gain: 1.0}")
    assert rates(regrouped) == pytest.approx([1e-3, 5e-4])
    for name in ("codec.gain.first", "codec.latents.level"):
        assert torch.equal(regrouped["state_dict"][name], plain["state_dict"][name]), name


def test_what_a_checkpoint_would_override_is_refused(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    tiny_config["trainer"] |= {"max_steps": 2, "limit_val_batches": 0}
    train(arguments(tiny_config, "run"))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    model = tmp_path / "model.safetensors"
    export_checkpoint(path, model)
    before = path.read_bytes()
    init = "--model.codec.init_args"
    for option, words in (
        (
            f"{init}.gain.init_args.highest=40",
            "gain.init_args.highest is 32.0 there and 40.0 h",
        ),
        (f"--model.start_from={model}", "leave model.start_from or ckpt_path away"),
        ("--trainer.max_steps=1", "of step 2, beyond trainer.max_steps 1"),
    ):
        with pytest.raises(InvalidInputError, match=words) as caught:
            train(arguments(tiny_config, "run", "--ckpt_path", str(path), option))
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
    # What only the encoder looks at is obeyed.
    option = f"{init}.latents.init_args.lagrangian=0.2"
    train(arguments(tiny_config, "run", "--ckpt_path", str(path), "--trainer.max_steps=3", option))
    stored = last(tmp_path / "run")["codec_config"]["init_args"]["latents"]["init_args"]
    assert stored["lagrangian"] == 0.2


def test_a_checkpoint_of_a_diverged_run_is_refused(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Versions before this check have written such."""
    tiny_config["trainer"] |= {"max_steps": 1, "limit_val_batches": 0}
    train(arguments(tiny_config, "run"))
    content = last(tmp_path / "run")
    content["state_dict"]["codec.gain.first"][0] = float("nan")
    torch.save(content, tmp_path / "bad.ckpt")
    with pytest.raises(InvalidInputError, match="diverged .codec.gain.first is not finite"):
        train(arguments(tiny_config, "other", "--ckpt_path", str(tmp_path / "bad.ckpt")))


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
