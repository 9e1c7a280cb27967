"""From a checkpoint to a model file that codes pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kodec.codecs import Objective, load, read_model_info
from kodec.native import BitstreamError, KodecError
from kodec.train import export_checkpoint, train


@pytest.fixture
def checkpoint(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> Path:
    tiny_config["trainer"] |= {"max_steps": 2, "limit_val_batches": 0}
    train(arguments(tiny_config, "run"))
    return tmp_path / "run" / "checkpoints" / "last.ckpt"


def test_checkpoint_to_codec(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "my-codec.safetensors"
    info = export_checkpoint(checkpoint, output, notes={"licence": "CC0"})
    assert read_model_info(output) == info
    assert info.name == "my-codec" and info.notes == {"licence": "CC0"}
    assert info.objective == Objective("mse", 0.001, 0.1)
    codec = load(output)
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    parameters = dict(codec.network.named_parameters())
    for name, value in codec.network.state_dict().items():
        trained = weights[f"codec.{name}"]
        expected = trained.half().float() if name in parameters else trained
        assert torch.equal(value.float(), expected), name
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    data = codec.encode(pixels, quality=20)
    assert codec.decode(data).shape == pixels.shape


def test_the_same_checkpoint_gives_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    infos = [export_checkpoint(checkpoint, tmp_path / f"{name}.safetensors") for name in "ab"]
    assert infos[0].model_id == infos[1].model_id


def test_a_private_class_path_gives_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    public = export_checkpoint(checkpoint, tmp_path / "public.safetensors")
    latents = content["codec_config"]["init_args"]["latents"]
    assert latents["class_path"] == "kodec.entropy.FrequencySlices"
    latents["class_path"] = "kodec.entropy.latents.frequency_slices.FrequencySlices"
    torch.save(content, checkpoint)
    private = export_checkpoint(checkpoint, tmp_path / "private.safetensors")
    assert private.model_id == public.model_id and private.config == public.config


def test_checkpoints_from_before_objectives_were_stored(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    del content["objective"]
    torch.save(content, checkpoint)
    assert export_checkpoint(checkpoint, tmp_path / "a.safetensors").objective is None


def damages(whole: Path) -> dict[str, bytes]:
    data = whole.read_bytes()
    content = torch.load(whole, weights_only=True)

    def changed(**changes: Any) -> bytes:
        path = whole.with_name("changed.ckpt")
        torch.save({**content, **changes}, path)
        return path.read_bytes()

    fewer = dict(list(content["state_dict"].items())[1:])
    foreign = {"class_path": "os.path.join", "init_args": {}}
    no_codec = content["codec_config"]["init_args"]["analysis"]
    return {
        "empty": b"",
        "text": b"hello",
        "cut": data[: len(data) // 2],
        "of another program": changed(codec_config=None),
        "a weight missing": changed(state_dict=fewer),
        "weights of another kind": changed(state_dict=[1, 2]),
        "foreign class": changed(codec_config=foreign),
        "not a codec": changed(codec_config=no_codec),
        "no objective": changed(objective=[1, 2]),
        "another objective": changed(objective={"distortion": "mse", "lambda": 1.0}),
        "an objective that is none": changed(objective={**content["objective"], "lambda_low": -1}),
    }


def test_damaged_and_foreign_checkpoints(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "codec.safetensors"
    for name, data in damages(checkpoint).items():
        bad = tmp_path / "bad.ckpt"
        bad.write_bytes(data)
        with pytest.raises(KodecError) as caught:
            export_checkpoint(bad, output)
        assert "\n" not in str(caught.value), name
        assert not output.exists(), name
    bad.write_bytes(b"")
    with pytest.raises(BitstreamError, match="bad.ckpt is no checkpoint.*files of `kodec train`"):
        export_checkpoint(bad, output)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


def test_nothing_is_unpickled_but_tensors_and_plain_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"codec_config": {}, "state_dict": {"a": Evil()}}, tmp_path / "evil.ckpt")
    with pytest.raises(BitstreamError):
        export_checkpoint(tmp_path / "evil.ckpt", tmp_path / "codec.safetensors")
    assert not (tmp_path / "evil").exists()
