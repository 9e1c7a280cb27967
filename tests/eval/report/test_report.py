import json
from pathlib import Path

import pytest

from kodec.eval import bd_rate, read_results
from kodec.eval.report import build_report, picture_comparisons, read_entries
from kodec.native import InvalidInputError
from reported_results import write_curve, write_logs


def test_bd_rates_are_those_of_bd_rate(tmp_path: Path) -> None:
    half, anchor = write_curve(tmp_path, "half", 0.5), write_curve(tmp_path, "anchor")
    report = build_report(*read_entries([half], [anchor]))
    assert report.metrics == ("psnr-rgb", "ms-ssim-db-rgb")
    for against in report.comparisons:
        ours, theirs = (read_results(path).curve(against.metric) for path in (half, anchor))
        assert against.comparison is not None
        assert against.comparison.value_percent == bd_rate(ours, theirs).value_percent
        assert against.comparison.value_percent == pytest.approx(-50)


def test_an_anchor_without_overlap_is_a_reason_not_a_failure(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "far", lift=20),
        write_curve(tmp_path, "near", 2),
        write_curve(tmp_path, "anchor"),
    ]
    report = build_report(*read_entries(paths[:-1], paths[-1:]), ["psnr-rgb"])
    far, near = report.comparisons
    assert far.comparison is None and "no BD-rate: far covers 50.00..59.00 dB" in far.reason
    assert near.comparison is not None and near.comparison.value_percent == pytest.approx(100)


def test_a_metric_that_one_lacks_is_a_reason(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "psnr only", ms_ssim=False),
        write_curve(tmp_path, "both"),
        write_curve(tmp_path, "anchor"),
    ]
    report = build_report(*read_entries(paths[:-1], paths[-1:]))
    reasons = {(c.entry.name, c.metric): c.reason for c in report.comparisons if c.reason}
    assert reasons == {("psnr only", "ms-ssim-db-rgb"): "psnr only has no ms-ssim-db-rgb"}
    assert [entry.name for entry in report.shown("ms-ssim-db-rgb")] == ["both", "anchor"]


def test_results_without_a_common_metric_are_refused(tmp_path: Path) -> None:
    one = write_curve(tmp_path, "one", ms_ssim=False)
    two = tmp_path / "two.json"
    two.write_text('{"name": "two", "results": {"bpp": [1, 2], "ms-ssim-rgb": [0.9, 0.95]}}')
    entries, _ = read_entries([one, two])
    for anchored in (read_entries([one, two]), read_entries([one], [two])):
        with pytest.raises(InvalidInputError, match="share no metric .*one has psnr-rgb; two has"):
            build_report(*anchored)
    with pytest.raises(InvalidInputError, match="no result has vmaf, only psnr-rgb"):
        build_report(entries, None, ["vmaf"])
    with pytest.raises(InvalidInputError, match="two has ms-ssim-db-rgb, the report compares by"):
        build_report(entries, None, ["psnr-rgb"])


def test_means_over_different_pictures_are_remarked_on(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "two", pictures=("a.png", "b.png")),
        write_curve(tmp_path, "anchor", pictures=("b.png", "c.png", "d.png")),
    ]
    anchored = read_entries(paths[:-1], paths[-1:])
    (against,) = build_report(*anchored, ["psnr-rgb"]).comparisons
    assert against.remarks == ("means over different pictures: 2 here, 3 in the anchor, 1 in both",)


def test_each_picture_has_its_own_bd_rate(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, "half", 0.5, pictures=("a.png", "b.png")),
        write_curve(tmp_path, "anchor", pictures=("b.png", "a.png", "c.png")),
    ]
    (half, anchor), _ = read_entries(paths)
    values = picture_comparisons(half, anchor, "psnr-rgb", "pchip")
    # Of a mean of 1: a takes 2/3 of the half against 2/2, b 4/3 of the half against 1/2.
    assert values == {"a.png": pytest.approx(-200 / 3), "b.png": pytest.approx(100 / 3)}


def test_sequences_are_compared_one_by_one(tmp_path: Path) -> None:
    lines = [f"x,{name},{40 - v},{r},{v}" for name, k in (("one", 1), ("two", 2), ("three", 3))
             for v, r in ((30, k), (33, 2 * k), (36, 4 * k), (39, 8 * k))]  # fmt: skip
    table = "codec,sequence,qp,bpp,psnr-y\n"
    (tmp_path / "anchor.csv").write_text(table + "\n".join(lines))
    half = [f"y,{n},{q},{float(r) / 2},{v}" for _, n, q, r, v in (x.split(",") for x in lines)]
    (tmp_path / "half.csv").write_text(table + "\n".join(half[:8]))
    anchored = read_entries([tmp_path / "half.csv"], [tmp_path / "anchor.csv"])
    (against,) = build_report(*anchored).comparisons
    assert against.comparison is not None and against.comparison.average == "sequences"
    assert [result.sequence for result in against.comparison.results] == ["one", "two"]
    assert against.comparison.value_percent == pytest.approx(-50)
    assert any("three" in remark for remark in against.remarks)


def test_of_many_psnrs_one_is_shown_unless_more_are_asked_for(tmp_path: Path) -> None:
    names = ("psnr-rgb", "psnr-y", "psnr-yuv-611", "ms-ssim-rgb", "ms-ssim-y")
    columns = {name: [0.9, 0.95] for name in names}
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"name": "x", "results": {"bpp": [1, 2], **columns}}))
    entries, _ = read_entries([path])
    assert build_report(entries).metrics == ("psnr-rgb", "ms-ssim-db-rgb")
    assert build_report(entries, None, ["psnr-y"]).metrics == ("psnr-y",)


def test_the_anchor_alone_is_refused(tmp_path: Path) -> None:
    path = write_curve(tmp_path, "anchor")
    with pytest.raises(InvalidInputError, match="besides the anchor"):
        build_report(*read_entries([path], [path]))


def test_pictures_are_compared_with_an_anchor_of_logs(tmp_path: Path) -> None:
    results = write_curve(tmp_path, "model", pictures=("one.png", "two.png"), ms_ssim=False)
    results.write_text(results.read_text().replace("psnr-rgb", "psnr-y"))
    logs = write_logs(tmp_path / "logs", "one", "two")
    (entry,), anchor = read_entries([results], [logs])
    assert anchor is not None
    found = picture_comparisons(entry, anchor, "psnr-y", "pchip")
    first, second = found["one.png"], found["two.png"]
    assert first is not None and second is not None
    # The second costs twice the first; its logs are 1 dB better at the same rates.
    assert second > 2 * (100 + first) - 100
