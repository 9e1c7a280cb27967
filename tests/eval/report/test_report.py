from pathlib import Path

import pytest

from kodec.eval import bd_rate, read_results
from kodec.eval.report import build_report, picture_comparisons, read_entries
from kodec.native import InvalidInputError
from reported_results import write_curve


def test_bd_rates_are_those_of_bd_rate(tmp_path: Path) -> None:
    half, anchor = write_curve(tmp_path, "half", 0.5), write_curve(tmp_path, "anchor")
    entries = read_entries([half, anchor])
    report = build_report(entries, entries[1])
    assert report.metrics == ("psnr-rgb", "ms-ssim-db-rgb")
    for comparison in report.comparisons:
        curves = [read_results(path).curve(comparison.metric) for path in (half, anchor)]
        assert comparison.result == bd_rate(*curves)
        assert comparison.result.value_percent == pytest.approx(-50)


def test_an_anchor_without_overlap_is_a_reason_not_a_failure(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "far", lift=20),
        write_curve(tmp_path, "near", 2),
        write_curve(tmp_path, "anchor"),
    ]
    entries = read_entries(paths)
    report = build_report(entries, entries[-1], ["psnr-rgb"])
    far, near = report.comparisons
    assert far.result is None and "no BD-rate: far covers 50.00..59.00 dB" in far.reason
    assert near.result is not None and near.result.value_percent == pytest.approx(100)


def test_a_metric_that_one_lacks_is_a_reason(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "psnr only", ms_ssim=False),
        write_curve(tmp_path, "both"),
        write_curve(tmp_path, "anchor"),
    ]
    entries = read_entries(paths)
    report = build_report(entries, entries[-1])
    reasons = {(c.entry.name, c.metric): c.reason for c in report.comparisons if c.reason}
    assert reasons == {("psnr only", "ms-ssim-db-rgb"): "psnr only has no ms-ssim-db-rgb"}
    assert [entry.name for entry in report.shown("ms-ssim-db-rgb")] == ["both", "anchor"]


def test_results_without_a_common_metric_are_refused(tmp_path: Path) -> None:
    one = write_curve(tmp_path, "one", ms_ssim=False)
    two = tmp_path / "two.json"
    two.write_text('{"name": "two", "results": {"bpp": [1, 2], "ms-ssim-rgb": [0.9, 0.95]}}')
    entries = read_entries([one, two])
    for anchor in (None, entries[1]):
        with pytest.raises(InvalidInputError, match="share no metric .*one has psnr-rgb; two has"):
            build_report(entries, anchor)
    with pytest.raises(InvalidInputError, match="no result has vmaf, only psnr-rgb"):
        build_report(entries, None, ["vmaf"])
    with pytest.raises(InvalidInputError, match="two has ms-ssim-db-rgb, the report compares by"):
        build_report(entries, None, ["psnr-rgb"])


def test_means_over_different_pictures_are_remarked_on(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "two", pictures=("a.png", "b.png")),
        write_curve(tmp_path, "anchor", pictures=("b.png", "c.png", "d.png")),
    ]
    entries = read_entries(paths)
    (comparison,) = build_report(entries, entries[-1], ["psnr-rgb"]).comparisons
    assert comparison.remarks == (
        "means over different pictures: 2 here, 3 in the anchor, 1 in both",
    )


def test_each_picture_has_its_own_bd_rate(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "half", 0.5, pictures=("a.png", "b.png")),
        write_curve(tmp_path, "anchor", pictures=("a.png", "b.png", "c.png", "d.png")),
    ]
    half, anchor = read_entries(paths)
    values = picture_comparisons(half, anchor, "psnr-rgb", "pchip")
    # a: 1/2 of the half against 1/4 of the whole; b: 2/2 of the half against 2/4 of the whole.
    assert values == {"a.png": pytest.approx(0, abs=1e-9), "b.png": pytest.approx(0, abs=1e-9)}


def test_the_anchor_alone_is_refused(tmp_path: Path) -> None:
    entries = read_entries([write_curve(tmp_path, "anchor")])
    with pytest.raises(InvalidInputError, match="besides the anchor"):
        build_report(entries, entries[0])
