"""Sketches: every part's shapes and types, without its numbers."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from compositions import LATENTS, TRANSFORMS, config_of
from kodec.codecs import build_module
from kodec.codecs.building import _build
from kodec.codecs.sketch import Sketch
from kodec.native import BitstreamError, InvalidInputError

# Each transform and each latent model once, and not with each other.
CONFIGS = [
    *((transform, "mean-scale hyperprior") for transform in TRANSFORMS),
    *(("gdn", latents) for latents in LATENTS),
]


def described(module: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Everything that takes memory, constants too."""
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: (value.shape, value.dtype) for name, value in tensors.items()}


@pytest.mark.parametrize("transform, latents", CONFIGS, ids=", ".join)
def test_a_sketch_has_the_shapes_and_types_of_the_module(transform: str, latents: str) -> None:
    config = config_of((transform, latents, True))
    try:
        built = build_module(config)
    except InvalidInputError:
        pytest.skip("these two do not go together")
    with Sketch(100_000):
        sketch = _build(config, ())
    assert described(sketch) == described(built)
    assert {value.device.type for value in sketch.state_dict().values()} == {"meta"}


def test_constructors_end_where_they_make_too_much() -> None:
    with Sketch(100), pytest.raises(BitstreamError, match="far more layers"):
        nn.Sequential(*(nn.Linear(1, 1) for _ in range(1000)))


@pytest.mark.parametrize("calls", range(6))
def test_wherever_one_ends_gradients_are_as_they_were(calls: int) -> None:
    """Constructors draw their weights under `no_grad`, and its end is a call as well."""
    with pytest.raises(BitstreamError), Sketch(calls):
        nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(3)))
    assert torch.is_grad_enabled()


IMPORTS = """
import sys
from kodec.codecs import build_module, find_model
from kodec.codecs.model_file import load_model
from kodec.native import BitstreamError
build_module({"class_path": "kodec.entropy.GainUnit", "init_args": {"channels": 1}})
before = set(sys.modules)
arguments = {"class_path": "", "init_args": {"widths": [4, 4, 8]}}
for name in ("RefinedLappedAnalysis", "RefinedLappedSynthesis"):
    build_module({**arguments, "class_path": "kodec.models." + name})
build_module({"class_path": "kodec.models.GDNAnalysis"})
build_module({"class_path": "kodec.entropy.FrequencySlices"})
for name in ("default", "video"):
    load_model(find_model(name))
print(sorted(set(sys.modules) - before))
"""


def test_nothing_of_torch_is_imported_for_it() -> None:
    """What PyTorch computes on the meta device in Python takes seconds and 150 MB to import."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    )
    assert "torch._" not in done.stdout and "sympy" not in done.stdout
