"""Training of models of sequences: what gradients pass, phases, validation, runs that go on."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kodec.codecs import Objective, build_module, read_model_info
from kodec.codecs.sequences.sequence_model import SequenceModel
from kodec.entropy import SymbolWriter
from kodec.native import InvalidInputError, KodecError
from kodec.train import (
    Phase,
    RateDistortion,
    SequenceRateDistortion,
    export_checkpoint,
    train,
)
from toy_sequence import ToySequence

Config = dict[str, Any]
Arguments = Callable[..., list[str]]


def last(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return content


def logged(folder: Path, name: str) -> list[float]:
    with (folder / "logs" / "version_0" / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


class _TrainerOfOneStep:
    """Stands still, so that every step draws the same noise and qualities."""

    global_step = global_rank = 0
    world_size = accumulate_grad_batches = 1
    log_every_n_steps = 5


def gradients(codec: SequenceModel, phase: Phase, **options: Any) -> dict[str, Tensor]:
    """By name, what one step on a clip of the phase asks of the weights."""
    torch.manual_seed(1)
    x = torch.nn.functional.interpolate(torch.rand(2 * phase.frames, 3, 6, 6), size=32)
    training = SequenceRateDistortion(codec, [phase], **options)
    training.trainer = _TrainerOfOneStep()  # type: ignore[assignment]
    training.log = training.log_dict = lambda *_, **__: None  # type: ignore[assignment,method-assign]
    codec.zero_grad()
    training.training_step(x.unflatten(0, (2, phase.frames)), 0).backward()
    return {name: p.grad.clone() for name, p in codec.named_parameters() if p.grad is not None}


def moved(grads: dict[str, Tensor], part: str) -> bool:
    return any(name.startswith(part) and bool(g.any()) for name, g in grads.items())


@pytest.mark.parametrize(("references", "group"), [(1, 1), (2, 1), (1, 2)])
def test_checkpointing_changes_no_gradient(references: int, group: int) -> None:
    torch.manual_seed(0)
    codec = ToySequence(references=references, group=group)
    plain = gradients(codec, Phase(1, 5))
    again = gradients(codec, Phase(1, 5, checkpointing=True))
    assert plain.keys() == again.keys() == {name for name, _ in codec.named_parameters()}
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_gradients_go_back_as_far_as_the_phase_lets_them() -> None:
    """Only the third frame's loss counts: what reaches the refresh came through both states."""
    torch.manual_seed(0)
    codec = ToySequence()
    found = {
        detach: gradients(codec, Phase(1, 3, detach), frame_weights=(0.0, 0.0, 1.0))
        for detach in ("none", "intra", "every")
    }
    assert {name: moved(grads, "intra") for name, grads in found.items()} == {
        "none": True,
        "intra": False,
        "every": False,
    }
    name = "inter.synthesis.weight"
    assert torch.equal(found["none"][name], found["intra"][name])
    assert not torch.equal(found["intra"][name], found["every"][name])


def test_phases_come_in_turn(
    sequence_config: Config,
    arguments: Arguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sequence_config["model"]["init_args"] |= {"decay": 0.0, "warmup": 0}
    seen: list[tuple[int, float]] = []
    step = SequenceRateDistortion.training_step

    def watched(self: SequenceRateDistortion, x: Tensor, batch_idx: int) -> Tensor:
        assert x.shape == (2, x.shape[1], 3, 32, 32)
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        seen.append((x.shape[1], rate))
        return step(self, x, batch_idx)

    monkeypatch.setattr(SequenceRateDistortion, "training_step", watched)
    train(arguments(sequence_config, "run"))
    assert seen == [(2, 1e-3)] * 4 + [(3, 1e-3)] * 3 + [(4, 5e-4)] * 5


class Interruption(Exception):
    """Ends a run in the middle, in this process."""


@pytest.mark.parametrize(
    ("trainer", "data", "codec"),
    [
        pytest.param({}, {"cache_bytes": 0}, {"references": 2}, id="hierarchical, no cache"),
        pytest.param({"accumulate_grad_batches": 2}, {}, {}, id="accumulated gradients"),
        pytest.param(
            {"precision": "bf16-mixed"}, {"workers": 2}, {"group": 2}, id="bf16, loader processes"
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_run_that_goes_on_ends_as_an_unbroken_one(
    trainer: dict[str, Any],
    data: dict[str, Any],
    codec: dict[str, Any],
    sequence_config: Config,
    arguments: Arguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sequence_config["trainer"] |= trainer
    sequence_config["data"]["init_args"] |= data
    sequence_config["model"]["init_args"]["codec"]["init_args"] = codec
    losses: dict[str, dict[int, list[float]]] = {"whole": {}, "broken": {}}
    step = SequenceRateDistortion.training_step
    run, ends_at = "whole", -1

    def watched(self: SequenceRateDistortion, x: Tensor, batch_idx: int) -> Tensor:
        if self.global_step == ends_at:
            raise Interruption
        loss = step(self, x, batch_idx)
        losses[run].setdefault(self.global_step, []).append(loss.item())
        return loss

    monkeypatch.setattr(SequenceRateDistortion, "training_step", watched)
    train(arguments(sequence_config, "whole"))
    run, ends_at = "broken", 8
    with pytest.raises(Interruption):
        train(arguments(sequence_config, "broken"))
    assert last(tmp_path / "broken")["global_step"] == 5
    losses["broken"] = {n: found for n, found in losses["broken"].items() if n < 5}
    ends_at = -1
    checkpoint = str(tmp_path / "broken" / "checkpoints" / "last.ckpt")
    train(arguments(sequence_config, "broken", "--ckpt_path", checkpoint))
    assert losses["whole"] == losses["broken"] and len(losses["whole"]) == 12
    whole, broken = last(tmp_path / "whole"), last(tmp_path / "broken")
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, broken["state_dict"][name]), name
    assert all(name.startswith("codec.") for name in whole["state_dict"])


def test_a_run_that_diverges_keeps_its_last_good_state(
    sequence_config: Config, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence_config["trainer"] |= {"log_every_n_steps": 1000, "limit_val_batches": 0}
    step = SequenceRateDistortion._loss

    def broken(self: SequenceRateDistortion, *of: Any) -> Tensor:
        breaks = self.global_step == 7 and self.learning_rate == 1e-3
        return step(self, *of) * (float("nan") if breaks else 1.0)

    monkeypatch.setattr(SequenceRateDistortion, "_loss", broken)
    with pytest.raises(KodecError, match="the loss is not finite at step 7, and the run") as caught:
        train(arguments(sequence_config, "run"))
    assert last(tmp_path / "run")["global_step"] == 5
    words = re.search(r"of step 5, with (--ckpt_path) (\S+) and a lower (\S+),", str(caught.value))
    assert words is not None
    train(arguments(sequence_config, "run", words[1], words[2], words[3], "1e-4"))
    assert last(tmp_path / "run")["global_step"] == 12


def test_validation_measures_the_bytes_of_every_step(
    sequence_config: Config, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    finish = SymbolWriter.finish

    def counting(self: SymbolWriter) -> list[bytes]:
        streams = finish(self)
        written.append(sum(map(len, streams)))
        return streams

    monkeypatch.setattr(SymbolWriter, "finish", counting)
    train(arguments(sequence_config, "run"))
    assert len(written) == 9
    sizes = [sum(written[at : at + 3]) for at in range(0, 9, 3)]
    expected = [8 * size / (3 * 64 * 48) for size in sizes]
    assert logged(tmp_path / "run", "val/bpp_q8") == pytest.approx(expected)
    assert len(logged(tmp_path / "run", "val/psnr_q8")) == 3
    parts = [
        logged(tmp_path / "run", f"train/bpp_{n}/{k}") for n in ("intra", "inter") for k in "yz"
    ]
    totals = logged(tmp_path / "run", "train/bpp")
    assert [sum(each) for each in zip(*parts, strict=True)] == pytest.approx(totals, rel=1e-4)


def test_what_is_frozen_stays_and_is_not_in_the_optimiser(
    sequence_config: Config, arguments: Arguments, tmp_path: Path
) -> None:
    sequence_config["model"]["init_args"]["codec"]["init_args"] = {"frozen": True}
    sequence_config["trainer"]["max_steps"] = 3
    train(arguments(sequence_config, "run"))
    content = last(tmp_path / "run")
    names = content["optimizer_states"][0]["param_groups"][0]["param_names"]
    assert names and all(name.startswith("inter.") for name in names)
    torch.manual_seed(0)
    start = build_module(
        sequence_config["model"]["init_args"]["codec"], trusted=("toy_sequence",)
    ).state_dict()
    trained = {name.removeprefix("codec."): v for name, v in content["state_dict"].items()}
    assert all(v.shape == start[name].shape for name, v in trained.items())
    sequence_config["trainer"]["max_steps"] = 4
    checkpoint = str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    train(arguments(sequence_config, "run", "--ckpt_path", checkpoint))
    later = last(tmp_path / "run")["state_dict"]
    for name, value in trained.items():
        stays = name.startswith("intra.") or not value.is_floating_point()
        assert torch.equal(later[f"codec.{name}"], value) or not stays, name
    assert not torch.equal(later["codec.inter.synthesis.weight"], trained["inter.synthesis.weight"])


def test_a_checkpoint_becomes_a_model_file(
    sequence_config: Config, arguments: Arguments, tmp_path: Path
) -> None:
    sequence_config["trainer"] |= {"max_steps": 1, "limit_val_batches": 0}
    train(arguments(sequence_config, "run"))
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    info = export_checkpoint(checkpoint, tmp_path / "toy.safetensors", trusted=("toy_sequence",))
    assert read_model_info(tmp_path / "toy.safetensors") == info
    assert info.objective == Objective("mse", 0.001, 0.1) and info.portability == "guarded"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"structure": "hierarchical"}, "hierarchical has 2 references, the codec takes 1"),
        ({"structure": "sideways"}, "one of intra, low-delay"),
        ({"phases": []}, "names no phase"),
        ({"phases": [{"steps": 1, "frames": 0}]}, "1 or more"),
        ({"phases": [{"steps": 1, "frames": 2, "detach": "some"}]}, "detach"),
        ({"phases": [{"steps": 1, "frame": 2}]}, "frame"),
        ({"phases": [{"steps": 1, "frames": 90}]}, "24 frames of 64x48 pixels, less than 90"),
        ({"frame_weights": [0.0]}, "frame_weights"),
        ({"lamda_high": 1.0}, "lamda_high"),
        ({"slow": {"analysys": 0.1}}, "analysys"),
    ],
)
def test_a_wrong_config_is_one_clear_line(
    options: dict[str, Any],
    words: str,
    sequence_config: Config,
    arguments: Arguments,
    tmp_path: Path,
) -> None:
    sequence_config["model"]["init_args"] |= options
    with pytest.raises(InvalidInputError, match=words) as caught:
        train(arguments(sequence_config, "run"))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400, message
    assert not (tmp_path / "run").exists()


def test_offsets_are_for_variable_rate() -> None:
    phases = [Phase(1, 2)]
    SequenceRateDistortion(ToySequence(), phases, offsets=(0, -4))
    with pytest.raises(InvalidInputError, match="variable rate"):
        SequenceRateDistortion(ToySequence(variable=False), phases, offsets=(0, -4))


def test_module_and_data_have_to_fit(
    sequence_config: Config, tiny_config: Config, arguments: Arguments
) -> None:
    clips = tiny_config | {"data": sequence_config["data"]}
    with pytest.raises(InvalidInputError, match=r"kodec\.train\.SequenceRateDistortion"):
        train(arguments(clips, "clips"))
    pictures = sequence_config | {"data": tiny_config["data"]}
    with pytest.raises(InvalidInputError, match=r"be kodec\.train\.ClipData"):
        train(arguments(pictures, "pictures"))


def test_pictures_may_be_trained_with_class_paths_too(
    tiny_config: Config, arguments: Arguments, tmp_path: Path
) -> None:
    tiny_config["trainer"] |= {"max_steps": 2, "limit_val_batches": 0}
    train(arguments(tiny_config, "plain"))
    named = tiny_config | {
        key: {"class_path": f"kodec.train.{name}", "init_args": tiny_config[key]}
        for key, name in (("model", RateDistortion.__name__), ("data", "CropData"))
    }
    train(arguments(named, "named"))
    plain, same = (last(tmp_path / name) for name in ("plain", "named"))
    assert plain["codec_config"] == same["codec_config"]
    for name, value in plain["state_dict"].items():
        assert torch.equal(value, same["state_dict"][name]), name
