"""RECOMBINER's network beside a run of the authors' code, and its division of pictures."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kodec.models.fields.recombiner import PatchField, PatchLayout
from kodec.native import InvalidInputError


def ruled(name: str, shape: list[int], amplitude: float | None = None) -> Tensor:
    """The reference's weights: see its README."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if amplitude is None:
        amplitude = float(np.sqrt(3 / np.prod(shape[1:]))) if len(shape) > 1 else 0.1
    return torch.from_numpy((rng.uniform(-1, 1, shape) * amplitude).astype(np.float32))


def test_the_authors_outputs() -> None:
    folder = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
    if not (folder / "inr-recombiner.npz").is_file():
        pytest.skip("KODEC_DATA has no reference/inr-recombiner.npz")
    stored = np.load(folder / "inr-recombiner.npz")
    keys = json.loads((folder / "inr-keys.json").read_text())["recombiner"]
    field = PatchField((32, 32, 32), 16, (128, 64, 16), 32)
    assert [list(matrix.shape) for matrix in field.matrices] == keys["A"]
    assert field.weights == keys["inr"] and field.latents == keys["lpe"]
    layout = PatchLayout.over(128, 128, 32, 2)
    root = float(np.sqrt(3))
    with torch.no_grad():
        for i, matrix in enumerate(field.matrices):
            matrix.copy_(ruled(f"A.{i}", list(matrix.shape)))
        for name, weight in field.upsample.named_parameters():
            weight.copy_(ruled(name, keys["upsample"][name]))
        encodings = field.encodings(ruled("lpe", [16, 512], 0.3 * root)[None], layout)
        vectors = [
            ruled(name, [rows, 3267], 0.01 * root)[None]
            for name, rows in (("inr", 16), ("h", 4), ("hh", 1))
        ]
        y = field(*vectors, encodings, layout)
    for name, got in (
        ("x_patch", field.features),
        ("pe_patch0", encodings[0, 0]),
        ("pe_patch5", encodings[0, 5]),
        ("y", y[0]),
    ):
        difference = np.abs(got.numpy() - stored[name]).max()
        assert difference < 1e-4 * np.abs(stored[name]).max(), name


def test_pictures_are_split_and_put_together() -> None:
    layout = PatchLayout.over(40, 70, 16, 2)
    assert (layout.rows, layout.columns, layout.patches, layout.groups) == (3, 5, 15, 6)
    assert layout.group_of().tolist() == [0, 0, 1, 1, 2] * 2 + [3, 3, 4, 4, 5]
    x = torch.arange(2 * 3 * 48 * 80).reshape(2, 3, 48, 80)
    patches = layout.split(x)
    assert torch.equal(layout.picture(patches), x)
    assert torch.equal(patches[1, 6, 17], x[1, :, 17, 17])


def test_some_pixels_are_those_of_all() -> None:
    torch.manual_seed(0)
    field = PatchField((8,), 4, (3, 4, 2), 16)
    layout = PatchLayout.over(32, 16, 16, 2)
    encodings = field.encodings(torch.randn(1, 2, field.latents), layout)
    vectors = [0.1 * torch.randn(1, rows, field.weights) for rows in (2, 1, 1)]
    pixels = torch.tensor([5, 200])
    whole = field(*vectors, encodings, layout)
    some = field(*vectors, encodings, layout, pixels)
    assert torch.allclose(some, whole[:, :, pixels], atol=1e-6)


def test_patches_fit_their_encodings() -> None:
    with pytest.raises(InvalidInputError, match="multiples of 16"):
        PatchField((8,), 4, (3, 4, 2), 24)
