"""Changes to the default model's config, and comparisons picture by picture."""

import pytest
import yaml

from compare_structures import CONFIG, QUALITIES, changed, differences, structures
from kodec.codecs import build_module
from kodec.native import InvalidInputError


def test_every_structure_can_be_built() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    plain = build_module(config["model"]["codec"])
    for changes in structures().values():
        codec = build_module(changed(config, changes)["model"]["codec"])
        assert set(plain.state_dict()) <= set(codec.state_dict())


def row(image: str, factor: float) -> dict[str, object]:
    rates = [0.1, 0.2, 0.4, 0.8, 1.6]
    return {
        "image": image,
        "bpp": [factor * rate for rate in rates],
        "psnr": [25.0, 28.0, 31.0, 34.0, 37.0],
        "loss": [factor * 10.0] * len(QUALITIES),
    }


def test_differences_are_percents_by_picture() -> None:
    anchor = {"name": "a", "pictures": [row("x", 1.0), row("y", 1.0)]}
    found = differences({"name": "b", "pictures": [row("x", 0.9), row("y", 1.1)]}, anchor)
    assert found["BD-rate"] == pytest.approx([-10, 10])
    assert found["loss"] == pytest.approx([-10, 10])
    with pytest.raises(InvalidInputError, match="other pictures"):
        differences({"name": "b", "pictures": [row("y", 1.0), row("x", 1.0)]}, anchor)
