import io
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kodec.eval import bd_rate, evaluate, psnr, read_results, write_results
from kodec.native import BitstreamError, InvalidInputError, KodecError


class Jpeg:
    """A real codec through Pillow: what it returns can be measured by hand."""

    name = "jpeg"

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        file = io.BytesIO()
        pixels = image[:, :, 0] if image.shape[2] == 1 else image
        Image.fromarray(pixels).save(file, "jpeg", quality=50 if quality is None else quality)
        return file.getvalue()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        return pixels.reshape(*pixels.shape[:2], -1)


class Lossless(Jpeg):
    """Raw samples behind their shape."""

    name = "raw"

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        return np.array(image.shape, dtype="<u4").tobytes() + image.tobytes()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data[12:], np.uint8).reshape(np.frombuffer(data[:12], "<u4"))


class Broken(Lossless):
    name = "broken"

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        raise BitstreamError("packet 3 is damaged")


class Cropping(Lossless):
    name = "cropping"

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        return super().decode(data)[:-1]


def save(path: Path, height: int, width: int, mode: str = "RGB") -> Path:
    small = np.random.default_rng(height).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(
        path
    )
    return path


def test_points_are_means_over_pictures_of_whole_files(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png", 170, 180), save(tmp_path / "b.png", 200, 165)]
    results = evaluate(Jpeg(), paths, [20, 80], "through Pillow")
    assert results.quality == [20, 80]
    assert [(row.image, row.quality) for row in results.per_image] == [
        ("a.png", 20),
        ("b.png", 20),
        ("a.png", 80),
        ("b.png", 80),
    ]
    for point, quality in enumerate([20, 80]):
        bpps, psnrs = [], []
        for path in paths:
            picture = np.asarray(Image.open(path))
            data = Jpeg().encode(picture, quality)
            bpps.append(8 * len(data) / (picture.shape[0] * picture.shape[1]))
            psnrs.append(psnr(picture, Jpeg().decode(data)))
        assert results.results["bpp"][point] == pytest.approx(sum(bpps) / 2)
        assert results.results["psnr-rgb"][point] == pytest.approx(sum(psnrs) / 2)
    low, high = results.results["ms-ssim-rgb"]
    assert 0 < low < high < 1
    assert min(results.results["encoding_time"] + results.results["decoding_time"]) > 0
    assert results.machine["cpu"] and results.notes == []


def test_results_go_through_a_file_to_a_bd_rate(tmp_path: Path) -> None:
    results = evaluate(Jpeg(), [save(tmp_path / "a.png", 170, 180)], [20, 50, 80, 90])
    write_results(results, tmp_path / "results.json")
    again = read_results(tmp_path / "results.json")
    assert again == results
    assert bd_rate(again.curve(), results.curve()).value_percent == pytest.approx(0, abs=1e-9)


def test_lossless_codec_has_infinite_psnr(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 16, 24)
    results = evaluate(Lossless(), [path])
    assert results.results["psnr-rgb"] == [math.inf]
    assert results.results["bpp"] == [24 + 12 * 8 / (16 * 24)]
    assert results.quality == [None]
    write_results(results, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results


def test_ms_ssim_is_left_out_with_a_note_when_a_picture_is_small(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png", 170, 180), save(tmp_path / "b.png", 40, 165)]
    results = evaluate(Jpeg(), paths)
    assert results.metrics == ["psnr-rgb"]
    assert results.notes == ["ms-ssim-rgb left out: 1 of 2 pictures are below 161 pixels"]
    assert "ms-ssim-rgb" in results.per_image[0].metrics


def test_gray_pictures_are_measured(tmp_path: Path) -> None:
    results = evaluate(Jpeg(), [save(tmp_path / "a.png", 32, 48, "L")], [90])
    assert 20 < results.results["psnr-rgb"][0] < 60


def test_progress_counts_every_file(tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    paths = [save(tmp_path / "a.png", 16, 24), save(tmp_path / "b.png", 16, 24)]
    evaluate(Jpeg(), paths, [10, 20], progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert calls[1][2] == "a.png, quality 20"


def test_failures_name_the_codec_and_the_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 16, 24)
    with pytest.raises(KodecError, match=r"broken on .*a\.png: packet 3 is damaged"):
        evaluate(Broken(), [path])
    with pytest.raises(KodecError, match=r"cropping on .*a\.png: .*shape"):
        evaluate(Cropping(), [path])


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 16, 24)
    with pytest.raises(InvalidInputError, match="at least one picture"):
        evaluate(Jpeg(), [])
    with pytest.raises(InvalidInputError, match="at least one picture"):
        evaluate(Jpeg(), [path], [])
    with pytest.raises(InvalidInputError, match="twice"):
        evaluate(Jpeg(), [path], [10, 10])
    with pytest.raises(KodecError, match="transparency"):
        evaluate(Jpeg(), [save(tmp_path / "alpha.png", 8, 8, "RGBA")])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(KodecError, match="not a picture"):
        evaluate(Jpeg(), [tmp_path / "text.png"])
    with pytest.raises(KodecError, match="No such file"):
        evaluate(Jpeg(), [tmp_path / "missing.png"])
