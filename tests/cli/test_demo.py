import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import Codec, Picture, load, read_picture
from kodec.commands.demo import QUALITIES, round_trip, sample_picture, table
from kodec.eval import psnr
from kodec.native import KodecError

Cli = Callable[..., Any]


def test_the_sample_comes_with_matplotlib() -> None:
    pixels = sample_picture()
    assert pixels.shape == (592, 504, 3) and pixels.std() > 30


def test_round_trip_writes_real_files_and_tells_the_truth(tiny_model: Path, tmp_path: Path) -> None:
    pixels = sample_picture()[:80, 100:200]
    codec = load(tiny_model)
    row = round_trip(codec, pixels, 40, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["original.png", "quality-40.kdc", "quality-40.png"]
    assert np.array_equal(read_picture(tmp_path / "original.png").pixels, pixels)
    data = (tmp_path / row.name).read_bytes()
    assert row.size == len(data)
    assert np.array_equal(codec.decode(data), row.decoded)
    assert np.array_equal(read_picture(tmp_path / "quality-40.png").pixels, row.decoded)
    assert row.psnr == psnr(pixels, row.decoded) and row.jpeg_psnr == psnr(pixels, row.jpeg)
    assert row.jpeg_size <= row.size
    assert row.encode_ms > 0 and row.decode_ms > 0
    line = table([row], 8000)[1].split()
    assert line[:4] == ["40", f"{row.size:,}", f"{row.size / 1000:.3f}", f"{row.psnr:.2f}"]


def test_a_wrong_pixel_is_noticed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Codec.decode_picture

    def wrong(self: Codec, data: bytes) -> Picture:
        decoded = honest(self, data)
        decoded.pixels[-1, -1, 1] ^= 1
        return decoded

    monkeypatch.setattr(Codec, "decode_picture", wrong)
    with pytest.raises(KodecError, match="does not decode to"):
        round_trip(load(tiny_model), sample_picture()[:32, :32], 40, tmp_path)


def test_demo_with_the_embedded_model(kodec: Cli, default_model: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    outcome = kodec("demo", "--output", folder)
    assert (outcome.status, outcome.err) == (0, "")
    for quality in QUALITIES:
        size = (folder / f"quality-{quality}.kdc").stat().st_size
        assert f"{quality:>7} {size:>9,} " in outcome.out
        assert (folder / f"quality-{quality}.png").exists()
    with Image.open(folder / "side-by-side.png") as image:
        assert image.width > 900


def test_demo_refuses_a_file_for_a_folder(kodec: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in kodec("demo", "--output", tmp_path / "file").complaint
