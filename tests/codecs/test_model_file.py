"""Model files: round trip, identity, and every kind of damage."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from compositions import part
from kodec.codecs import (
    Objective,
    PictureCodec,
    build_module,
    load_model,
    read_model_info,
    save_model,
)
from kodec.entropy import MeanScaleHyperprior, tables_of
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError
from model_damage import EXPECTED, cases

Content = tuple[dict[str, Tensor], dict[str, str]]


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
    assert isinstance(loaded.latents, MeanScaleHyperprior)
    assert loaded.latents.hyper_prior.matrices[0].dtype == torch.float64
    mine, theirs = tables_of(saved), tables_of(loaded)
    assert mine.keys() == theirs.keys() and len(mine) == 2
    assert all(mine[k].native.fingerprint == theirs[k].native.fingerprint for k in mine)


def test_what_it_was_trained_for_is_stored_beside_the_id(model: Path, tmp_path: Path) -> None:
    aim = Objective("ms-ssim", 0.5, 8.0)
    path = tmp_path / "trained.safetensors"
    info = save_model(network(), CONFIG, path, "small", objective=aim)
    assert load_model(path)[1] == info == read_model_info(path)
    assert info.objective == aim and info.model_id == read_model_info(model).model_id
    assert read_model_info(model).objective is None


def test_older_files_say_neither_class_nor_objective(model: Path) -> None:
    edit(model, lambda tensors, metadata: metadata.pop("portability"))
    built, info = load_model(model)
    assert info.portability is None and info.objective is None
    assert built.portability == "guarded"


@pytest.mark.parametrize("wrong", [("", 0.1, 0.2), ("mse", 0.2, 0.1), ("mse", 0.0, 0.1)])
def test_objectives_that_are_none_are_refused(wrong: tuple[str, float, float]) -> None:
    with pytest.raises(InvalidInputError):
        Objective(*wrong)


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


def objective(high: object, distortion: str = "mse") -> str:
    """Metadata of an objective."""
    fields = {"distortion": distortion, "lambda_low": 0.01, "lambda_high": high}
    return json.dumps(fields)


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
    "class": lambda t, m: m.update(portability="anywhere"),
    "class of another model": lambda t, m: m.update(portability="exact"),
    "objective": lambda t, m: m.update(objective="{"),
    "objective that is none": lambda t, m: m.update(objective="[1, 2, 3]"),
    "objective in part": lambda t, m: m.update(objective='{"distortion": "mse"}'),
    "objective of endless lambda": lambda t, m: m.update(objective=objective(math.inf)),
    "objective of lambda in words": lambda t, m: m.update(objective=objective("high")),
    "objective without end": lambda t, m: m.update(objective=" " * 2**20 + objective(1.0)),
    "objective in control characters": lambda t, m: m.update(objective=objective(1.0, "\x1b[2J")),
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


@pytest.mark.parametrize("value, bits", [("nan", 16), ("inf", 16), ("1e6", 16), ("nan", 32)])
def test_weights_that_do_not_fit_are_not_saved(value: str, bits: int, tmp_path: Path) -> None:
    bad = network()
    with torch.no_grad():
        bad.synthesis.layers[0].weight[0, 0, 0, 0] = float(value)  # type: ignore[index,union-attr]
    with pytest.raises(InvalidInputError, match="synthesis.layers.0.weight are not finite"):
        save_model(bad, CONFIG, tmp_path / "bad.safetensors", "bad", sixteen_bits=bits == 16)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["analysis.layers.0.weight", "synthesis.layers.0.bias"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_weights_that_are_not_finite_are_not_loaded(
    name: str, dtype: torch.dtype, model: Path
) -> None:
    def spoil(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        bad = tensors[f"weights/{name}"].to(dtype)
        bad.view(-1)[1] = math.inf
        tensors[f"weights/{name}"] = bad

    edit(model, spoil)
    with pytest.raises(BitstreamError, match=f"{name} are not finite"):
        load_model(model)


OWN_PARTS = """
import torch
from kodec.entropy import MeanScaleHyperprior
from kodec.models import GDNAnalysis, GDNSynthesis

def constants(module):
    module.register_buffer("count", torch.tensor(0))
    module.register_buffer("flags", torch.zeros(3, dtype=torch.bool))
    module.register_buffer("exact", torch.zeros(2, dtype=torch.float64))
    module.register_buffer("plain", torch.zeros(2))

class Analysis(GDNAnalysis):
    def __init__(self, **settings):
        super().__init__(**settings)
        constants(self)

class Synthesis(GDNSynthesis):
    def __init__(self, **settings):
        super().__init__(**settings)
        # Trusted constructors may look at values, which the meta device has none of.
        assert float(self.layers[0].weight.detach().sum()) != 7
        constants(self)

class Latents(MeanScaleHyperprior):
    def __init__(self, **settings):
        super().__init__(**settings)
        constants(self)
        constants(self.hyper_analysis)
"""


def test_buffers_keep_their_type_and_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    config = copy.deepcopy(CONFIG)
    for name in ("analysis", "latents", "synthesis"):
        config["init_args"][name]["class_path"] = f"own_parts.{name.title()}"
    saved = build_module(config, "own_parts")
    assert isinstance(saved, PictureCodec)
    values = {
        "count": torch.tensor(2**24 + 1),
        "flags": torch.tensor([True, False, True]),
        "exact": torch.tensor([1 / 3, 1e300], dtype=torch.float64),
        "plain": torch.tensor([1 / 3, -0.0]),
    }
    places = ("analysis", "synthesis", "latents", "latents.hyper_analysis")
    for place in places:
        for name, value in values.items():
            saved.get_submodule(place).get_buffer(name).copy_(value)
    path = tmp_path / "own.safetensors"
    save_model(saved, config, path, "own")
    for coded in (saved, load_model(path, ["own_parts"])[0]):
        for place in places:
            for name, value in values.items():
                found = coded.get_submodule(place).get_buffer(name)
                # The entropy path computes in float64.
                kept = value.double() if (place, name) == ("latents", "plain") else value
                assert found.dtype == kept.dtype and torch.equal(found, kept), (place, name)
    with pytest.raises(BitstreamError, match="--trust own_parts"):
        load_model(path)


def test_a_class_has_one_path_whatever_the_config_called_it(model: Path, tmp_path: Path) -> None:
    private = copy.deepcopy(CONFIG)
    inside = "kodec.entropy.latents.hyperprior.MeanScaleHyperprior"
    private["init_args"]["latents"]["class_path"] = inside
    info = save_model(network(), private, tmp_path / "other.safetensors", "small")
    assert info.model_id == read_model_info(model).model_id
    assert read_model_info(tmp_path / "other.safetensors").config == CONFIG
    edit(model, lambda tensors, metadata: metadata.update(config=json.dumps(private)))
    with pytest.raises(BitstreamError, match="write kodec.entropy.MeanScaleHyperprior"):
        load_model(model)


def nested(depth: int) -> str:
    return json.dumps({**CONFIG, "init_args": "x"}).replace('"x"', "[" * depth + "]" * depth)


def changed(part_name: str, **changes: Any) -> str:
    config = copy.deepcopy(CONFIG)
    arguments(config, part_name).update(changes)
    return json.dumps(config)


def replaced(**parts: Any) -> str:
    return json.dumps({**CONFIG, "init_args": {**CONFIG["init_args"], **parts}})


FORGED: dict[str, tuple[str, str]] = {
    "half a channel": (changed("latents", channels=1.5), "channels .* is 1.5"),
    "a real number of channels": (changed("latents", channels=4e6), "channels .* is 4000000.0"),
    "millions of channels": (changed("latents", channels=4_000_000), "beyond 65,536"),
    "terabytes": (changed("analysis", width=60_000), "are 4x3x5x5, where its config needs 60000"),
    "no channels": (changed("gain", channels=0), "is for 0 channels"),
    "less than none": (changed("latents", hyper=-4), "does not fit kodec.entropy"),
    "a number as text": (changed("latents", hyper="4"), "hyper .* is '4'"),
    "nothing": (changed("latents", hyper=None), "hyper .* is None"),
    "not a number": (changed("gain", lowest=math.nan), "not finite"),
    "a number of 400 digits": (changed("gain", channels=10**400), "more than 2\\^53"),
    "a transform for latents": (
        replaced(latents=CONFIG["init_args"]["analysis"]),
        "latents is a GDNAnalysis",
    ),
    "latents for a transform": (
        replaced(synthesis=CONFIG["init_args"]["latents"]),
        "synthesis is a MeanScaleHyperprior",
    ),
    "a list for a part": (replaced(latents=[]), "latents .* is a tuple"),
    "a list for arguments": (
        replaced(gain={"class_path": "kodec.entropy.GainUnit", "init_args": [6]}),
        "init_args of kodec.entropy.GainUnit",
    ),
    "no heads": (
        replaced(
            analysis=part(
                "models.RegionAdaptiveAnalysis", width=8, latents=6, heads=0, windows=[8, 4]
            )
        ),
        "does not fit kodec.models.RegionAdaptiveAnalysis",
    ),
    "layers without end": (
        replaced(synthesis=part("models.RefinedLappedSynthesis", blocks=60_000)),
        "far more layers",
    ),
    "a matrix of gigabytes": (
        replaced(analysis=part("models.LappedAnalysis", block=4096)),
        "even block of 2 to 16",
    ),
    # A constructor that fails is built in earnest, but for a trusted package's class alone.
    "terabytes beside a class of another package": (
        replaced(
            analysis=part("models.GDNAnalysis", width=60_000),
            synthesis=part("models.GDNSynthesis") | {"init_args": {"class_path": "os.abort"}},
        ),
        "does not fit kodec.models.GDNSynthesis",
    ),
    "a codec in a codec": (replaced(latents=CONFIG), "latents is a PictureCodec"),
    "exact": (replaced(portability="exact"), "can't be exact: in latents .MeanScaleHyperprior."),
    "deep": (replaced(gain={"a": json.loads(nested(100))["init_args"]}), "levels"),
    "deeper": (nested(200_000), "metadata can't be read"),
    "long": (changed("latents", prior_filters=[3] * 20_000), "values"),
    "another key": (json.dumps({**CONFIG, "dict_kwargs": {}}), "dict_kwargs"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_configs_are_refused_in_one_line(name: str, model: Path) -> None:
    config, words = FORGED[name]
    edit(model, lambda tensors, metadata: metadata.update(config=config))
    with pytest.raises(BitstreamError, match=words) as caught:
        load_model(model)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_mutations_end_in_one_line_or_a_model(tmp_path: Path) -> None:
    """Of bytes, configs, tensors and metadata; `benchmarks/model_damage.py` tries thousands."""
    path, refused = tmp_path / "case.safetensors", 0
    for family, data in cases(tmp_path, 200, seed=7):
        path.write_bytes(data)
        try:
            load_model(path)
        except EXPECTED as error:
            assert "\n" not in str(error), family
            refused += 1
    assert refused > 130
