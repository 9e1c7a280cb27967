"""Reference outputs of fitted networks: weights by rule, and the published names as ours."""

import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# In turn; published names on the left.
NAMES = (
    (r"^encoder\.downsample_layers\.(\d)\.(\d)", lambda m: f"encoder.{3 * int(m[1]) + int(m[2])}"),
    (r"^encoder\.stages\.(\d)\.0", lambda m: f"encoder.{3 * int(m[1]) + 2}"),
    (r"\.dwconv\.", ".spatial."),
    (r"\.pwconv1\.", ".expand."),
    (r"\.pwconv2\.", ".project."),
    (r"^stem\.(\d)\.(weight|bias)", r"stem.layers.\1.\2"),
    (r"^stem\.fc1", "stem.expand"),
    (r"^stem\.fc2", "stem.project"),
    (r"^stem_xy", "stem.place"),
    (r"^trans1", "stem.among_places"),
    (r"^trans2", "stem.with_time"),
    (r"attn\.to_qkv", "qkv"),
    (r"attn\.to_out\.0", "out"),
    (r"ffn\.net\.0", "mlp.0"),
    (r"ffn\.net\.3", "mlp.2"),
    (r"^toconv", "stem.project"),
    (
        r"^(?:layers|decoder)\.(\d)\.conv\.(?:conv|downconv|upconv\.0)",
        r"stages.\1.block.convolution",
    ),
    (r"^layers\.(\d)\.conv1\.upconv\.0", r"stages.\1.block.layers.0"),
    (r"^layers\.(\d)\.conv2", r"stages.\1.block.layers.2"),
    (r"^t_layers\.(\d)", r"stages.\1.before.modulation"),
    (r"^(?:layers|decoder)\.(\d)\.sft_block", r"stages.\1.after"),
    (r"\.sft0\.", ".first."),
    (r"\.sft1\.", ".second."),
    (r"SFT_(scale|shift)_conv0", r"\1.0"),
    (r"SFT_(scale|shift)_conv1", r"\1.2"),
    (r"after\.conv0", "after.inner"),
    (r"after\.conv1", "after.outer"),
    (r"^layers\.(\d)\.proj\.conv_block\.0", r"stages.\1.block.project"),
    (r"^layers\.(\d)\.gcnn\.fc1", r"stages.\1.block.gated.expand"),
    (r"^layers\.(\d)\.gcnn\.fc2", r"stages.\1.block.gated.project"),
    (r"^layers\.(\d)\.gcnn\.conv", r"stages.\1.block.gated.spatial"),
    (r"^layers\.(\d)\.nerv_block\.0\.conv", r"stages.\1.block.up.convolution"),
    (r"^layers\.(\d)\.rffn\.ffn\.0", r"stages.\1.block.refine.0"),
    (r"^layers\.(\d)\.rffn\.ffn\.2", r"stages.\1.block.refine.1"),
    (r"^layers\.(\d)\.rffn\.ffn\.5", r"stages.\1.block.refine.3"),
    (r"^head_layers?(\.3)?\.", "head.convolution."),
    # NIRVANA, HiNeRV.
    (r"^stem\.(\d)\.linear\.(weight|bias)", r"stem.\1.\2"),
    (r"^nerv_block\.0", "up"),
    (r"^last_layer", "head"),
    (r"^encoding\.grids\.(\d)\.weight", r"grids.levels.\1"),
    (r"^decoder\.stem\.conv", "stem"),
    (r"^decoder\.blocks\.(\d)\.1\.enc\.grids\.(\d)\.weight", r"stages.\1.local.levels.\2"),
    (r"^decoder\.blocks\.(\d)\.1\.enc\.linear", r"stages.\1.local.project"),
    (
        r"^decoder\.blocks\.(\d)\.(\d)",
        lambda m: f"stages.{m[1]}.blocks.{int(m[2]) - 2}",
    ),
    (r"\.dconv\.", ".spatial."),
    (r"\.fc1\.", ".expand."),
    (r"\.fc2\.", ".project."),
    (r"^decoder\.head\.linear", "head"),
)
GAINS = {"nerv": 1.4, "hnerv": 1.4}
ONES = re.compile(
    r"(norm\.weight|downsample_layers\.0\.1\.weight|downsample_layers\.[123]\.0\.weight|gamma)$"
)


def folder() -> Path:
    """The folder of reference data; skips the test where there is none."""
    path = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
    if not (path / "inr-keys.json").exists():
        pytest.skip("KODEC_DATA has no reference/inr-keys.json")
    return path


def outputs(name: str) -> Mapping[str, NDArray[Any]]:
    """The arrays of reference/inr-<name>.npz."""
    stored: Mapping[str, NDArray[Any]] = np.load(folder() / f"inr-{name}.npz")
    return stored


def sizes() -> dict[str, dict[str, dict[str, Any]]]:
    """The table of budgets, widths and exact parameter counts."""
    table: dict[str, dict[str, dict[str, Any]]]
    table = json.loads((folder() / "inr-sizes.json").read_text())
    return table


def published_weights(system: str) -> dict[str, Tensor]:
    """The weights that the outputs were made with, by the published names."""
    shapes = json.loads((folder() / "inr-keys.json").read_text())[system]
    gain = GAINS.get(system, 1.0)
    found = {}
    for name, shape in shapes.items():
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        if len(shape) >= 2:
            drawn = rng.uniform(-1, 1, shape) * np.sqrt(3 / np.prod(shape[1:])) * gain
        else:
            drawn = rng.uniform(-1, 1, shape) * 0.1 + (
                "hnerv" in system and bool(ONES.search(name))
            )
        found[name] = torch.from_numpy(drawn.astype(np.float32))
    return found


def load_published(network: nn.Module, system: str, encoder: nn.Module | None = None) -> None:
    """Fill a network, and an encoder, with the weights; every one must be asked for."""
    own: dict[str, Tensor] = {}
    encoders: dict[str, Tensor] = {}
    # Of E-NeRV's two, `stem_t` is of the stem, the branch is what stages take; else it is theirs.
    time = (("stem_t", "stem.time"), ("t_branch", "time"))
    rules = time if system.startswith("enerv") else (("stem_t", "time"),)
    for name, value in published_weights(system).items():
        for pattern, ours in (*rules, *NAMES):
            name = re.sub(pattern, ours, name)
        part = encoders if name.startswith("encoder.") else own
        part[name.removeprefix("encoder.")] = value
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    network.load_state_dict({name: value.view(shapes[name]) for name, value in own.items()})
    if encoder is not None:
        encoder.load_state_dict(encoders)


def assert_near(found: Tensor, stored: NDArray[Any]) -> None:
    """Within 1e-4 of the reference's largest value, or what float16 leaves of it."""
    reference = torch.from_numpy(stored.astype(np.float32))
    assert found.shape == reference.shape
    tolerance = 1e-3 if stored.dtype == np.float16 else 1e-4
    assert float((found - reference).abs().max()) <= tolerance * float(reference.abs().max())
