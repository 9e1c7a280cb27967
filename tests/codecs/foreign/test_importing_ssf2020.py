"""CompressAI's scale-space flow, imported: the same latents, frames and bits over a chain."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from compressai.models.video.google import ScaleSpaceFlow as Published
from torch import Tensor

from kodec.__main__ import main
from kodec.codecs import FrameStep, ScaleSpaceFlow, State, build_module, load, load_model
from kodec.codecs.foreign import import_checkpoint
from kodec.codecs.model_file import fill_from_model
from kodec.entropy import Distribution, RateMeter
from kodec.native import BitstreamError, InvalidInputError

SIDE = 128
PARTS = {"img": "keyframe", "motion": "motion", "res": "residual"}


def published() -> Any:
    """Full size, as its class has no other, with weights that give all networks something to do."""
    torch.manual_seed(3)
    model: Any = Published()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "quantiles" in name:
                parameter.add_(torch.rand_like(parameter) - 0.5)
            elif parameter.ndim == 4:
                parameter.mul_(1.6)
        for part in PARTS:
            hyperprior = getattr(model, f"{part}_hyperprior")
            getattr(model, f"{part}_encoder")[6].weight.mul_(8)
            hyperprior.hyper_encoder[4].weight.mul_(4)
            hyperprior.hyper_decoder_scale.deconv3.bias.add_(2)
        model.motion_decoder[6].weight.mul_(0.2)
    return model.eval()


def name_of_2020(name: str) -> str:
    """As in files that are older than CompressAI 1.2.7."""
    return re.sub(r"\.(matri|bias|factor)(?:ces|es|s)\.(\d)$", _older, name)


def _older(found: re.Match[str]) -> str:
    singular = {"matri": "matrix"}.get(found[1], found[1])
    return f"._{singular}{found[2]}"


class Values(RateMeter):
    """Keeps each block's values."""

    def __init__(self) -> None:
        super().__init__(training=False)
        self.of: dict[str, Tensor] = {}

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        self.of[name] = super().code(name, y, dist)
        return self.of[name]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """CompressAI's model, and the model file of a checkpoint of it."""
    folder = tmp_path_factory.mktemp("ssf2020")
    model = published()
    state = {name_of_2020(name): tensor for name, tensor in model.state_dict().items()}
    assert "img_hyperprior.entropy_bottleneck._matrix0" in state
    torch.save({"state_dict": {f"module.{name}": t for name, t in state.items()}}, folder / "a.pth")
    import_checkpoint(folder / "a.pth", folder / "model.safetensors", "ssf2020")
    return model, folder / "model.safetensors"


def theirs_of(model: Any, frames: list[Tensor]) -> list[tuple[Tensor, dict[str, Tensor], float]]:
    """Of each frame: what is decoded, every block as the decoder has it, and the bits."""
    values: dict[str, Tensor] = {}
    hooks = []
    for part, ours in PARTS.items():
        hyperprior = getattr(model, f"{part}_hyperprior")

        def keep(_: Any, __: Any, out: Any, ours: str = ours) -> None:
            values[f"{ours}/y"] = out[0]

        def keep_z(_: Any, __: Any, out: Any, ours: str = ours) -> None:
            values[f"{ours}/z"] = out[0]

        hooks += [hyperprior.register_forward_hook(keep)]
        hooks += [hyperprior.entropy_bottleneck.register_forward_hook(keep_z)]
    found = []
    reference = None
    for frame in frames:
        values.clear()
        if reference is None:
            reference, likelihoods = model.forward_keyframe(frame)
        else:
            reference, likelihoods = model.forward_inter(frame, reference)
        bits = -sum(v.log2().sum().item() for part in likelihoods.values() for v in part.values())
        found.append((reference, dict(values), bits))
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def test_the_same_frames_latents_and_bits(imported: tuple[Any, Path]) -> None:
    model, path = imported
    _, info = load_model(path)
    section: dict[str, Any] = {**info.config["init_args"], "portability": "local"}
    network = build_module({**info.config, "init_args": section})
    assert isinstance(network, ScaleSpaceFlow)
    fill_from_model(network, path)
    network.deploy()
    torch.manual_seed(1)
    large = torch.nn.functional.interpolate(torch.rand(1, 3, 20, 20), scale_factor=8)
    frames = [large[..., 3 * n : 3 * n + SIDE, n : n + SIDE] for n in range(3)]
    states: tuple[State, ...] = ()
    for number, (x_hat, values, bits) in enumerate(theirs_of(model, frames)):
        meter = Values()
        step = FrameStep((1, SIDE, SIDE), references=states)
        ours, state = network.code(frames[number][:, None], step, meter)
        states = (state,)
        assert meter.of.keys() == values.keys()
        for name, theirs in values.items():
            assert theirs.std() > 0.3, name
            largest = float(theirs.abs().max())
            assert torch.allclose(meter.of[name], theirs, atol=1e-4 * largest), (name, number)
        assert torch.allclose(ours[:, 0], x_hat, atol=1e-4 * float(x_hat.abs().max())), number
        assert meter.total().item() == pytest.approx(bits, rel=1e-3)


def test_the_imported_size(imported: tuple[Any, Path]) -> None:
    model, path = imported
    network, info = load_model(path)
    ours = sum(p.numel() for p in network.parameters())
    theirs = sum(p.numel() for p in model.parameters())
    assert (theirs, theirs - ours) == (34_209_609, 3 * 3 * 192)
    assert info.portability == "guarded"


def test_a_model_for_videos_is_none_for_pictures(imported: tuple[Any, Path]) -> None:
    with pytest.raises(InvalidInputError, match="model is a model for videos"):
        load(imported[1])


def test_what_is_not_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, output = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"img_encoder.0.weight": torch.ones(4, 3, 5, 5)}, checkpoint)
    with pytest.raises(BitstreamError, match="does not fit ssf2020: it has no 'img_encoder.6"):
        import_checkpoint(checkpoint, output, "ssf2020")
    assert main(["import", str(checkpoint), str(output), "--as", "ssf2020"]) == 1
    assert "does not fit ssf2020" in capsys.readouterr().err
    assert not output.exists()
