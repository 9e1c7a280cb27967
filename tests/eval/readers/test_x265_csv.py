from pathlib import Path

import pytest

from kodec.eval import read_curve_sets, read_curves
from kodec.native import InvalidInputError

# As x265 3.5 writes them, the columns of P and B slices left out.
HEADER = (
    "Command, Date/Time, Elapsed Time, FPS, Bitrate, Y PSNR, U PSNR, V PSNR, Global PSNR, SSIM, "
    "SSIM (dB), I count, I ave-QP, I kbps, I-PSNR Y, I-PSNR U, I-PSNR V, I-SSIM (dB), Version\n"
)
FRAMES = "Encode Order, Type, POC, QP, Bits, Y PSNR, U PSNR, V PSNR, YUV PSNR\n" + "".join(
    f"{i}, P-SLICE, {i}, 30.00, 9{i}0, 38.1, 40.0, 41.0, 38.9\n" for i in range(3)
)


def run(kbps: float, options: str = "--crf 27", psnr: str = "38, 40, 41, 38.625") -> str:
    return (
        f'"x265 --input in/bus.y4m {options} -o out.hevc --psnr", Wed Nov 29 20:03:46 2023, 9.10, '
        f"11.30, {kbps}, {psnr}, -, -, 60, 28.00, {kbps}, 38, 40, 41, -, 3.5\n"
    )


def test_rows_are_runs_and_fps_is_speed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEADER + "".join(run(1000 * i, f"--crf {40 - i}") for i in (2, 1, 4)))
    (found,) = read_curve_sets([path])
    assert (found.rates, found.rate_unit, found.fps) == ((1000, 2000, 4000), "kbps", None)
    assert found.settings == ("crf 39", "crf 38", "crf 36")
    assert (found.sequence, found.frames) == ("bus", 60)
    assert found.metrics["psnr-yuv-611"] == (38.625,) * 3 and "psnr-y" in found.metrics
    (curve,) = read_curves([path], "psnr-y", (100, 100), 50)
    assert curve.rates == (2.0, 4.0, 8.0)


def test_what_the_command_line_states(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    stated = "--input-res 100x100 --fps 25 --qp="
    path.write_text(HEADER + run(1000, f"{stated}27") + run(500, f"{stated}32"))
    (curve,) = read_curves([path], "psnr-y")
    assert (curve.rate_unit, curve.rates) == ("bpp", (2.0, 4.0))
    two = "".join(run(100 * i, f"--preset {p} --qp {i}") for p in ("slow", "fast") for i in (1, 2))
    path.write_text(HEADER + two)
    assert [curve.name.split()[2] for curve in read_curves([path])] == ["slow", "fast"]


def test_summaries_behind_rows_of_frames(tmp_path: Path) -> None:
    whole = f"{FRAMES}\nSummary\n{HEADER}{run(1000)}"
    path = tmp_path / "x.csv"
    path.write_text(whole + whole.replace("27", "32").replace("1000", "500"))
    (found,) = read_curve_sets([path])
    assert (found.rates, found.settings) == ((500, 1000), ("crf 32", "crf 27"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRAMES, "rows are frames.*has not finished"),
        (HEADER + run(1000, psnr="-, -, -, -"), "run it with --psnr"),
        (HEADER + run(1000) * 2, "lines 2 and 3: two rows of .* with crf 27"),
        (HEADER + run(0), "line 2: 0 is no rate"),
        (HEADER, "no rows"),
        (HEADER + run(1000, psnr="38, 40, x, 38"), "V PSNR is 'x'"),
        (HEADER + run(1000, psnr="38, 40")[:-9], "line 2"),
    ],
)
def test_what_makes_no_point(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        read_curves([path])
