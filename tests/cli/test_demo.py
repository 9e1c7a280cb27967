import itertools
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.codecs import Codec, Picture, load, load_video, read_picture
from kodec.codecs.fitted import Budget, Reconstruction
from kodec.codecs.fitted.fitted_codec import decode_fitted
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.video_files.frames import VideoFormat
from kodec.commands import fitted_demo, video_demo
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


def test_a_fitted_picture_is_a_real_file_that_is_checked(tmp_path: Path) -> None:
    pixels = fitted_demo.rendered_picture()
    assert pixels.shape == (128, 192, 3) and pixels.std() > 30
    found = fitted_demo.fit_to_file(pixels[40:72, 120:168], Budget(steps=4), tmp_path, quiet=True)
    data = (tmp_path / "fitted.kdc").read_bytes()
    assert found.coded.size == len(data) and found.run.done == 4
    assert sum(found.bytes_by_part.values()) == pytest.approx(len(data))
    assert np.array_equal(read_picture(tmp_path / "fitted.png").pixels, found.coded.shown)
    assert np.array_equal(decode_fitted(data), found.coded.shown)
    head, line = fitted_demo.table([found.coded], 32 * 48)
    assert line.split()[:2] == ["cool-chic", f"{len(data):,}"]
    assert head.split()[-1] == "pixel" and int(line.split()[-1].replace(",", "")) > 100


def test_a_wrong_pixel_of_a_fitted_picture_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Reconstruction.frame
    calls = itertools.count()

    def wrong(self: Reconstruction, number: int) -> Any:
        frame = honest(self, number)
        frame[0, 0, 0] ^= next(calls) == 0
        return frame

    monkeypatch.setattr(Reconstruction, "frame", wrong)
    pixels = fitted_demo.rendered_picture()[:16, :24]
    with pytest.raises(KodecError, match="does not decode to"):
        fitted_demo.fit_to_file(pixels, Budget(steps=1), tmp_path, quiet=True)


def test_the_demo_of_a_fit(kodec: Cli, default_model: str, tmp_path: Path) -> None:
    outcome = kodec("demo", "--fit", "0.5", "--output", tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    assert "default model" in outcome.out and "Bytes by part: header" in outcome.out
    with Image.open(tmp_path / "side-by-side.png") as image:
        assert image.width > 700
    assert kodec("demo", "--fit", "0", "--output", tmp_path).status == 2


def test_demo_refuses_a_file_for_a_folder(kodec: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in kodec("demo", "--output", tmp_path / "file").complaint


def test_the_demo_of_video_writes_real_files_and_tells_the_truth(
    kodec: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = [np.ascontiguousarray(x[60:108, 60:124]) for x in video_demo.drawn_clip(3)]
    monkeypatch.setattr(video_demo, "drawn_clip", lambda: clip)
    for name, value in {"WIDTH": 64, "HEIGHT": 48, "FRAMES": 3, "QUALITIES": (8, 40)}.items():
        monkeypatch.setattr(video_demo, name, value)
    folder = tmp_path / "demo"
    outcome = kodec("demo", "--video", "--output", folder)
    assert (outcome.status, outcome.err) == (0, "")
    names = ["original.mkv", "quality-40.kdc", "quality-40.mkv", "quality-8.kdc", "quality-8.mkv"]
    assert sorted(os.listdir(folder)) == names
    found = {}
    for quality in (8, 40):
        size = (folder / f"quality-{quality}.kdc").stat().st_size
        (line,) = [row for row in outcome.out.splitlines() if row.split()[:1] == [str(quality)]]
        assert line.split()[1] == f"{size:,}"
        found[quality] = size, float(line.split()[3])
        back = kodec("decode", folder / f"quality-{quality}.kdc", tmp_path / f"{quality}.y4m")
        assert back.status == 0
    assert found[8] < found[40]


def test_a_wrong_frame_of_a_video_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = load_video()
    form = VideoFormat(32, 16, "420", 8, Fraction(25))
    frames = [
        tuple(np.full(shape, 90 + n, np.uint8) for shape in form.plane_shapes) for n in (0, 9)
    ]
    honest = VideoCodec.decoder

    def wrong(self: VideoCodec, *arguments: Any, **options: Any) -> Any:
        for shown in honest(self, *arguments, **options):
            shown.picture[0][-1, -1] ^= 1
            yield shown

    monkeypatch.setattr(VideoCodec, "decoder", wrong)
    with pytest.raises(KodecError, match="does not decode to"):
        video_demo.round_trip(codec, frames, form, 20, tmp_path)
