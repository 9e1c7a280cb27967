"""A codec's tensors in whatever training scripts save around them."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from compressai.models import FactorizedPrior
from torch import Tensor

from kodec.codecs import read_model_info
from kodec.codecs.foreign import import_checkpoint
from kodec.native import BitstreamError, InvalidInputError, KodecError

State = dict[str, Tensor]
FAMILY = "bmshj2018-factorized"


def published(seed: int = 0) -> State:
    torch.manual_seed(seed)
    return dict(FactorizedPrior(4, 6).state_dict())


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The id of the model that all of them hold."""
    folder = tmp_path_factory.mktemp("right")
    torch.save(published(), folder / "a.pth")
    return import_checkpoint(folder / "a.pth", folder / "a.safetensors", FAMILY).model_id


def named(change: Callable[[str], str]) -> Callable[[State], Any]:
    return lambda state: {change(name): value for name, value in state.items()}


def inside(name: str) -> str:
    part, _, rest = name.partition(".")
    return f"{part}._orig_mod.{rest}"


OPTIMISER = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
AROUND: dict[str, Callable[[State], Any]] = {
    "net.": named("net.{}".format),
    "module.": named("module.{}".format),
    "_orig_mod.": named("_orig_mod.{}".format),
    "module._orig_mod.": named("module._orig_mod.{}".format),
    "_orig_mod.module.": named("_orig_mod.module.{}".format),
    "model.net.module.": named("model.net.module.{}".format),
    "an unheard-of one": named("my_codec_2.{}".format),
    "compiled parts": named(inside),
    "state_dict": lambda state: {"state_dict": state, "optimizer": OPTIMISER, "epoch": 3},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=1)},
    "net": lambda state: {"net": state},
    "ema alone": lambda state: {"ema": {"module": state}},
    "nested": lambda state: {
        "checkpoint": {"model": {"state_dict": named("module.{}".format)(state)}}
    },
    "an average too": lambda state: {"ema": published(1), "state_dict": state},
    "an average with the same parts": lambda state: (
        named("model.{}".format)(state) | named("model_ema.{}".format)(published(1))
    ),
    "losses and counters": lambda state: {
        **state,
        "g_a.0.total_ops": torch.zeros(1),
        "total_params": torch.zeros(1),
        "aux_loss.weight": torch.ones(2),
        "lpips.net.slice1.0.weight": torch.ones(2),
        "epoch": 4,
        "_metadata": {"": {"version": 1}},
    },
    "in 64 bits": lambda state: {
        k: v.double() if v.is_floating_point() else v for k, v in state.items()
    },
}


@pytest.mark.parametrize("name", AROUND)
def test_the_same_codec_whatever_is_around_it(name: str, right: bytes, tmp_path: Path) -> None:
    torch.save(AROUND[name](published()), tmp_path / "a.pth")
    output = tmp_path / "a.safetensors"
    assert import_checkpoint(tmp_path / "a.pth", output, FAMILY).model_id == right
    left_out = read_model_info(output).notes.get("left out", "")
    assert ("aux_loss.weight" in left_out) == (name == "losses and counters")


def test_other_formats_of_files(right: bytes, tmp_path: Path) -> None:
    state, output = published(), tmp_path / "out.safetensors"
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "one.safetensors").write_bytes(safetensors.torch.save(state))
    names = sorted(state)
    parts = {
        "m-00001-of-00002.safetensors": names[::2],
        "m-00002-of-00002.safetensors": names[1::2],
    }
    for part, held in parts.items():
        (tmp_path / part).write_bytes(safetensors.torch.save({n: state[n] for n in held}))
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {n: p for p, held in parts.items() for n in held}}))
    for source in ("old.pth", "one.safetensors", index.name):
        assert import_checkpoint(tmp_path / source, output, FAMILY).model_id == right
    with pytest.raises(BitstreamError, match="one part of several: name the index"):
        import_checkpoint(tmp_path / "m-00001-of-00002.safetensors", output, FAMILY)
    with pytest.raises(InvalidInputError, match="is a folder.*dcp_to_torch"):
        import_checkpoint(tmp_path, output, FAMILY)
    maps: list[object] = [{"a": name} for name in ("../out.safetensors", index.name, "none.bin")]
    maps += [[], 3]
    for weight_map in maps:
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(BitstreamError):
            import_checkpoint(index, output, FAMILY)


def without(name: str) -> Callable[[State], Any]:
    return lambda state: {k: v for k, v in state.items() if k != name}


REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "no analysis": (named("x_{}".format), r"has no tensors g_a.*; one is 'x_"),
    "no tensors": (lambda state: {"epoch": 3}, "holds no tensors"),
    "two codecs": (lambda state: {"a": state, "b": state}, "holds 2 codecs, 'a.', 'b.'"),
    "a layer more": (
        lambda state: {f"net.{k}": v for k, v in {**state, "g_s.7.weight": torch.ones(2)}.items()},
        "'net.g_s.7.weight', which its config has no use for",
    ),
    "a part more": (
        lambda state: {**state, "refine.weight": torch.ones(2)},
        "'refine.weight', which its config has no use for; name the model",
    ),
    "a layer less": (without("g_s.2.bias"), "does not fit.*'synthesis.layers.2.bias'"),
    "the first layer less": (without("g_a.0.weight"), "it has no 'g_a.0.weight'"),
    "another shape": (
        lambda state: {**state, "g_s.6.bias": torch.ones(4)},
        "'g_s.6.bias' are 4, where its config needs 3",
    ),
    "no shape": (lambda state: {**state, "g_a.0.weight": torch.ones(())}, "does not fit"),
    "odd quantiles": (
        lambda state: {**state, "entropy_bottleneck.quantiles": torch.ones(6)},
        "does not fit",
    ),
    "not finite": (
        lambda state: {f"net.{k}": v * torch.nan if k == "g_s.0.bias" else v
                       for k, v in state.items()},
        "a.pth: the weights net.g_s.0.bias are not finite",
    ),
    "beyond 32 bits": (
        lambda state: {**state, "g_s.0.bias": torch.full((4,), 1e300, dtype=torch.float64)},
        "g_s.0.bias are not finite in 32 bits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_named_as_in_the_file(name: str, tmp_path: Path) -> None:
    change, words = REFUSED[name]
    torch.save(change(published()), tmp_path / "a.pth")
    with pytest.raises(KodecError, match=words) as caught:
        import_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", FAMILY)
    assert "a.pth" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "a.safetensors").exists()
