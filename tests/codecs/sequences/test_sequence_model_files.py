"""Model files of sequences: what is stored codes, and their id is of what decoding depends on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from closed_loops import SMALL, moving_frames, order_of, read_chain, small_model, write_chain
from compositions import part
from kodec.codecs import (
    CodedTransform,
    CodingModel,
    SequenceModel,
    load_model,
    save_model,
)
from kodec.codecs.model_file import model_id
from kodec.entropy import MeanScaleHyperprior
from kodec.models import RectifiedAnalysis, RectifiedSynthesis
from kodec.native import BitstreamError

CLASSES = {"scale-space": "codecs.ScaleSpaceFlow", "bidirectional": "codecs.BidirectionalFlow"}


def saved(path: Path, kind: str, **arguments: Any) -> bytes:
    """The id of a small model's file."""
    network = small_model(kind, **arguments).float()
    config = part(CLASSES[kind], **SMALL, **arguments)
    return save_model(network, config, path, path.stem).model_id


@pytest.mark.parametrize("kind", CLASSES)
def test_two_processes_models_code_alike(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    saved(path, kind, gain=(1.0, 4.0))
    writer, reader = load_model(path)[0], load_model(path)[0]
    assert isinstance(writer, SequenceModel) and isinstance(reader, SequenceModel)
    frames = moving_frames(len(order_of(writer)), 40, 56)
    streams, shown = write_chain(writer, frames)
    decoded = read_chain(reader, (1, 40, 56), streams)
    assert all(torch.equal(a, b) for a, b in zip(decoded, shown, strict=True))


def test_the_id_is_of_what_decoding_depends_on(tmp_path: Path) -> None:
    first = saved(tmp_path / "a.safetensors", "scale-space")
    assert saved(tmp_path / "b.safetensors", "scale-space", lagrangian=0.1) == first
    network, info = load_model(tmp_path / "a.safetensors")
    for name in ("keyframe.analysis.layers.0.bias", "motion.latents.hyper_analysis.0.bias"):
        network.get_parameter(name).data.add_(1)
    assert model_id(network, info.config) == first
    network.get_parameter("motion.synthesis.layers.0.bias").data.add_(1)
    assert model_id(network, info.config) != first
    others: list[dict[str, Any]] = [
        {"levels": 3},
        {"sigma": 1.0},
        {"portability": "local"},
        {"gain": (1.0, 4.0)},
    ]
    for number, arguments in enumerate(others):
        path = tmp_path / f"{number}.safetensors"
        assert saved(path, "scale-space", **arguments) != first


class OnAPicture(CodingModel):
    """A model with a model as its part, as the config has it."""

    def __init__(self, inner: CodedTransform) -> None:
        super().__init__("guarded")
        self.inner = inner


def test_parts_of_parts_that_are_the_encoder_s_do_not_count() -> None:
    torch.manual_seed(0)
    latents = MeanScaleHyperprior(4, 3)
    inner = CodedTransform(RectifiedAnalysis(3, 4, 4), latents, RectifiedSynthesis(3, 4, 4))
    network = OnAPicture(inner).deploy()

    def id_of(analysis: str = "Rectified", **arguments: object) -> bytes:
        sections = {
            "analysis": part(f"models.{analysis}Analysis"),
            "latents": part("entropy.MeanScaleHyperprior", channels=4, **arguments),
            "synthesis": part("models.RectifiedSynthesis"),
        }
        return model_id(network, part("own.OnAPicture", inner=part("own.Inner", **sections)))

    assert id_of() == id_of("GDN") == id_of(lagrangian=0.1)
    assert id_of() != id_of(hyper=3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"levels": 9}, "a scale space has 1 to 8 levels"),
        ({"sigma": 1e9}, "a scale space has 1 to 8 levels"),
        ({"width": 9}, "where its config needs"),
        ({"width": 2**40}, "beyond"),
        ({"gain": [1.0]}, "where it takes"),
    ],
)
def test_a_forged_config_is_one_line(changed: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    network = small_model("scale-space").float()
    config = part("codecs.ScaleSpaceFlow", **{**SMALL, **changed})
    save_model(network, config, path, "a")
    with pytest.raises(BitstreamError, match=words) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
