"""Pictures on the command line beyond 8-bit files: pipes, crops, limits, targets, damage."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import load, picture_of_array, read_picture, write_picture
from kodec.codecs.container import read_container
from photos import photo_like

Cli = Callable[..., Any]


def test_16_bits_and_alpha_go_through_pipes(tiny_model: Path, tmp_path: Path) -> None:
    samples = photo_like(40, 56, 4).astype(np.uint16) * 257 + 5
    write_picture(tmp_path / "in.png", picture_of_array(samples))
    kodec = [sys.executable, "-m", "kodec"]
    model = ["--model", str(tiny_model), "--quiet"]
    there = subprocess.run(
        [*kodec, "encode", "-", "-", *model],
        input=(tmp_path / "in.png").read_bytes(),
        capture_output=True,
        check=True,
    )
    back = subprocess.run(
        [*kodec, "decode", "-", "-", *model], input=there.stdout, capture_output=True, check=True
    )
    picture = read_picture(io.BytesIO(back.stdout))
    assert picture.same_as(load(tiny_model).decode_picture(there.stdout))
    assert (picture.kind, picture.pixels.shape) == ("16-bit RGB with alpha", (40, 56, 3))


def test_what_is_said_of_alpha(kodec: Cli, tiny_model: Path, tmp_path: Path) -> None:
    samples, coded = photo_like(40, 56, 4), tmp_path / "a.kdc"
    noise = np.random.default_rng(0).integers(0, 256, (40, 56), np.uint8)
    options = ["--model", tiny_model, "--quality", 0, "--verify"]
    for alpha, words in ((255, "alpha without loss"), (noise, "alpha coded, ")):
        samples[..., 3] = alpha
        write_picture(tmp_path / "in.png", picture_of_array(samples))
        outcome = kodec("encode", tmp_path / "in.png", coded, *options)
        assert outcome.status == 0 and words in outcome.out
    outcome = kodec("decode", coded, tmp_path / "out.bmp", "--model", tiny_model)
    assert "holds no transparency" in outcome.complaint


def test_crops(kodec: Cli, tiny_model: Path, tmp_path: Path) -> None:
    codec = load(tiny_model)
    encoded = codec.encode_picture(picture_of_array(photo_like(150, 210)), 30, tile=(64, 64))
    (tmp_path / "a.kdc").write_bytes(encoded.data)
    arguments = ["--model", tiny_model, "--crop", "60,70,80,9"]
    assert kodec("decode", tmp_path / "a.kdc", tmp_path / "a.png", *arguments).status == 0
    crop = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(crop, encoded.reconstruction.pixels[70:79, 60:140])
    for wrong in ("1,2,3", "0,0,0,4", "a,b,c,d"):
        assert kodec("decode", tmp_path / "a.kdc", "b.png", "--crop", wrong).status == 2


def test_damage_is_an_error_or_in_part_a_picture(
    kodec: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    codec = load(tiny_model)
    encoded = codec.encode_picture(picture_of_array(photo_like(150, 210)), 30, tile=(64, 64))
    packets = read_container(encoded.data).packets
    data = bytearray(encoded.data)
    data[data.index(packets[5]) + 1] ^= 1
    (tmp_path / "a.kdc").write_bytes(data)
    command = ["decode", tmp_path / "a.kdc", tmp_path / "a.png", "--model", tiny_model]
    assert "checksum" in kodec(*command).complaint
    assert not (tmp_path / "a.png").exists()
    outcome = kodec(*command, "--partial")
    assert outcome.status == 3
    assert "lost: colours of 64x64+64+64\n" in outcome.out
    assert outcome.err.count("\n") == 1 and "lost: 1 tile, which is filled in" in outcome.err
    assert read_picture(tmp_path / "a.png").pixels.shape == (150, 210, 3)
    (tmp_path / "a.kdc").write_bytes(encoded.data[: data.index(packets[9]) + 1])
    outcome = kodec(*command, "--partial")
    assert outcome.status == 3 and "lost: 3 tiles" in outcome.err and "truncated" in outcome.err
    (tmp_path / "a.kdc").write_bytes(encoded.data)
    assert kodec(*command, "--partial").status == 0
    whole = codec.encode_picture(picture_of_array(photo_like(20, 30)), 30)
    (tmp_path / "a.kdc").write_bytes(whole.data[:-3])
    assert "no part of the picture can be decoded" in kodec(*command, "--partial").complaint


@pytest.mark.parametrize("limit", [3000, "4k"])
def test_target_bytes(kodec: Cli, tiny_model: Path, tmp_path: Path, limit: object) -> None:
    write_picture(tmp_path / "in.png", picture_of_array(photo_like(64, 80)))
    coded = tmp_path / "a.kdc"
    arguments = ["--model", tiny_model, "--target-bytes", limit]
    outcome = kodec("encode", tmp_path / "in.png", coded, *arguments)
    assert outcome.status == 0 and " encodes" in outcome.out
    assert coded.stat().st_size <= (4000 if limit == "4k" else 3000)
    complaint = kodec(
        "encode", tmp_path / "in.png", coded, "--model", tiny_model, "--target-bytes", 50
    ).complaint
    assert "50 bytes are out of reach: quality 0 takes" in complaint


def test_options_for_pictures_are_refused_elsewhere(
    kodec: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W16 H16 F25:1\nFRAME\n" + bytes(384))
    for option in (["--target-bytes", 9], ["--convert"], ["--max-memory", "1G"]):
        outcome = kodec("encode", tmp_path / "a.y4m", tmp_path / "a.kdc", *option)
        assert f"{option[0]} is for pictures" in outcome.complaint
