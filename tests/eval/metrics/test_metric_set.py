import math
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from kodec.eval import VideoFormat, check_metrics, psnr, usual_metrics
from kodec.eval.metrics.lpips import lpips
from kodec.eval.metrics.metric_set import measure_frame, measure_picture
from kodec.eval.metrics.picture_metrics import yuv_psnrs
from kodec.eval.metrics.vmaf import vmaf, why_no_vmaf
from kodec.native import InvalidInputError, UnsupportedError

Pixels = NDArray[np.uint8]


def pair(height: int, width: int) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    a = np.asarray(image)
    return a, np.clip(a + rng.normal(0, 6, a.shape), 0, 255).astype(np.uint8)


def by_hand(a: Pixels, b: Pixels, weights: tuple[float, float, float]) -> float:
    """PSNR of a weighted sum of R, G and B, by plain loops."""
    total = 0.0
    for row_a, row_b in zip(a.tolist(), b.tolist(), strict=True):
        for pixel_a, pixel_b in zip(row_a, row_b, strict=True):
            error = sum(w * (x - y) for w, x, y in zip(weights, pixel_a, pixel_b, strict=True))
            total += error**2
    return 10 * math.log10(255**2 / (total / (a.shape[0] * a.shape[1])))


def test_yuv_psnrs_of_pictures_are_those_of_bt709() -> None:
    a, b = pair(7, 9)
    found = measure_picture(a, b, usual_metrics(video=False))
    y = by_hand(a, b, (0.2126, 0.7152, 0.0722))
    u = by_hand(a, b, tuple(x / 1.8556 for x in (-0.2126, -0.7152, 0.9278)))  # type: ignore[arg-type]
    v = by_hand(a, b, tuple(x / 1.5748 for x in (0.7874, -0.7152, -0.0722)))  # type: ignore[arg-type]
    assert (found["psnr-y"], found["psnr-u"], found["psnr-v"]) == pytest.approx((y, u, v))
    assert found["psnr-yuv-611"] == pytest.approx((6 * y + u + v) / 8)
    assert found["psnr-yuv-411"] == pytest.approx((4 * y + u + v) / 6)
    mean = sum(k * 10 ** (-db / 10) for k, db in ((4, y), (1, u), (1, v))) / 6
    assert found["psnr-yuv-mse-411"] == pytest.approx(-10 * math.log10(mean))
    assert found["psnr-rgb"] == psnr(a, b)
    assert "ms-ssim-rgb" not in found  # too small
    mean = sum(10 ** (-db / 10) for db in (y, u, v)) / 3
    assert found["psnr-yuv-mse-111"] == pytest.approx(-10 * math.log10(mean))
    three = {round(found[f"psnr-yuv-{kind}"], 6) for kind in ("611", "411", "mse-411")}
    assert len(three) == 3


def test_published_example_of_the_611_weighting() -> None:
    # UVG's Beauty at QP 22 in the DCVC family's VTM anchor.
    errors = [255**2 * 10 ** (-db / 10) for db in (39.919552, 39.437203, 41.739133)]
    assert yuv_psnrs(errors, 255)["psnr-yuv-611"] == pytest.approx(40.086706, abs=1e-6)


def test_vtm_summaries_follow_from_their_planes() -> None:
    """Y, U, V and YUV-PSNR of VTM's summaries of one frame: 4:4:4 (17.0, twice) and 4:2:0."""
    for planes, name, stated in (
        ((41.5556, 45.7386, 47.2266), "psnr-yuv-mse-111", 44.1451),
        ((24.3588, 37.8450, 40.2473), "psnr-yuv-mse-111", 28.8338),
        ((36.6308, 46.5007, 47.0050), "psnr-yuv-mse-411", 38.1852),
    ):
        errors = [255**2 * 10 ** (-db / 10) for db in planes]
        assert yuv_psnrs(errors, 255)[name] == pytest.approx(stated, abs=2e-4)


def test_frames_are_compared_as_they_are_stored() -> None:
    form = VideoFormat(4, 2, "420", 10, Fraction(25))
    frame = tuple(np.full(shape, 500, np.uint16) for shape in form.plane_shapes)
    other = tuple(plane + np.uint16(k) for plane, k in zip(frame, (1, 2, 4), strict=True))
    found = measure_frame(frame, other, form, usual_metrics(video=True))
    y = 20 * math.log10(1023)
    u, v = y - 20 * math.log10(2), y - 20 * math.log10(4)
    assert (found["psnr-y"], found["psnr-u"], found["psnr-v"]) == pytest.approx((y, u, v))
    assert found["psnr-yuv-611"] == pytest.approx((6 * y + u + v) / 8)
    error = (4 * 1 + 4 + 16) / 6
    assert found["psnr-yuv-mse-411"] == pytest.approx(10 * math.log10(1023**2 / error))
    with pytest.raises(InvalidInputError, match="shape"):
        measure_frame(frame, frame[:1], form, ["psnr-y"])


def test_ms_ssim_of_luma() -> None:
    a, b = pair(170, 165)
    found = measure_picture(a, b, ["ms-ssim-y", "ms-ssim-rgb"])
    assert set(found) == {"ms-ssim-y", "ms-ssim-rgb"}
    assert 0.8 < found["ms-ssim-y"] < 1
    gray = np.repeat(a[:, :, :1], 3, axis=2), np.repeat(b[:, :, :1], 3, axis=2)
    # Of a gray picture in three channels all planes are the luma.
    same = measure_picture(*gray, ["ms-ssim-y", "ms-ssim-rgb"])
    assert same["ms-ssim-y"] == pytest.approx(same["ms-ssim-rgb"], abs=1e-5)
    form = VideoFormat(165, 170, "400")
    frames = (a[:, :, 0],), (b[:, :, 0],)
    assert measure_frame(*frames, form, ["ms-ssim-y"])["ms-ssim-y"] == pytest.approx(
        same["ms-ssim-y"], abs=1e-5
    )


def test_gray_pictures_have_luma_only() -> None:
    a, b = (image[:, :, :1] for image in pair(8, 8))
    found = measure_picture(a, b, usual_metrics(video=False))
    assert set(found) == {"psnr-rgb", "psnr-y"}
    assert found["psnr-y"] == found["psnr-rgb"] == psnr(a, b)


def test_names_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert check_metrics(["ms-ssim-db-y", "psnr-rgb", "ms-ssim-y"], False) == (
        ["ms-ssim-y", "psnr-rgb"],
        [],
    )
    with pytest.raises(InvalidInputError, match=r"no metric 'psnr' of pictures: .*psnr-rgb"):
        check_metrics(["psnr"], False)
    with pytest.raises(InvalidInputError, match="no metric 'psnr-rgb' of video"):
        check_metrics(["psnr-rgb"], True)
    with pytest.raises(UnsupportedError, match="vmaf cannot be computed here: no ffmpeg"):
        check_metrics(["vmaf"], True)
    with pytest.raises(UnsupportedError, match="lpips cannot.*AlexNet.*downloads nothing"):
        check_metrics(["lpips"], False)
    names, notes = check_metrics(["all"], False)
    assert names == usual_metrics(False)
    assert [note.split()[0] for note in notes] == ["lpips", "vmaf"]


def test_ffmpeg_without_vmaf_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho ' .. scale  V->V  Scale the input'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why_no_vmaf() == f"{program} was built without libvmaf"


@pytest.mark.skipif(
    shutil.which("ffmpeg") is None or why_no_vmaf() is not None,
    reason="no ffmpeg with libvmaf on the PATH",
)
def test_vmaf_falls_with_noise() -> None:
    form = VideoFormat(176, 144, "444", fps=Fraction(25))
    a, b = pair(144, 176)
    frames = [tuple(np.ascontiguousarray(np.moveaxis(image, 2, 0))) for image in (a, b)]
    same, noisy = vmaf([frames[0]], [frames[0]], form), vmaf([frames[0]], [frames[1]], form)
    assert noisy < same and same > 90


def test_lpips_runs_on_weights_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Random weights: what they give is no LPIPS, but the way there is the real one."""
    from torchvision.models import alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    path = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    torch.save(alexnet(weights=None).state_dict(), path)
    a, b = pair(80, 96)
    assert lpips(a, a) == pytest.approx(0, abs=1e-6)
    assert lpips(a, b) > 1e-5
    assert lpips(a[:, :, :1], a[:, :, :1]) == pytest.approx(0, abs=1e-6)
    assert check_metrics(["lpips"], False) == (["lpips"], [])
    with pytest.raises(UnsupportedError, match="64 pixels"):
        lpips(a[:50], b[:50])
