"""Cool-chic's networks as its authors' code gave them (inr-coolchic-image.npz)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kodec.entropy.contexts.grid_rate import Affine, GridArm
from kodec.models.fields.grid_synthesis import Convolution, GridSynthesis
from kodec.models.fields.grid_upsampling import GridFilters


def reference(name: str) -> Path:
    """A file of the reference data; skips the test where there is none."""
    path = Path(os.environ.get("KODEC_DATA", ".")) / "reference" / name
    if not path.is_file():
        pytest.skip(f"KODEC_DATA has no reference/{name}")
    return path


def arrays() -> Any:
    """What the authors' code gave."""
    return np.load(reference("inr-coolchic-image.npz"))


@dataclass
class CodedPicture:
    """One of the pictures: latents (h, w) finest first, their levels, networks, figures.

    mix: what their decoder does to colours last, nearly nothing; ours has no such layer.
    """

    levels: list[int]
    hyper: list[bool]
    latents: list[Tensor]
    arm: GridArm
    filters: GridFilters
    synthesis: GridSynthesis
    mix: Convolution
    values: dict[str, Any]


def coded_picture(name: str) -> CodedPicture:
    """`hop64x96` or `mop61x83`."""
    content = arrays()
    values = {
        key.removeprefix(name + "/"): content[key] for key in content.files if key.startswith(name)
    }
    headers = json.loads(reference("inr-coolchic-headers.json").read_text())["image"][name]
    header = dict(headers)["residue"]

    def weight(key: str) -> Tensor:
        part = key.split(".")[0]
        step = header["nn_q_step"][part]["bias" if key.endswith("bias") else "weight"]
        found: Tensor = torch.from_numpy(values["net/" + key].astype(np.float32)) * step
        return found

    def affine(key: str) -> Affine:
        return Affine(weight(key + ".weight"), weight(key + ".bias"))

    def convolution(key: str) -> Convolution:
        return Convolution(*affine(key))

    arm = GridArm(
        (affine("arm.mlp.0"), affine("arm.mlp.2")),
        affine("arm.mlp.4"),
        affine("arm.stabiliser_branch"),
        tuple(affine(f"ifce.arms.{k}.mlp.0") for k in range(3)),
    )
    # Six steps, from the coarsest.
    filters = GridFilters(
        *(
            tuple(
                weight(f"upsampling.{kind}.{step}.parametrizations.weight.original")
                for step in range(6)
            )
            for kind in ("conv_transpose2ds", "conv2ds")
        )
    )
    synthesis = GridSynthesis(
        convolution("synthesis.main_branch.0"),
        convolution("synthesis.main_branch.2"),
        (convolution("synthesis.main_branch.4"), convolution("synthesis.main_branch.6")),
        convolution("synthesis.stabiliser_branch"),
    )
    mix = convolution("synthesis.output_transform")
    latents = [torch.from_numpy(values[f"latent{k}"]).float() for k in range(10)]
    levels = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6]
    hyper = [False] * 5 + [True, False, True, False, True]
    return CodedPicture(levels, hyper, latents, arm, filters, synthesis, mix, values)
