"""Building modules from config sections."""

import sys
from pathlib import Path

import pytest
import torch
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
    for trusted in ("someones_codec", ["someones_codec"], ("kodec", "someones_codec")):
        assert isinstance(build_module(own, trusted), nn.Identity)
    with pytest.raises(InvalidInputError, match="no module someones_other.*PYTHONPATH"):
        build_module({"class_path": "someones_other.Own"}, "someones_other")


@pytest.mark.parametrize(
    "config, words",
    [
        ({**GAIN, "init_args": {"channels": 4, "loudness": 3}}, "loudness"),
        ({**GAIN, "init_args": {}}, "channels"),
        ({"class_path": "kodec.entropy.NoSuchPart"}, "no kodec.entropy.NoSuchPart"),
        ({"class_path": "kodec.nowhere.Part"}, "no kodec.nowhere.Part"),
        ({"class_path": "kodec.load"}, "no kodec.load that a codec can be built of"),
        ({"class_path": "kodec.codecs.Picture"}, "not a module"),
        ({"class_path": "kodec"}, "no dotted name"),
        ({"class_path": "kodec..x"}, "no dotted name"),
        ({"class_path": "kodec.__main__.main"}, "no kodec.__main__.main"),
        ({"class_path": "kodec.train.RateDistortion"}, "no kodec.train.RateDistortion"),
        ({"class_path": "kodec.entropy.IntegerTables"}, "not a module that a codec"),
        ({"class_path": "kodec.models.WaveletPacket", "init_args": {"levels": 1}}, "not a module"),
        ({"class_path": "kodec.models.blocks.GDN"}, "no kodec.models.blocks.GDN"),
        ({"class_path": "kodec.entropy.gain.GainUnit"}, "write kodec.entropy.GainUnit"),
        ({**GAIN, "init_args": {"channels": True}}, "channels of .* is True"),
        ({**GAIN, "init_args": {"channels": 65_536, "knots": 65_536}}, "make it smaller"),
        ({}, "no class_path"),
    ],
)
def test_what_does_not_fit_is_refused(config: dict[str, object], words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        build_module(config)


def test_wrong_values_are_the_parts_own_errors() -> None:
    with pytest.raises(InvalidInputError, match="knots"):
        build_module({**GAIN, "init_args": {"channels": 4, "knots": 1}})


def test_weights_are_filled_in_and_others_refused() -> None:
    random = torch.get_rng_state()
    made = build_module(GAIN).state_dict()
    weights = {name: torch.rand_like(value).half() for name, value in made.items()}
    torch.set_rng_state(random)
    built = build_module(GAIN, weights=weights).state_dict()
    assert all(torch.equal(built[name], value.float()) for name, value in weights.items())
    # Nothing is drawn for what weights replace.
    assert torch.equal(random, torch.get_rng_state())
    for changes, words in (
        ({"first": torch.zeros(5)}, "'first' are 5, where its config needs 4"),
        ({"first": torch.zeros(4, dtype=torch.int32)}, "int32, where its config needs float32"),
        ({"second": torch.zeros(4)}, "'second', which its config has no use for"),
    ):
        with pytest.raises(BitstreamError, match=words):
            build_module(GAIN, weights=weights | changes)


def test_constants_far_larger_than_the_weights_are_refused() -> None:
    """A window's pairs of positions grow with the fourth power of its side, its weights less."""
    arguments = {"width": 8, "latents": 6, "heads": 1, "windows": [4, 4]}
    config = {"class_path": "kodec.models.RegionAdaptiveAnalysis", "init_args": arguments}
    weights = build_module(config).state_dict()
    table = torch.zeros(255**2, 1)
    large = {name: table if value.shape == (49, 1) else value for name, value in weights.items()}
    assert sum(value is table for value in large.values()) > 1
    with pytest.raises(BitstreamError, match="constants far larger"):
        build_module({**config, "init_args": {**arguments, "windows": [128, 128]}}, weights=large)
