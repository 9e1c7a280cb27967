"""What training minimises, and what it logs."""

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from kodec.codecs import PictureCodec, build_module, load_model, save_model
from kodec.entropy import RateMeter
from kodec.native import InvalidInputError
from kodec.train import RateDistortion, train

Rows = list[dict[str, str]]


def module(config: dict[str, Any], **changes: Any) -> RateDistortion:
    codec = build_module(config["model"]["codec"])
    assert isinstance(codec, PictureCodec)
    return RateDistortion(codec, **changes)


def logged(folder: Path) -> Rows:
    with (folder / "logs" / "version_0" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def column(rows: Rows, name: str) -> list[float]:
    return [float(row[name]) for row in rows if row.get(name)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"distortion": "vibes"},
        {"lambda_low": 0.5, "lambda_high": 0.1},
        {"lambda_low": 0.0},
        {"validation_qualities": (64,)},
        {"learning_rate": 0.0},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], tiny_config: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        module(tiny_config, **wrong)


@pytest.mark.parametrize("distortion", ["mse", "ms-ssim"])
def test_loss_falls(distortion: str, tiny_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(2, 3, 12, 12), size=176, mode="bilinear")
    scale = {"mse": (0.001, 0.1), "ms-ssim": (2.4, 220.0)}[distortion]
    training = module(tiny_config, distortion=distortion, lambda_low=scale[0], lambda_high=scale[1])
    optimiser = torch.optim.Adam(training.codec.parameters(), lr=3e-3)
    losses = []
    training.trainer = _TrainerOfOneStep()  # type: ignore[assignment]
    training.log = training.log_dict = lambda *_, **__: None  # type: ignore[assignment,method-assign]
    for _ in range(15):
        loss = training.training_step(x, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


class _TrainerOfOneStep:
    """Stands still, so that every step draws the same noise and qualities."""

    global_step = global_rank = 0
    world_size = accumulate_grad_batches = 1
    log_every_n_steps = 5


def test_logs(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    train(arguments(tiny_config, "run"))
    rows = logged(tmp_path / "run")
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == [2, 5, 8, 11]
    streams = [column(rows, f"train/bpp_{name}") for name in ("z", "y0", "y1")]
    totals = column(rows, "train/bpp")
    assert [sum(parts) for parts in zip(*streams, strict=True)] == pytest.approx(totals, rel=1e-4)
    assert all(speed > 0 for speed in column(rows, "train/images_per_second"))
    assert len(column(rows, "train/images_per_second")) == len(column(rows, "train/psnr")) == 4
    assert list((tmp_path / "run" / "logs" / "version_0").glob("events.out.tfevents.*"))
    assert [int(row["step"]) for row in rows if row["val/loss"]] == [3, 7, 11]


def test_validation_measures_real_bytes(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kodec.entropy import SymbolWriter

    written: list[int] = []
    finish = SymbolWriter.finish

    def counting(self: SymbolWriter) -> list[bytes]:
        streams = finish(self)
        written.append(sum(map(len, streams)))
        return streams

    monkeypatch.setattr(SymbolWriter, "finish", counting)
    train(arguments(tiny_config, "run"))
    assert len(written) == 3
    bpp = column(logged(tmp_path / "run"), "val/bpp_q8")
    assert bpp == pytest.approx([8 * size / (72 * 56) for size in written])


def test_fixed_rate_uses_lambda_high_alone(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    codec = tiny_config["model"]["codec"]["init_args"]
    codec["gain"] = None
    codec["latents"] = {
        "class_path": "kodec.entropy.MeanScaleHyperprior",
        "init_args": {"channels": 12, "hyper": 4},
    }
    for name, low in (("one", 0.001), ("other", 0.0001)):
        tiny_config["model"]["lambda_low"] = low
        train(arguments(tiny_config, name))
    rows = logged(tmp_path / "one")
    assert len(column(rows, "val/bpp_q63")) == 3
    losses = [column(logged(tmp_path / name), "train/loss") for name in ("one", "other")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_without_a_rate_lambda_only_scales_the_loss(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    codec = tiny_config["model"]["codec"]["init_args"]
    codec["gain"] = None
    codec["latents"] = {
        "class_path": "kodec.entropy.CompandedIntegers",
        "init_args": {"channels": 12},
    }
    for name, lam in (("one", 0.25), ("other", 1.0)):
        tiny_config["model"]["lambda_high"] = lam
        train(arguments(tiny_config, name))
    one, other = logged(tmp_path / "one"), logged(tmp_path / "other")
    assert set(column(one, "train/bpp")) == {0.0}
    assert min(column(one, "val/bpp_q63")) > 0
    doubled = [2 * loss for loss in column(one, "train/loss")]
    assert column(other, "train/loss") == pytest.approx(doubled, rel=1e-2)


def _gain(config: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = config["model"]["codec"]["init_args"]["gain"]["init_args"]
    return arguments


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c["model"].update(lamda_high=1), ["lamda_high"]),
        (lambda c: c["trainer"].update(max_step=1), ["max_step"]),
        (lambda c: c["data"].update(crops=1), ["crops"]),
        (lambda c: c.update(modle={"distortion": "mse"}), ["modle"]),
        (lambda c: c["data"].update(crop="big"), ["crop", "big"]),
        (lambda c: c["model"]["codec"].update(class_path="kodec.codecs.Picture"), ["Picture"]),
        (lambda c: _gain(c).update(knot=3), ["gain", "knot"]),
        (lambda c: c["model"]["codec"]["init_args"].pop("analysis"), ["required", "analysis"]),
        (lambda c: _gain(c).update(channels=13), ["13 channels", "12"]),
        (lambda c: c["trainer"].update(precision="12-bit"), ["12-bit"]),
        (lambda c: c["data"].update(crop=0), ["crop", "1 or more"]),
        (lambda c: c["model"].update(slow={"analysys": 0.1}), ["analysys", "analysis"]),
    ],
)
def test_a_wrong_config_is_one_clear_line(
    change: Callable[[dict[str, Any]], None],
    words: list[str],
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    change(tiny_config)
    with pytest.raises(InvalidInputError) as caught:
        train(arguments(tiny_config, "run"))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400, message
    assert all(word in message for word in words), message
    assert "usage:" not in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_config_that_is_no_yaml_or_absent(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("model: {")
    for path, words in ((broken, "parsing config"), (tmp_path / "absent.yaml", "absent.yaml")):
        with pytest.raises(InvalidInputError, match=words) as caught:
            train(["--config", str(path)])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("slow", "words"),
    [({"lienar": 0.1}, "'lienar'.*linear"), ({"linear": -1.0}, "'linear' is 0 or more")],
)
def test_slow_parts_that_are_none_are_refused(
    slow: dict[str, float], words: str, tiny_config: dict[str, Any]
) -> None:
    codec = tiny_config["model"]["codec"]["init_args"]
    codec["analysis"]["class_path"] = "kodec.models.RefinedLappedAnalysis"
    codec["analysis"]["init_args"] = {"widths": [4, 4, 8]}
    with pytest.raises(InvalidInputError, match=words):
        module(tiny_config, slow=slow)
    assert module(tiny_config, slow={"linear": 0.1, "gain": 0.0}).slow


def test_no_crop_is_decoded_for_a_calibration_that_there_is_not(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kodec.train.data import RandomCrops

    codec = tiny_config["model"]["codec"]["init_args"]
    codec["latents"] = {
        "class_path": "kodec.entropy.MeanScaleHyperprior",
        "init_args": {"channels": 12, "hyper": 4},
    }
    tiny_config["trainer"] |= {"max_steps": 1, "limit_val_batches": 0}
    batch, numbers = RandomCrops.batch, []

    def counted(self: RandomCrops, number: int) -> Any:
        numbers.append(number)
        return batch(self, number)

    monkeypatch.setattr(RandomCrops, "batch", counted)
    train(arguments(tiny_config, "run"))
    # One step's, and the next one's, which is fetched ahead.
    assert len(numbers) <= 2


def test_training_starts_from_a_model_file(
    tiny_config: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    """Its weights, and not a calibration over them; another codec's model is refused."""
    network = build_module(tiny_config["model"]["codec"])
    assert isinstance(network, PictureCodec)
    path = tmp_path / "start.safetensors"
    save_model(network, tiny_config["model"]["codec"], path, "start")
    stored = load_model(path)[0].float().state_dict()
    started = module(tiny_config, start_from=str(path))
    assert all(torch.equal(v, stored[k]) for k, v in started.codec.state_dict().items())
    with pytest.raises(InvalidInputError, match="another codec"):
        module(tiny_config, start_from=str(tiny_model))

    config = tiny_config | {"trainer": tiny_config["trainer"] | {"max_steps": 1}}
    config["model"] = config["model"] | {"start_from": str(path), "learning_rate": 1e-9}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    train(["--config", str(file), "--trainer.default_root_dir", str(tmp_path / "run")])
    weights = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, value in stored.items():
        assert torch.allclose(weights[f"codec.{name}"], value, atol=1e-6), name


def test_training_without_the_filter_starts_from_a_model_that_has_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The filter is fitted behind a trained model; it is left out, and nothing else is."""
    info = load_model(tiny_model)[1]
    config = copy.deepcopy(dict(info.config))
    config["init_args"]["synthesis"]["init_args"].update(deringing=True, guided=True)
    filtered = module({"model": {"codec": config}}, start_from=str(tiny_model), grown=True).codec
    path = tmp_path / "filtered.safetensors"
    save_model(filtered, config, path, "filtered")
    started = module({"model": {"codec": info.config}}, start_from=str(path)).codec.state_dict()
    given = load_model(path)[0].float().state_dict()
    assert all(torch.equal(value, given[key]) for key, value in started.items())
    left_out = given.keys() - started.keys()
    parts = ("taps", "clip", "colour_taps", "colour_clip", "guides")
    assert left_out == {f"synthesis.deringing.{part}" for part in parts}


def test_a_grown_codec_starts_as_the_model_that_it_grew_from(
    tiny_model: Path, tiny_config: dict[str, Any]
) -> None:
    """New parts start as no change; without `grown` they are refused by name."""
    stored, info = load_model(tiny_model)
    assert isinstance(stored, PictureCodec)
    config = copy.deepcopy(dict(info.config))
    config["init_args"]["synthesis"]["init_args"].update(deringing=True, guided=True)
    larger = {"model": {"codec": config}}
    with pytest.raises(InvalidInputError, match="deringing"):
        module(larger, start_from=str(tiny_model))
    grown = module(larger, start_from=str(tiny_model), grown=True).codec.deploy()
    x, quality = torch.rand(1, 3, 48, 64), torch.tensor([30.0])
    with torch.no_grad():
        made = [
            codec.code(x, (1, 48, 64), quality, RateMeter(training=False)).x_hat
            for codec in (stored, grown)
        ]
    assert torch.allclose(made[0], made[1], atol=1e-5)
    with pytest.raises(InvalidInputError, match="another codec"):
        module(tiny_config, start_from=str(tiny_model), grown=True)
