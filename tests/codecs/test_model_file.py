"""Model files: round trip, identity, and every kind of damage."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from kodec.codecs import PictureCodec, build_module, load_model, read_model_info, save_model
from kodec.entropy import tables_of
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

Content = tuple[dict[str, Tensor], dict[str, str]]


def part(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"kodec.{class_path}", "init_args": arguments}


CONFIG = part(
    "codecs.PictureCodec",
    analysis=part("models.GDNAnalysis", width=4, latents=6),
    latents=part("entropy.MeanScaleHyperprior", channels=6, hyper=4),
    synthesis=part("models.GDNSynthesis", width=4, latents=6),
    gain=part("entropy.GainUnit", channels=6),
)


def network(config: dict[str, Any] = CONFIG) -> PictureCodec:
    torch.manual_seed(0)
    built = build_module(config)
    assert isinstance(built, PictureCodec)
    return built


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(network(), CONFIG, path, "small", {"licence": "CC0"})
    return path


def read(path: Path) -> Content:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata())  # noqa: SIM118


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = network()
    info = save_model(saved, CONFIG, path, "small", {"licence": "CC0"})
    loaded, read_info = load_model(path)
    assert read_info == info == read_model_info(path)
    assert info.name == "small" and info.notes == {"licence": "CC0"} and len(info.model_id) == 8
    for name, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert not loaded.training
    assert loaded.latents.hyper_prior.matrices[0].dtype == torch.float64  # type: ignore[union-attr]
    mine, theirs = tables_of(saved), tables_of(loaded)
    assert mine.keys() == theirs.keys() and len(mine) == 2
    assert all(mine[k].native.fingerprint == theirs[k].native.fingerprint for k in mine)


def identity(tmp_path: Path, change: Callable[[PictureCodec, dict[str, Any]], None]) -> bytes:
    config = copy.deepcopy(CONFIG)
    changed = network(config)
    with torch.no_grad():
        change(changed, config)
    return save_model(changed, config, tmp_path / "other.safetensors", "other").model_id


def arguments(config: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = config["init_args"][name]["init_args"]
    return found


UNCHANGED: dict[str, Callable[[Any, Any], Any]] = {
    "nothing": lambda n, c: None,
    "analysis weight": lambda n, c: n.analysis.layers[0].weight.add_(0.5),
    "hyper-analysis weight": lambda n, c: n.latents.hyper_analysis[0].weight.add_(0.5),
    "lagrangian": lambda n, c: arguments(c, "latents").update(lagrangian=0.1),
    "below 16 bits": lambda n, c: n.synthesis.layers[0].weight.mul_(1 + 1e-6),
}
CHANGED: dict[str, Callable[[Any, Any], Any]] = {
    "synthesis weight": lambda n, c: n.synthesis.layers[0].weight[0, 0, 0, 0].add_(0.5),
    "hyper-synthesis weight": lambda n, c: n.latents.hyper_synthesis[0].weight.add_(0.5),
    "prior": lambda n, c: n.latents.hyper_prior.biases[0].add_(0.5),
    "gain": lambda n, c: n.gain.first.add_(0.5),
    "guard": lambda n, c: arguments(c, "latents").update(guard=1e-6),
    "portability": lambda n, c: c["init_args"].update(portability="local"),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_the_id_leaves_out_the_encoders_own_parts(name: str, model: Path, tmp_path: Path) -> None:
    assert identity(tmp_path, UNCHANGED[name]) == read_model_info(model).model_id


@pytest.mark.parametrize("name", CHANGED)
def test_the_id_holds_all_that_decoding_needs(name: str, model: Path, tmp_path: Path) -> None:
    assert identity(tmp_path, CHANGED[name]) != read_model_info(model).model_id


def edit(path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], Any]) -> None:
    """Rewrite the file with other contents, its checksum taken away."""
    tensors, metadata = read(path)
    del metadata["checksum"]
    change(tensors, metadata)
    path.write_bytes(safetensors.torch.save(tensors, metadata))


def table(part_name: str) -> str:
    return f"tables/latents.scale_tables/{part_name}"


DAMAGE: dict[str, Callable[[Any, Any], Any]] = {
    "decoder weight": lambda t, m: t["weights/synthesis.layers.0.weight"].view(-1)[3].add_(1),
    "weight missing": lambda t, m: t.pop("weights/synthesis.layers.0.weight"),
    "weight too many": lambda t, m: t.update({"weights/extra": torch.zeros(1)}),
    "weight of another shape": lambda t, m: t.update({"weights/gain.first": torch.zeros(7)}),
    "frequencies": lambda t, m: t[table("frequencies")][:2].add_(torch.tensor([1, -1])),
    "frequencies too many": lambda t, m: t[table("frequencies")][:1].add_(1),
    "frequencies negative": lambda t, m: t[table("frequencies")][:1].fill_(-1),
    "sizes": lambda t, m: t[table("sizes")][:1].add_(300),
    "offsets": lambda t, m: t[table("offsets")][:1].add_(1),
    "shifts": lambda t, m: t[table("shifts")][:1].fill_(40),
    "table missing": lambda t, m: t.pop(table("shifts")),
    "id": lambda t, m: m.update(model_id="00" * 8),
    "id that is none": lambda t, m: m.update(model_id="xyz"),
    "config missing": lambda t, m: m.pop("config"),
    "config cut": lambda t, m: m.update(config=m["config"][:-5]),
    "config that is none": lambda t, m: m.update(config="[]"),
    "config of other parts": lambda t, m: m.update(config=json.dumps(CONFIG["init_args"]["gain"])),
    "config of foreign parts": lambda t, m: m.update(config=json.dumps({"class_path": "os.abort"})),
    "name missing": lambda t, m: m.pop("name"),
    "notes": lambda t, m: m.update(notes="{"),
    "format missing": lambda t, m: m.pop("format"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_content_is_refused(name: str, model: Path) -> None:
    edit(model, DAMAGE[name])
    with pytest.raises(BitstreamError) as caught:
        load_model(model)
    assert "\n" not in str(caught.value)


def test_another_version_is_named(model: Path) -> None:
    edit(model, lambda tensors, metadata: metadata.update(format="kodec-model-7"))
    with pytest.raises(UnsupportedError, match="kodec-model-7"):
        load_model(model)


def test_damaged_bytes_are_refused(model: Path) -> None:
    data = model.read_bytes()
    header = int.from_bytes(data[:8], "little") + 8
    places = [0, 7, 9, header // 2, header, (header + len(data)) // 2, len(data) - 1]
    encoder = data.index(b"weights/analysis.layers.0.weight")
    places += [encoder, *range(header, len(data), len(data) // 37)]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 0x10
        model.write_bytes(changed)
        with pytest.raises(KodecError):
            load_model(model)
    for length in (0, 4, 8, header // 2, header, len(data) // 2, len(data) - 1):
        model.write_bytes(data[:length])
        with pytest.raises(BitstreamError, match="model.safetensors"):
            load_model(model)
    model.write_bytes(data + b"more")
    with pytest.raises(BitstreamError):
        load_model(model)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(BitstreamError, match="not a kodec model file.*PNG"):
        load_model(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(2)}))
    with pytest.raises(BitstreamError, match="a safetensors file, but not a kodec model"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_do_not_fit_are_not_saved(value: float, tmp_path: Path) -> None:
    bad = network()
    with torch.no_grad():
        bad.synthesis.layers[0].weight[0, 0, 0, 0] = value  # type: ignore[index,union-attr]
    with pytest.raises(InvalidInputError, match="synthesis.layers.0.weight are not finite"):
        save_model(bad, CONFIG, tmp_path / "bad.safetensors", "bad")
    assert not list(tmp_path.iterdir())
