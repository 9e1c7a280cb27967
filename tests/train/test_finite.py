"""A run that diverges ends in an error that can be followed, and keeps its good checkpoint."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kodec.codecs import first_not_finite
from kodec.native import KodecError
from kodec.train import RateDistortion, train
from kodec.train.data import Crops
from kodec.train.finite import FiniteLosses, advice, checkpoint_tensors

Config = dict[str, Any]
NAN = float("nan")


def test_the_first_broken_loss_is_found() -> None:
    losses = FiniteLosses()
    assert losses.first_broken() is None
    for step, loss in enumerate([1.0, 2.0, float("inf"), 3.0, NAN]):
        losses.add(torch.tensor(loss), step)
        assert losses.first_broken() == (None if step < 2 else 2)


def test_the_first_broken_tensor_is_named() -> None:
    state = {0: {"step": torch.tensor(2.0), "exp_avg": torch.tensor([1.0, float("inf")])}}
    checkpoint: dict[str, Any] = {
        "state_dict": {"a": torch.ones(2), "count": torch.ones(2).long(), "b": torch.ones(1)},
        "optimizer_states": [{"state": state, "param_groups": [{"lr": 1.0, "params": [0]}]}],
    }
    tensors = checkpoint_tensors(checkpoint)
    assert first_not_finite(tensors) == "optimiser state 0.state.0.exp_avg"
    assert first_not_finite({**tensors, "b": torch.tensor([NAN])}) == "b"
    assert first_not_finite(checkpoint["state_dict"]) is None


@pytest.fixture
def quiet(tiny_config: Config) -> Config:
    """A run of 12 steps that looks at no loss by itself before its end."""
    tiny_config["trainer"] |= {"log_every_n_steps": 1000, "limit_val_batches": 0}
    return tiny_config


@pytest.fixture
def break_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the loss NaN at a step, as often as that step comes with the first learning rate."""
    step = RateDistortion.training_step

    def set_up(number: int) -> None:
        def broken(self: RateDistortion, crops: Crops, batch_idx: int) -> Tensor:
            loss = step(self, crops, batch_idx)
            breaks = self.global_step == number and self.learning_rate == 1e-3
            if breaks:
                self._losses.add(loss * NAN, self.global_step)
            return loss * NAN if breaks else loss

        monkeypatch.setattr(RateDistortion, "training_step", broken)

    return set_up


def last(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return content


def test_the_last_good_checkpoint_stays_and_the_advice_can_be_followed(
    quiet: Config,
    arguments: Callable[..., list[str]],
    break_at: Callable[[int], None],
    tmp_path: Path,
) -> None:
    break_at(7)
    with pytest.raises(KodecError, match="the loss is not finite at step 7, and the run") as caught:
        train(arguments(quiet, "run"))
    assert last(tmp_path / "run")["global_step"] == 5
    assert first_not_finite(checkpoint_tensors(last(tmp_path / "run"))) is None
    words = re.search(r"of step 5, with (--ckpt_path) (\S+) and a lower (\S+),", str(caught.value))
    assert words is not None
    train(arguments(quiet, "run", words[1], words[2], words[3], "1e-4"))
    assert last(tmp_path / "run")["global_step"] == 12


@pytest.mark.parametrize("steps", [3, 12])
def test_without_a_checkpoint_it_says_so(
    steps: int,
    quiet: Config,
    arguments: Callable[..., list[str]],
    break_at: Callable[[int], None],
    tmp_path: Path,
) -> None:
    break_at(2)
    # One of another run in the same folder is none to go on from.
    other = tmp_path / "run" / "checkpoints" / "last.ckpt"
    other.parent.mkdir(parents=True)
    torch.save({"state_dict": {}, "global_step": 1}, other)
    before = other.read_bytes()
    quiet["trainer"]["max_steps"] = steps
    with pytest.raises(KodecError, match="at step 2, .* no checkpoint from before: start again"):
        train(arguments(quiet, "run"))
    assert other.read_bytes() == before


def test_weights_that_are_not_finite_under_finite_losses_are_not_stored(
    quiet: Config,
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = RateDistortion.training_step

    def broken(self: RateDistortion, crops: Crops, batch_idx: int) -> Tensor:
        if self.global_step == 9:
            with torch.no_grad():
                next(self.codec.synthesis.parameters()).view(-1)[0] = NAN
            return self.objective.lambda_high * next(self.codec.analysis.parameters()).sum()
        return step(self, crops, batch_idx)

    monkeypatch.setattr(RateDistortion, "training_step", broken)
    with pytest.raises(KodecError, match=r"codec\.synthesis\.\S+ is not finite after step 10"):
        train(arguments(quiet, "run"))
    assert last(tmp_path / "run")["global_step"] == 5


def test_validation_ends_a_run_whose_weights_are_not_finite(
    quiet: Config, arguments: Callable[..., list[str]], break_at: Callable[[int], None]
) -> None:
    break_at(1)
    quiet["trainer"] |= {"limit_val_batches": 1, "val_check_interval": 4, "max_steps": 100}
    with pytest.raises(KodecError, match="the loss is not finite at step 1"):
        train(arguments(quiet, "run"))


def _large_latents(codec: Any) -> None:
    codec.gain.first.add_(60)


def _large_pixels(codec: Any) -> None:
    for parameter in codec.synthesis.parameters():
        parameter.fill_(1e38)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_large_latents, "validation at step 1 could not code"),
        (_large_pixels, "pixels of quality 8 are not finite in validation at step 1"),
    ],
)
def test_finite_weights_that_make_no_pictures_end_the_run(
    change: Callable[[Any], None],
    words: str,
    quiet: Config,
    arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def changed(self: RateDistortion) -> None:
        with torch.no_grad():
            change(self.codec)

    monkeypatch.setattr(RateDistortion, "on_validation_start", changed)
    quiet["trainer"] |= {"limit_val_batches": 1, "val_check_interval": 1}
    with pytest.raises(KodecError, match=f"{words}.* start again"):
        train(arguments(quiet, "run"))


def test_a_checkpoint_that_is_not_finite_is_no_good_one(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.ckpt", tmp_path / "good.ckpt"
    torch.save({"state_dict": {"a": torch.tensor(NAN)}, "global_step": 9}, bad)
    torch.save({"state_dict": {"a": torch.tensor(1.0)}, "global_step": 4}, good)
    assert f"of step 4, with --ckpt_path {good} " in advice([tmp_path / "no.ckpt", bad, good])
    assert "no checkpoint from before" in advice([bad])
