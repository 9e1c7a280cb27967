"""Transforms beside CompressAI's and the authors': as many weights, and with theirs, the same."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.models import (
    Cheng2020Anchor,
    Cheng2020Attention,
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from compressai.models.sensetime import Elic2022Official
from safetensors.torch import load_file
from torch import Tensor, nn

from kodec.codecs.foreign import TRANSFORM_NAMES, renamed
from kodec.models import (
    ELICAnalysis,
    ELICSynthesis,
    GDNAnalysis,
    GDNSynthesis,
    ResidualAnalysis,
    ResidualSynthesis,
)

# family: (CompressAI's model, its full size, a small one, our transforms, further arguments)
GDN = (GDNAnalysis, GDNSynthesis)
RESIDUAL = (ResidualAnalysis, ResidualSynthesis)
ELIC = (ELICAnalysis, ELICSynthesis)
FAMILIES: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...], Any, dict[str, Any]]] = {
    "bmshj2018-factorized": (FactorizedPrior, (128, 192), (6, 8), GDN, {}),
    "bmshj2018-hyperprior": (ScaleHyperprior, (192, 320), (6, 8), GDN, {}),
    "mbt2018-mean": (MeanScaleHyperprior, (128, 192), (6, 8), GDN, {}),
    "mbt2018": (JointAutoregressiveHierarchicalPriors, (192, 320), (6, 9), GDN, {}),
    "cheng2020-anchor": (Cheng2020Anchor, (128,), (6,), RESIDUAL, {}),
    "cheng2020-attn": (Cheng2020Attention, (192,), (6,), RESIDUAL, {"attention": True}),
    "elic": (Elic2022Official, (192, 320), (8, 136), ELIC, {}),
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def transforms_of(family: str, sizes: tuple[int, ...]) -> nn.ModuleDict:
    *_, (analysis, synthesis), more = FAMILIES[family]
    arguments = dict(zip(("width", "latents"), sizes, strict=False)) | more
    return nn.ModuleDict({"analysis": analysis(**arguments), "synthesis": synthesis(**arguments)})


def transform_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in state.items() if name.startswith(("g_a.", "g_s."))}


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@every_family
def test_as_many_weights_as_compressai_at_full_size(family: str) -> None:
    model, full, *_ = FAMILIES[family]
    published = model(*full)
    with torch.device("meta"):
        ours = transforms_of(family, full)
    assert size(ours["analysis"]) == size(published.g_a)
    assert size(ours["synthesis"]) == size(published.g_s)


@every_family
@torch.no_grad()
def test_with_compressais_weights_the_same_outputs(family: str) -> None:
    torch.manual_seed(0)
    model, _, small, *_ = FAMILIES[family]
    published, ours = model(*small), transforms_of(family, small)
    for parameter in published.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    ours.load_state_dict(renamed(transform_state(published.state_dict()), TRANSFORM_NAMES[family]))
    x = torch.rand(2, 3, 64, 48)
    y = published.g_a(x)
    assert torch.allclose(ours["analysis"](x), y, rtol=0, atol=1e-4 * float(y.abs().max()))
    x_hat = published.g_s(y)
    assert torch.allclose(ours["synthesis"](y), x_hat, rtol=0, atol=1e-4 * float(x_hat.abs().max()))


def test_other_names_stay() -> None:
    others = {
        "h_a.0.conv1.weight": torch.zeros(1),
        "gaussian_conditional.scale_table": torch.ones(1),
    }
    for rules in TRANSFORM_NAMES.values():
        assert renamed(others, rules) == others


def reference(name: str) -> Path:
    folder = os.environ.get("KODEC_DATA")
    path = Path(folder or ".") / "reference" / name
    if folder is None or not path.exists():
        pytest.skip(f"KODEC_DATA has no reference/{name}")
    return path


@torch.no_grad()
def test_with_the_authors_weights_mlicpp_gives_the_authors_latents() -> None:
    stored = load_file(reference("mlicpp-tiny-weights.safetensors"))
    outputs = np.load(reference("mlicpp-tiny-outputs.npz"))
    state = {}
    for name, tensor in stored.items():
        form, _, name = name.partition("/")
        state[name] = tensor.float() / 256 if form == "int8" else tensor
    arguments: dict[str, Any] = {"width": 32, "latents": 96, "activation": "gelu"}
    ours = nn.ModuleDict(
        {"analysis": ResidualAnalysis(**arguments), "synthesis": ResidualSynthesis(**arguments)}
    )
    ours.load_state_dict(renamed(transform_state(state), TRANSFORM_NAMES["mlic++"]))
    y = ours["analysis"](torch.from_numpy(outputs["x"]).float())
    assert (y - torch.from_numpy(outputs["y"])).abs().max() < 1e-4


def test_mlicpps_published_sizes() -> None:
    with torch.device("meta"):
        analysis = ResidualAnalysis(192, 320, activation="gelu")
        synthesis = ResidualSynthesis(192, 320, activation="gelu")
    # Millions, as the sum of the authors' modules has them.
    assert round(size(analysis) / 1e6, 1) == 4.4
    assert round(size(synthesis) / 1e6, 1) == 14.7
