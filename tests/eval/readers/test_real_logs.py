"""Logs that real encoders wrote, read with other expressions than the reader's."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

from kodec.eval import bd_rate, compare, read_curve_sets, read_curves
from kodec.native import InvalidInputError
from reported_results import write_video

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)
LOGS = Path(os.environ.get("KODEC_DATA", "")) / "logs"


@needs_data
def test_every_real_log_has_its_summarys_numbers_and_its_pictures_bits() -> None:
    """Read with other expressions than the reader's."""
    paths = [path for path in sorted(LOGS.glob("*.log")) if not path.name.startswith("vvenc")]
    assert len(paths) > 30
    for path in paths:
        text = path.read_text()
        row = re.search(r"Total Frames.*\n\s*(\d+)\s+a\s+(.*)", text)
        assert row is not None
        numbers = [float(number) for number in row[2].split()[:5]]
        (found,) = read_curve_sets([path])
        assert found.frames == int(row[1])
        if found.rate_unit == "kbps":
            assert found.rates == (numbers[0],)
        else:
            assert found.size is not None and found.fps is not None
            pixels = found.fps * found.size[0] * found.size[1]
            assert found.rates[0] * pixels / 1000 == pytest.approx(numbers[0], rel=1e-9)
        for plane, number in zip("yuv", numbers[1:4], strict=True):
            assert found.metrics[f"psnr-{plane}"] == (number,)
        (name,) = [name for name in found.metrics if "yuv" in name]
        # The Kodak pictures were coded as 4:4:4, all else as 4:2:0.
        chroma = "111" if "kodim" in path.name else "411"
        assert name == f"psnr-yuv-mse-{chroma}" and found.metrics[name] == (numbers[4],)
        bits = [int(number) for number in re.findall(r"(\d+) bits", text)]
        if len(bits) == found.frames:
            assert found.fps is not None
            assert numbers[0] * 1000 * len(bits) / found.fps == pytest.approx(sum(bits), abs=2)


@needs_data
def test_bits_per_pixel_of_real_logs() -> None:
    (verbose,) = read_curves([LOGS / "vtm-17.0_LB_foreman_qcif_48f_qp32_verbose6.log"], "psnr-y")
    written = 4469  # "Bytes written to file", which has no more than the pictures here.
    assert verbose.rate_unit == "bpp" and verbose.size == (176, 144)
    assert verbose.rates[0] == pytest.approx(8 * written / 48 / (176 * 144), rel=1e-4)
    (vvenc,) = read_curves([LOGS / "vvencFFapp-1.13.0_Bosphorus_qp22.log"], "psnr-y")
    assert vvenc.rates[0] == pytest.approx(2490948.0 / 30 / (1920 * 1080))
    (kodim03,) = read_curves(sorted(LOGS.glob("*kodim03*")), "psnr-y", size=(768, 512))
    assert kodim03.rates[-1] == pytest.approx(282712 / (768 * 512), rel=1e-4)
    with pytest.raises(InvalidInputError, match="give --size WxH"):
        read_curves([LOGS / "vtm-17.0_LP_foreman_qcif_48f_qp22.log"], fps=30)
    with pytest.raises(InvalidInputError, match="give --fps F"):
        read_curves([LOGS / "hm-16.x_AI_kodak_qp51_excerpt.log"], size=(768, 512))


@needs_data
@pytest.mark.parametrize(("metric", "column"), [("psnr-y", 1), ("psnr-yuv-mse-411", 4)])
def test_low_delay_p_against_b_by_hand(metric: str, column: int) -> None:
    sides = []
    for structure in ("LP", "LB"):
        points = []
        for qp in (22, 27, 32, 37):
            text = (LOGS / f"vtm-17.0_{structure}_foreman_qcif_48f_qp{qp}.log").read_text()
            bits = sum(int(number) for number in re.findall(r"(\d+) bits", text))
            last = [line for line in text.splitlines() if line.startswith("\t48")][0].split()
            points.append((float(last[2 + column]), math.log(bits)))
        x, y = np.array(sorted(points)).T
        sides.append((x, PchipInterpolator(x, y)))
    low, high = max(x[0] for x, _ in sides), min(x[-1] for x, _ in sides)
    areas = [float(curve.integrate(low, high)) for _, curve in sides]
    expected = 100 * (math.exp((areas[0] - areas[1]) / (high - low)) - 1)
    (test,), (anchor,) = (
        read_curves(sorted(LOGS.glob(f"vtm-17.0_{s}_foreman_qcif_48f_qp??.log")), metric)
        for s in ("LP", "LB")
    )
    assert bd_rate(test, anchor).value_percent == pytest.approx(expected, abs=0.001)


@needs_data
def test_the_folder_of_real_logs_reads_as_a_whole() -> None:
    curves = {curve.name: curve for curve in read_curves([LOGS], "psnr-y")}
    assert len(curves["vtm-14.0_RA_RaceHorses"].rates) == 4
    assert curves["vtm-17.0_LB_BasketballPass_32f"].frames == 32
    assert any("4 pictures' lines for 24" in n for n in curves["hm-16.x_AI_kodak_excerpt"].notes)


@needs_data
def test_logs_of_low_delay_are_anchors_of_our_sequences(tmp_path: Path) -> None:
    clips = ("foreman_qcif_176x144_30_48f.mkv", "BasketballPass_416x240_50_96f.mkv")
    ours = write_video(tmp_path, "ours", sequences=clips, frames=48, fps=(30, 50))
    logs = [*LOGS.glob("vtm-17.0_LB_fore*qp??.log"), *LOGS.glob("vtm-17.0_LB_Bask*.log")]
    found = compare(read_curves([ours], "psnr-yuv-611"), read_curves(logs, "psnr-yuv-611"))
    assert len(found.results) == 2
    warned = [warning for result in found.results for warning in result.warnings]
    assert any("differ in frames: 48 and 32" in line for line in warned)
    assert not any("48 and 48" in line for line in warned)
