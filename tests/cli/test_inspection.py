import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import (
    Objective,
    embedded_models,
    load,
    load_model,
    picture_of_array,
    read_container,
    save_model,
)
from photos import photo_like

Cli = Callable[..., Any]


def test_info_of_a_picture(kodec: Cli, tiny_model: Path, tmp_path: Path) -> None:
    Image.new("L", (37, 20), 90).save(tmp_path / "in.png", icc_profile=b"p" * 1000)
    coded = tmp_path / "a.kdc"
    assert (
        kodec("encode", tmp_path / "in.png", coded, "--model", tiny_model, "--quality", 7).status
        == 0
    )
    facts = json.loads(kodec("info", coded, "--json").out)
    size = coded.stat().st_size
    parts = facts.pop("bytes_per_part")
    assert parts.pop("icc") == 1000
    assert sum(parts.values()) + 1000 == size and set(parts) == {"header", "coded"}
    assert facts == {
        "file": str(coded),
        "kind": "picture",
        "format_version": 0,
        "width": 37,
        "height": 20,
        "components": 1,
        "bit_depth": 8,
        "quality": 7,
        "embedded_model": None,
        "model_id": load(tiny_model).info.model_id.hex(),
        "portability": "guarded",
        "bytes": size,
        "bpp": round(8 * size / (37 * 20), 6),
    }
    text = kodec("info", coded)
    assert text.status == 0 and text.err == ""
    for word in ("37", "20", "icc", "1,000", "guarded", facts["model_id"]):
        assert word in text.out


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("way", ["constant", "without loss", "coded by the model"])
def test_info_of_alpha_and_tiles(
    kodec: Cli, tiny_model: Path, tmp_path: Path, tile: tuple[int, int] | None, way: str
) -> None:
    samples = photo_like(150, 210, 4)
    if way == "coded by the model":
        samples[..., 3] = np.random.default_rng(0).integers(0, 256, (150, 210), np.uint8)
    else:
        samples[..., 3] = 200
        samples[:9, :5, 3] = 200 if way == "constant" else 7
    encoded = load(tiny_model).encode_picture(picture_of_array(samples), 0, tile=tile)
    coded = tmp_path / "a.kdc"
    coded.write_bytes(encoded.data)
    facts = json.loads(kodec("info", coded, "--json").out)
    parts, packets = facts["bytes_per_part"], read_container(encoded.data).packets
    assert (facts["alpha"], facts["components"]) == (way, 3)
    assert parts["alpha"] == sum(map(len, packets[1::2]))
    assert sum(parts.values()) == facts["bytes"] == len(encoded.data)
    text = kodec("info", coded).out
    assert way in text
    if tile is None:
        assert "tiles" not in facts
        return
    sizes = [len(a) + len(b) for a, b in zip(packets[::2], packets[1::2], strict=True)]
    size, columns, rows, smallest, largest = facts["tiles"].values()
    assert (size, columns, rows) == ("64x64", 4, 3)
    assert (smallest, largest) == (min(sizes), max(sizes)) and "bytes of largest" in text


def test_info_of_a_model(kodec: Cli, tiny_model: Path) -> None:
    facts = json.loads(kodec("info", tiny_model, "--json").out)
    assert facts["kind"] == "model" and facts["name"] == "tiny"
    assert facts["model_id"] == load(tiny_model).info.model_id.hex()
    assert facts["classes"][0] == "kodec.codecs.PictureCodec"
    assert "kodec.entropy.FrequencySlices" in facts["classes"]
    assert facts["notes"] == {"licence": "CC0"}
    assert facts["bytes"] == tiny_model.stat().st_size
    assert "kodec.entropy.FrequencySlices" in kodec("info", tiny_model).out


def test_info_of_a_trained_model(kodec: Cli, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    network, info = load_model(tiny_model)
    save_model(network, info.config, path, "trained", objective=Objective("mse", 0.001, 0.25))
    facts = json.loads(kodec("info", path, "--json").out)
    assert facts["portability"] == "guarded"
    assert facts["objective"] == {
        "distortion": "mse",
        "lambda_at_quality_0": 0.001,
        "lambda_at_quality_63": 0.25,
    }
    assert "lambda at quality 63  0.25" in kodec("info", path).out
    assert "objective" not in json.loads(kodec("info", tiny_model, "--json").out)


def test_info_of_anything_else(
    kodec: Cli, save_picture: Callable[..., Path], tmp_path: Path
) -> None:
    assert "looks like a PNG picture" in kodec("info", save_picture()).complaint
    assert "is a folder" in kodec("info", tmp_path).complaint
    assert "No such file" in kodec("info", tmp_path / "none").complaint
    assert "neither" in kodec("info", "/dev/zero").complaint
    (tmp_path / "cut.kdc").write_bytes(b"\xd7KDC\0H")
    assert "cut.kdc: " in kodec("info", tmp_path / "cut.kdc").complaint
    (tmp_path / "other.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    assert "not a kodec model" in kodec("info", tmp_path / "other.safetensors").complaint


def test_models_lists_what_is_embedded(kodec: Cli) -> None:
    outcome = kodec("models")
    assert (outcome.status, outcome.err) == (0, "")
    for entry in embedded_models():
        assert entry.name in outcome.out and entry.model_id.hex() in outcome.out
        assert entry.summary in outcome.out
    if not embedded_models():
        assert outcome.out.startswith("no model is embedded")


def test_the_embedded_models_are_what_their_cards_say(kodec: Cli, default_model: str) -> None:
    for entry in embedded_models():
        assert entry.path.stat().st_size <= 15_000_000
        assert load_model(entry.path)[1].model_id == entry.model_id
        assert entry.measured
