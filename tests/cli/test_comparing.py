import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)


def write_curve(path: Path, name: str, rates: list[float], values: list[float]) -> Path:
    path.write_text(json.dumps({"name": name, "results": {"bpp": rates, "psnr": values}}))
    return path


def test_bdrate(kodec: Cli, tmp_path: Path) -> None:
    values = [30.0, 33.0, 36.0, 39.0]
    anchor = write_curve(tmp_path / "anchor.json", "anchor", [0.2, 0.4, 0.8, 1.6], values)
    half = write_curve(tmp_path / "half.json", "half", [0.1, 0.2, 0.4, 0.8], values)
    outcome = kodec("bdrate", half, anchor)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("BD-rate -50.00 % (psnr-rgb, pchip; 4 against 4 points")
    assert "\nBD-PSNR +3.000 dB (at equal rate over 0.2..0.8 bpp)\n" in outcome.out
    assert "100 % of the test's range, 100 % of the anchor's; rate rises" in outcome.out
    for method in ("pchip", "akima", "cubic"):
        facts = json.loads(kodec("bdrate", half, anchor, "--method", method, "--json").out)
        assert facts["value_percent"] == pytest.approx(-50, abs=1e-6)
        assert facts["quality_difference"] == pytest.approx(3, abs=1e-6)
        assert (facts["method"], facts["test"], facts["anchor"]) == (method, "half", "anchor")
        assert facts["rests_on"]["test"][0]["source"] == [str(half)]


def test_bdrate_of_bad_input_is_one_line(kodec: Cli, tmp_path: Path) -> None:
    good = write_curve(tmp_path / "good.json", "good", [0.2, 0.4], [30.0, 33.0])
    far = write_curve(tmp_path / "far.json", "far", [0.2, 0.4], [40.0, 43.0])
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert "No such file" in kodec("bdrate", good, tmp_path / "none.json").complaint
    assert "not a results file" in kodec("bdrate", tmp_path / "text.json", good).complaint
    assert "overlap" in kodec("bdrate", good, far).complaint
    assert "hold no vmaf" in kodec("bdrate", good, good, "--metric", "vmaf").complaint
    assert "needs 4 points" in kodec("bdrate", good, good, "--method", "cubic").complaint
    assert "name a file of one" in kodec("bdrate", good, tmp_path).complaint
    assert "name files of one" in kodec("bdrate", tmp_path, tmp_path).complaint
    assert "empty folder" in kodec("bdrate", good, tmp_path / "empty").complaint
    assert "no file matches" in kodec("bdrate", good, tmp_path / "*.log").complaint
    assert "psnr-yuv-411 or" in kodec("bdrate", good, good, "--metric", "psnr-yuv").complaint
    for size in ("1920", "1920x", "0x8", "axb", "-1x4"):
        wrong = kodec("bdrate", good, good, f"--size={size}")
        assert wrong.status == 2 and "1920x1080" in wrong.complaint


def write_table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_three_points_and_two_at_one_quality_are_said(kodec: Cli, tmp_path: Path) -> None:
    anchor = write_table(tmp_path / "a.csv", "bpp,psnr-rgb", "0.1,30", "0.2,33", "0.4,36", "0.8,39")
    three = write_table(tmp_path / "three.csv", "bpp,psnr-rgb", "0.1,31", "0.2,34", "0.4,37")
    assert "note: three: 3 points; 4 or more are usual" in kodec("bdrate", three, anchor).out
    twice = write_table(
        tmp_path / "twice.csv", "bpp,psnr-rgb", "0.1,31", "0.2,34", "0.3,34", "0.4,37", "0.8,40"
    )
    out = kodec("bdrate", twice, anchor).out
    assert "note: twice: two points at 34.00 dB, the dearer left out" in out
    assert "4 against 4 points" in out


def test_qualities_that_hardly_overlap_are_refused_unless_forced(
    kodec: Cli, tmp_path: Path
) -> None:
    low = write_table(tmp_path / "l.csv", "bpp,psnr-rgb", "0.1,30", "0.2,32", "0.4,34", "0.8,36")
    high = write_table(tmp_path / "h.csv", "bpp,psnr-rgb", "0.4,35", "0.8,37", "1.6,40", "3.2,43")
    refused = kodec("bdrate", high, low).complaint
    assert "overlap in 35.00..36.00 dB only, 12 % of the one's" in refused and "--force" in refused
    forced = kodec("bdrate", high, low, "--force").out
    assert forced.startswith("BD-rate ") and "note: forced: the curves overlap in 35.00" in forced
    none = write_table(tmp_path / "n.csv", "bpp,psnr-rgb", "1,45", "2,46", "3,47", "4,48")
    assert "45.00..48.00 dB" in kodec("bdrate", none, low, "--force").complaint


def test_kilobits_against_bits_per_pixel_ask_for_size_and_rate(kodec: Cli, tmp_path: Path) -> None:
    values = (30, 33, 36, 39)
    rows = [f"{rate},{value}" for rate, value in zip((100, 200, 400, 800), values, strict=True)]
    kbps = write_table(tmp_path / "k.csv", "kbps,psnr-rgb", *rows)
    # 100 kbps at 10 frames of 100x100 a second: 1 bit per pixel.
    rows = [f"{rate},{value}" for rate, value in zip((2, 4, 8, 16), values, strict=True)]
    bpp = write_table(tmp_path / "b.csv", "bpp,psnr-rgb", *rows)
    asked = kodec("bdrate", kbps, bpp).complaint
    assert "--size WxH" in asked and "--fps F" in asked
    assert "--fps F" in kodec("bdrate", kbps, bpp, "--size", "100x100").complaint
    assert "--size WxH" in kodec("bdrate", kbps, bpp, "--fps", "10").complaint
    out = kodec("bdrate", kbps, bpp, "--size", "100x100", "--fps", "10").out
    assert out.startswith("BD-rate -50.00 %")
    assert "bpp from kbps at 100x100, 10 frames a second" in out
    alone = kodec("bdrate", kbps, kbps).out
    assert "taken to be at one frame rate" in alone


def test_different_metrics_are_refused(kodec: Cli, tmp_path: Path) -> None:
    rows = ("0.1,30", "0.2,33", "0.4,36", "0.8,39")
    six = write_table(tmp_path / "six.csv", "bpp,psnr-yuv-611", *rows)
    four = write_table(tmp_path / "four.csv", "bpp,psnr-yuv-411", *rows)
    line = kodec("bdrate", six, four).complaint
    assert "TEST has psnr-yuv-611; ANCHOR has psnr-yuv-411" in line
    assert (
        "hold no psnr-yuv-611" in kodec("bdrate", six, four, "--metric", "psnr-yuv-611").complaint
    )


def test_lower_is_better_for_lpips(kodec: Cli, tmp_path: Path) -> None:
    anchor = write_table(tmp_path / "a.csv", "bpp,lpips", "0.1,.4", "0.2,.3", "0.4,.2", "0.8,.1")
    half = write_table(tmp_path / "h.csv", "bpp,lpips", "0.05,.4", "0.1,.3", "0.2,.2", "0.4,.1")
    out = kodec("bdrate", half, anchor).out
    assert out.startswith("BD-rate -50.00 % (lpips, pchip; 4 against 4 points; overlap 0.1000..0.4")
    assert "BD-quality -0.1000 (at equal rate over 0.1..0.4 bpp; lower is better)" in out


def write_images(path: Path, factor: float) -> Path:
    """Twelve pictures of three qualities; `factor` is the rate of a codec to another's."""
    images = range(12)
    rows: list[dict[str, Any]] = []
    for quality in (1, 2, 3, 4):
        for image in images:
            bpp = factor * 0.1 * 2**quality * (1 + image / 20)
            rows.append(
                {
                    **{"image": f"{image}.png", "quality": quality, "width": 64, "height": 64},
                    **{"bytes": 1, "bpp": bpp, "encoding_time": 0.0, "decoding_time": 0.0},
                    "metrics": {"psnr-rgb": 27 + 3 * quality - image / 10 + (image % 3) * factor},
                }
            )
    by_quality = [[row for row in rows if row["quality"] == quality] for quality in (1, 2, 3, 4)]
    results = {
        "bpp": [sum(row["bpp"] for row in point) / 12 for point in by_quality],
        "psnr-rgb": [sum(row["metrics"]["psnr-rgb"] for row in p) / 12 for p in by_quality],
    }
    document = {"name": path.stem, "results": results, "quality": [1, 2, 3, 4], "per_image": rows}
    path.write_text(json.dumps(document))
    return path


def test_bootstrap_interval_where_both_have_pictures(kodec: Cli, tmp_path: Path) -> None:
    ours, theirs = write_images(tmp_path / "o.json", 0.8), write_images(tmp_path / "t.json", 1.0)
    facts = json.loads(kodec("bdrate", ours, theirs, "--json").out)
    interval = facts["interval"]
    assert interval["low_percent"] < facts["value_percent"] < interval["high_percent"]
    assert (interval["items"], interval["resamples"], interval["level"]) == (12, 1000, 0.95)
    assert json.loads(kodec("bdrate", ours, theirs, "--json").out) == facts
    assert "95 % interval" in kodec("bdrate", ours, theirs).out
    per_picture = json.loads(kodec("bdrate", ours, theirs, "--average", "sequences", "--json").out)
    assert len(per_picture["sequences"]) == 12 and per_picture["average"] == "sequences"
    mean = sum(one["value_percent"] for one in per_picture["sequences"]) / 12
    assert per_picture["value_percent"] == pytest.approx(mean)
    plain = write_curve(tmp_path / "p.json", "plain", [0.2, 0.4, 0.8, 1.6], [30, 33, 36, 39])
    assert "no data per picture" in kodec("bdrate", ours, plain).out
    assert "leave --average out" in kodec("bdrate", ours, plain, "--average", "sequences").complaint


@needs_data
def test_logs_of_two_structures_from_patterns(kodec: Cli) -> None:
    logs = Path(os.environ["KODEC_DATA"]) / "logs"
    test = logs / "vtm-17.0_LP_foreman_qcif_48f_qp*.log"
    anchor = logs / "vtm-17.0_LB_foreman_qcif_48f_qp??.log"
    facts = json.loads(kodec("bdrate", test, anchor, "--json").out)
    assert facts["metric"] == "psnr-y"
    assert facts["rests_on"]["test"][0]["settings"] == ["QP 37", "QP 32", "QP 27", "QP 22"]
    sized = json.loads(kodec("bdrate", test, anchor, "--json", "--size", "176x144").out)
    assert sized["value_percent"] == pytest.approx(facts["value_percent"], abs=1e-9)
    assert sized["rests_on"]["test"][0]["rate_unit"] == "bpp"


@needs_data
def test_anchor_of_all_sequences_against_itself_by_sequence_and_by_class(kodec: Cli) -> None:
    anchor = (
        Path(os.environ["KODEC_DATA"]) / "results/dcvc/anchors/vtm_17.0_yuv420_LB_allf_ip0.json"
    )
    for average in ("sequences", "curves"):
        out = kodec("bdrate", anchor, anchor, "--sequences", "UVG/*", "--average", average).out
        assert out.startswith("BD-rate +0.00 % (psnr-yuv-611")
    assert "(7 sequences)" in out and "pooled over frames, frame-weighted" in out
    assert "no sequence of TEST" in kodec("bdrate", anchor, anchor, "--sequences", "X/*").complaint


def test_rows_of_pictures_give_no_number(kodec: Cli, tmp_path: Path) -> None:
    rows = [f"kodim{i:02d},{0.2 + i % 5 / 20},{33 - i % 7}" for i in range(24)]
    ours = write_table(tmp_path / "ours.csv", "filename,bpp,psnr", *rows)
    line = kodec("bdrate", ours, ours).complaint
    assert "its 24 pictures or frames (kodim00, kodim01, ...) make one point" in line
    assert "measure more qualities" in line


def test_turns_of_the_fit_are_noted(kodec: Cli, tmp_path: Path) -> None:
    rows = ("5096,99.98146", "4000,99.94996", "3068,99.66744", "2054,97.1181")
    path = write_table(tmp_path / "new.csv", "kbps,vmaf", *rows)
    found = kodec("bdrate", path, path, "--method", "cubic")
    assert "note: new: the cubic fitted to its points turns" in found.out
    facts = json.loads(kodec("bdrate", path, path, "--method", "cubic", "--json").out)
    assert any("turns" in warning for warning in facts["warnings"])
    assert "fitted" not in kodec("bdrate", path, path).out


def test_pictures_that_differ_in_suffix_alone(kodec: Cli, tmp_path: Path) -> None:
    ours, theirs = write_images(tmp_path / "o.json", 0.8), write_images(tmp_path / "t.json", 1.0)
    for path in (ours, theirs):
        path.write_text(path.read_text().replace('"1.png"', '"0.jpg"'))
    out = kodec("bdrate", ours, theirs, "--average", "sequences").out
    assert "mean of 12 sequences" in out and "\n0.jpg" in out and "\n0.png" in out
