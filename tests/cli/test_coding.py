import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import MOST_TRIALS, Codec, PictureCodec, load, read_picture
from kodec.eval import psnr

Cli = Callable[..., Any]
SavePicture = Callable[..., Path]


@pytest.mark.parametrize(
    ("height", "width", "components"),
    [(1, 1, 3), (17, 31, 3), (31, 17, 1), (1, 50, 1), (48, 64, 3), (129, 33, 3)],
)
def test_round_trip(
    kodec: Cli,
    tiny_model: Path,
    save_picture: SavePicture,
    tmp_path: Path,
    height: int,
    width: int,
    components: int,
) -> None:
    source = save_picture("in.png", height, width, components)
    coded, out = tmp_path / "a.kdc", tmp_path / "out.png"
    outcome = kodec("encode", source, coded, "--model", tiny_model, "--quality", 50, "--verify")
    assert (outcome.status, outcome.err) == (0, "")
    outcome = kodec("decode", coded, out, "--model", tiny_model)
    assert (outcome.status, outcome.err) == (0, "")
    encoded = load(tiny_model).encode_picture(read_picture(source), 50)
    assert coded.read_bytes() == encoded.data
    assert np.array_equal(read_picture(out).pixels, encoded.reconstruction.pixels)
    assert read_picture(out).pixels.shape == (height, width, components)
    assert psnr(read_picture(source).pixels, read_picture(out).pixels) > 22


def test_the_line_that_encode_prints_is_true(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(), tmp_path / "a.kdc"
    line = kodec("encode", source, coded, "--model", tiny_model).out
    size = coded.stat().st_size
    decoded = load(tiny_model).decode(coded.read_bytes())
    decibels = psnr(read_picture(source).pixels, decoded)
    bpp = 8 * size / (40 * 56)
    assert line == f"{coded}: {size:,} bytes, {bpp:.3f} bpp, quality 32, {decibels:.1f} dB\n"


@pytest.mark.parametrize("place", [0, 1, 5])
def test_quiet_is_silent_wherever_it_stands(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path, place: int
) -> None:
    arguments = ["encode", save_picture(), tmp_path / "a.kdc", "--model", tiny_model]
    arguments.insert(place, "--quiet")
    outcome = kodec(*arguments)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / "a.kdc").stat().st_size > 0


def test_metadata_come_back_and_lost_ones_are_noted(
    kodec: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (20, 10), "red").save(tmp_path / "in.png", icc_profile=b"icc" * 50, exif=exif)
    coded = tmp_path / "a.kdc"
    assert kodec("encode", tmp_path / "in.png", coded, "--model", tiny_model).status == 0
    assert kodec("decode", coded, tmp_path / "out.png", "--model", tiny_model).err == ""
    decoded = read_picture(tmp_path / "out.png")
    assert decoded.icc == b"icc" * 50
    assert decoded.exif == read_picture(tmp_path / "in.png").exif is not None
    outcome = kodec("decode", coded, tmp_path / "out.ppm", "--model", tiny_model)
    assert outcome.status == 0
    assert outcome.err.startswith("kodec: note: ") and "ICC profile and EXIF" in outcome.err
    assert kodec("decode", "--quiet", coded, tmp_path / "out.ppm", "--model", tiny_model).err == ""


def test_target_bpp_takes_the_highest_quality_that_fits(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(height=64, width=96), tmp_path / "a.kdc"
    codec, picture = load(tiny_model), read_picture(source)
    sizes = [len(codec.encode(picture.pixels, quality)) for quality in range(64)]
    target = 8 * sizes[40] / (64 * 96)
    outcome = kodec("encode", source, coded, "--model", tiny_model, "--target-bpp", target)
    assert "quality 40," in outcome.out
    assert coded.stat().st_size == sizes[40] < sizes[41]
    least = 8 * sizes[0] / (64 * 96)
    complaint = kodec(
        "encode", source, tmp_path / "b.kdc", "--model", tiny_model, "--target-bpp", least * 0.9
    ).complaint
    assert f"quality 0 takes {sizes[0]:,} bytes" in complaint
    # What the line advises works.
    advised = complaint.split("--target-bpp ")[1].split()[0]
    assert kodec("encode", source, coded, "--model", tiny_model, "--target-bpp", advised).out.count(
        "quality 0,"
    )
    assert not (tmp_path / "b.kdc").exists()


def test_target_bpp_decodes_what_it_writes_alone(
    kodec: Cli,
    tiny_model: Path,
    save_picture: SavePicture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    syntheses = []
    reconstruct = PictureCodec.reconstruct

    def counted(self: PictureCodec, *arguments: Any) -> Any:
        syntheses.append(arguments)
        return reconstruct(self, *arguments)

    monkeypatch.setattr(PictureCodec, "reconstruct", counted)
    outcome = kodec(
        "encode", save_picture(), tmp_path / "a.kdc", "--model", tiny_model, "--target-bpp", 20
    )
    assert outcome.status == 0 and len(syntheses) == 1
    arguments = ["--model", tiny_model, "--target-psnr", 1]
    assert kodec("encode", tmp_path / "in.png", tmp_path / "a.kdc", *arguments).status == 0
    assert 2 <= len(syntheses) - 1 <= MOST_TRIALS


def test_target_psnr_takes_the_lowest_quality_that_reaches_it(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(height=64, width=96), tmp_path / "a.kdc"
    codec, picture = load(tiny_model), read_picture(source)

    def decibels(quality: int) -> float:
        return psnr(picture.pixels, codec.encode_picture(picture, quality).reconstruction.pixels)

    target = (decibels(44) + decibels(45)) / 2
    outcome = kodec("encode", source, coded, "--model", tiny_model, "--target-psnr", target)
    assert "quality 45," in outcome.out
    complaint = kodec(
        "encode", source, tmp_path / "b.kdc", "--model", tiny_model, "--target-psnr", 90
    ).complaint
    assert f"quality 63 gives {np.floor(decibels(63) * 100) / 100:.2f} dB" in complaint
    assert not (tmp_path / "b.kdc").exists()


def test_fixed_rate_models(
    kodec: Cli, fixed_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(), tmp_path / "a.kdc"
    for flag in ("--quality", "--target-bpp", "--target-psnr"):
        complaint = kodec("encode", source, coded, "--model", fixed_model, flag, 30).complaint
        assert "fixed has one fixed rate" in complaint
        assert not coded.exists()
    outcome = kodec("encode", source, coded, "--model", fixed_model, "--verify")
    assert outcome.status == 0 and "quality" not in outcome.out
    assert kodec("decode", coded, tmp_path / "out.png", "--model", fixed_model).status == 0


def test_verify_refuses_a_file_that_decodes_to_something_else(
    kodec: Cli,
    tiny_model: Path,
    save_picture: SavePicture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Codec.decode_picture

    def wrong(self: Codec, data: bytes) -> Any:
        decoded = honest(self, data)
        decoded.pixels[0, 0, 0] ^= 1
        return decoded

    monkeypatch.setattr(Codec, "decode_picture", wrong)
    arguments = ["encode", save_picture(), tmp_path / "a.kdc", "--model", tiny_model]
    assert "would not decode" in kodec(*arguments, "--verify").complaint
    assert not (tmp_path / "a.kdc").exists()
    assert kodec(*arguments).status == 0


@pytest.fixture
def bad(tmp_path: Path, save_picture: SavePicture, tiny_model: Path) -> Path:
    """A folder with all kinds of wrong inputs; nothing may be added to it."""
    save_picture("good.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "empty.kdc").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "video.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    Image.new("CMYK", (8, 8)).save(tmp_path / "cmyk.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "moving.gif")
    codec = load(tiny_model)
    data = codec.encode(read_picture(tmp_path / "good.png").pixels, 40)
    (tmp_path / "good.kdc").write_bytes(data)
    (tmp_path / "cut.kdc").write_bytes(data[:-9])
    (tmp_path / "changed.kdc").write_bytes(data[:60] + bytes([data[60] ^ 4]) + data[61:])
    shutil.copy(tiny_model, tmp_path / "model.safetensors")
    weights = bytearray(tiny_model.read_bytes())
    weights[-1000] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(weights)
    (tmp_path / "cut.safetensors").write_bytes(weights[:5000])
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        # encode: inputs
        ("encode none.png out.kdc", "none.png: No such file"),
        ("encode folder out.kdc", "folder holds no pictures"),
        ("encode empty.png out.kdc", "empty.png is empty"),
        ("encode text.png out.kdc", "not a picture"),
        ("encode video.mp4 out.kdc", "not a video or is damaged"),
        ("encode cut.png out.kdc", "damaged or truncated"),
        ("encode cmyk.jpg out.kdc", "give --convert"),
        ("encode cmyk.jpg out.kdc --convert", "has no profile"),
        ("encode moving.gif out.kdc", "GIF picture"),
        ("encode good.png out.kdc --max-memory 1M", "are too little"),
        ("decode good.kdc out.png --model MODEL --crop 40,0,99,8", "goes up to column 139"),
        ("encode good.kdc out.kdc", "kodec file already"),
        ("encode /dev/zero out.kdc", "is a device"),
        # encode: outputs
        ("encode good.png out.jpg", "name it out.kdc"),
        ("encode good.png out", "name it out.kdc"),
        ("encode good.png none/out.kdc", "does not exist"),
        ("encode good.png folder", "encode writes .kdc files"),
        ("encode good.png /proc/out.kdc", "/proc/out.kdc"),
        # encode: models
        ("encode good.png out.kdc --model nonsense", "there is no model 'nonsense'"),
        ("encode good.png out.kdc --model none.safetensors", "there is no model"),
        ("encode good.png out.kdc --model folder", "there is no model 'folder'"),
        ("encode good.png out.kdc --model good.png", "looks like a PNG picture"),
        ("encode good.png out.kdc --model good.kdc", "not a kodec model file"),
        ("encode good.png out.kdc --model empty.kdc", "not a kodec model file"),
        ("encode good.png out.kdc --model damaged.safetensors", "damaged"),
        ("encode good.png out.kdc --model cut.safetensors", "damaged"),
        # decode: inputs
        ("decode none.kdc out.png", "none.kdc: No such file"),
        ("decode folder out.png", "folder is a folder"),
        ("decode good.png out.png", "good.png: not a kodec file (it looks like a PNG picture)"),
        ("decode empty.kdc out.png", "empty.kdc: not a kodec file (it is empty)"),
        ("decode cut.kdc out.png", "cut.kdc: "),
        ("decode changed.kdc out.png", "changed.kdc: "),
        ("decode model.safetensors out.png", "a safetensors file"),
        ("decode /dev/zero out.png", "not a kodec file"),
        # decode: outputs
        ("decode good.kdc out.jpg", "would change the decoded pixels"),
        ("decode good.kdc out.kdc", "not as .kdc"),
        ("decode good.kdc out", "a name without extension"),
        ("decode good.kdc out.pgm", "a .pgm file holds gray"),
        ("decode good.kdc none/out.png", "does not exist"),
        ("decode good.kdc folder", "kodec writes pictures as"),
        # decode: models
        ("decode good.kdc out.png", "name its model file with --model"),
        ("decode good.kdc out.png --model nonsense", "there is no model 'nonsense'"),
        ("decode good.kdc out.png --model FIXED", "not with fixed"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    kodec: Cli,
    bad: Path,
    tiny_model: Path,
    fixed_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    words: str,
) -> None:
    monkeypatch.chdir(bad)
    before = {path.name: path.stat().st_mtime_ns for path in bad.iterdir()}
    named = arguments.replace("FIXED", str(fixed_model)).replace("MODEL", str(tiny_model))
    command = named.split()
    if command[0] == "encode" and "--model" not in command:
        command += ["--model", str(tiny_model)]
    outcome = kodec(*command)
    assert outcome.status == 1
    assert words in outcome.complaint
    assert {path.name: path.stat().st_mtime_ns for path in bad.iterdir()} == before


def test_cuda_is_refused_where_there_is_none(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    outcome = kodec(
        "encode", save_picture(), tmp_path / "a.kdc", "--model", tiny_model, "--device", "cuda"
    )
    assert "no CUDA device" in outcome.complaint
    assert not (tmp_path / "a.kdc").exists()


def test_the_input_is_never_overwritten(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    picture = save_picture().rename(tmp_path / "photo.kdc")
    before = picture.read_bytes()
    (tmp_path / "link.kdc").symlink_to(picture)
    for output in ("photo.kdc", "link.kdc"):
        complaint = kodec("encode", picture, tmp_path / output, "--model", tiny_model).complaint
        assert "is the input itself" in complaint
    assert picture.read_bytes() == before


def test_a_failure_keeps_the_old_output(kodec: Cli, bad: Path, tiny_model: Path) -> None:
    old = bad / "old.png"
    old.write_bytes(b"old")
    assert kodec("decode", bad / "changed.kdc", old, "--model", tiny_model).status == 1
    assert old.read_bytes() == b"old"
    assert kodec("decode", bad / "good.kdc", old, "--model", tiny_model).status == 0
    assert read_picture(old).pixels.shape == (40, 56, 3)


def test_as_a_program(tiny_model: Path, save_picture: SavePicture, tmp_path: Path) -> None:
    """The installed command, with nothing of the libraries' on stderr."""
    program = Path(sys.executable).with_name("kodec")
    coded, out = tmp_path / "a.kdc", tmp_path / "out.png"
    steps: list[list[str | Path]] = [
        ["encode", save_picture(), coded, "--verify"],
        ["decode", coded, out],
    ]
    for step in steps:
        done = subprocess.run(
            [program, *step, "--model", tiny_model], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["a.kdc", "in.png", "out.png"]


def test_the_default_model(
    kodec: Cli, default_model: str, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded, out = save_picture(height=100, width=75), tmp_path / "a.kdc", tmp_path / "o.png"
    assert kodec("encode", source, coded, "--quality", 63, "--verify").status == 0
    outcome = kodec("decode", coded, out)
    assert outcome.status == 0 and f"model {default_model}" in outcome.out
    assert psnr(read_picture(source).pixels, read_picture(out).pixels) > 30
