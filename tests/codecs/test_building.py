"""Building modules from config sections."""

import sys
from pathlib import Path

import pytest
from torch import nn

from kodec.codecs import build_module, class_paths
from kodec.native import BitstreamError, InvalidInputError

GAIN = {"class_path": "kodec.entropy.GainUnit", "init_args": {"channels": 4, "knots": 3}}


def test_builds_nested_parts() -> None:
    latents = {"class_path": "kodec.entropy.MeanScaleHyperprior"}
    latents["init_args"] = {"channels": 4, "hyper": 2}  # type: ignore[assignment]
    transform = {"init_args": {"width": 4, "latents": 4}}
    config = {
        "class_path": "kodec.codecs.PictureCodec",
        "init_args": {
            "analysis": {"class_path": "kodec.models.GDNAnalysis", **transform},
            "latents": latents,
            "synthesis": {"class_path": "kodec.models.GDNSynthesis", **transform},
            "gain": GAIN,
        },
    }
    codec = build_module(config)
    assert type(codec).__name__ == "PictureCodec"
    assert codec.gain.knots == 3 and codec.latents.channels == 4  # type: ignore[union-attr]
    assert class_paths(config) == [
        "kodec.codecs.PictureCodec",
        "kodec.models.GDNAnalysis",
        "kodec.entropy.MeanScaleHyperprior",
        "kodec.models.GDNSynthesis",
        "kodec.entropy.GainUnit",
    ]


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "torch.nn.Linear", "kodecs.X"])
def test_untrusted_classes_are_refused_by_name(path: str) -> None:
    with pytest.raises(BitstreamError, match=f"{path}, which is in none of the trusted packages"):
        build_module({"class_path": path, "init_args": {}})


def test_untrusted_packages_are_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "someones_codec.py").write_text("from torch import nn\nclass Own(nn.Identity): ...")
    monkeypatch.syspath_prepend(tmp_path)
    own = {"class_path": "someones_codec.Own"}
    with pytest.raises(BitstreamError, match="someones_codec"):
        build_module(own)
    assert "someones_codec" not in sys.modules
    assert isinstance(build_module(own, trusted=("kodec", "someones_codec")), nn.Identity)


@pytest.mark.parametrize(
    "config, words",
    [
        ({**GAIN, "init_args": {"channels": 4, "loudness": 3}}, "loudness"),
        ({**GAIN, "init_args": {}}, "channels"),
        ({"class_path": "kodec.entropy.NoSuchPart"}, "no kodec.entropy.NoSuchPart"),
        ({"class_path": "kodec.nowhere.Part"}, "no kodec.nowhere.Part"),
        ({"class_path": "kodec.load"}, "no kodec.load that a codec can be built of"),
        ({"class_path": "kodec.codecs.Picture"}, "not a module"),
        ({"class_path": "kodec"}, "kodec"),
        ({}, "no class_path"),
    ],
)
def test_what_does_not_fit_is_refused(config: dict[str, object], words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        build_module(config)


def test_wrong_values_are_the_parts_own_errors() -> None:
    with pytest.raises(InvalidInputError, match="knots"):
        build_module({**GAIN, "init_args": {"channels": 4, "knots": 1}})
