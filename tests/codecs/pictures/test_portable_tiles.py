"""Files in tiles, read where everything is computed as differently as it can be."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.codecs import load, picture_of_array
from kodec.codecs.pictures.picture import Samples
from photos import photo_like
from plain_kernels import run_with_plain_kernels

TILE = (64, 64)
HEIGHT, WIDTH = 150, 210


def source(deep: bool) -> Samples:
    """With an alpha that is coded by the model."""
    samples: Samples = photo_like(HEIGHT, WIDTH, 4)
    samples[..., 3] = photo_like(HEIGHT, WIDTH, 3, seed=5)[..., 0]
    return samples.astype(np.uint16) * 257 + 11 if deep else samples


@pytest.mark.parametrize("deep", [False, True])
def test_other_kernels_and_threads_read_the_same(
    tiny_model: Path, tmp_path: Path, deep: bool
) -> None:
    codec = load(tiny_model)
    encoded = codec.encode_picture(picture_of_array(source(deep)), 30, tile=TILE)
    (tmp_path / "here.kdc").write_bytes(encoded.data)
    (tmp_path / "model").write_text(str(tiny_model))
    run_with_plain_kernels(__file__, tmp_path)
    # What was decoded there of the file from here, and a file from there decoded here.
    for name, data in (("here", encoded.data), ("there", (tmp_path / "there.kdc").read_bytes())):
        expected, decoded = np.load(tmp_path / f"{name}.npy"), codec.decode(data)
        levels = 257 if deep else 1
        assert np.abs(decoded.astype(int) - expected.astype(int)).max() <= levels


def elsewhere(folder: Path) -> None:
    """In the other process, with two tiles at work at a time."""
    torch.set_num_threads(2)
    codec = load((folder / "model").read_text())
    np.save(folder / "here.npy", codec.decode((folder / "here.kdc").read_bytes()))
    deep = np.load(folder / "here.npy").dtype == np.uint16
    encoded = codec.encode_picture(picture_of_array(source(deep)), 30, tile=TILE)
    (folder / "there.kdc").write_bytes(encoded.data)
    shown = encoded.reconstruction
    assert shown.alpha is not None
    np.save(folder / "there.npy", np.dstack([shown.pixels, shown.alpha]))


if __name__ == "__main__":
    elsewhere(Path(sys.argv[1]))
