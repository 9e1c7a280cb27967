from pathlib import Path

import pytest

from kodec.eval import Results, write_results
from kodec.eval.report import read_entries
from kodec.native import InvalidInputError
from reported_results import write_curve, write_logs


def test_a_name_that_two_files_share_is_told_apart_by_file(tmp_path: Path) -> None:
    low = write_curve(tmp_path, "model", file="mse.json")
    high = write_curve(tmp_path, "model", 2, file="ms-ssim.json")
    other = write_curve(tmp_path, "other")
    entries, anchor = read_entries([low, high, other])
    assert anchor is None
    assert [entry.name for entry in entries] == ["model (mse)", "model (ms-ssim)", "other"]
    assert entries[1].curves["psnr-rgb"].name == "model (ms-ssim)"


def test_files_of_the_same_name_and_stem_still_differ(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(write_curve(tmp_path / folder, "model", file="r.json"))
    assert [entry.name for entry in read_entries(paths)[0]] == ["model (r)", "model (r) #2"]


def test_labels_replace_names(tmp_path: Path) -> None:
    one, two = write_curve(tmp_path, "model"), write_curve(tmp_path, "model")
    entries, _ = read_entries([one, two], labels={one: "ours"})
    assert [entry.name for entry in entries] == ["ours", "model"]


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    path = write_curve(tmp_path, "model")
    assert len(read_entries([path, path, tmp_path / "." / path.name])[0]) == 1


def test_ms_ssim_is_in_decibels(tmp_path: Path) -> None:
    ((entry,), _) = read_entries([write_curve(tmp_path, "model")])
    assert list(entry.curves) == ["psnr-rgb", "ms-ssim-db-rgb"]
    assert entry.curves["ms-ssim-db-rgb"].values[0] == pytest.approx(10)


def test_a_lossless_point_is_left_out_of_its_curve_and_noted(tmp_path: Path) -> None:
    columns = {"bpp": [1.0, 9.0], "psnr-rgb": [40.0, float("inf")], "ms-ssim-rgb": [0.9, 0.99]}
    write_results(Results("model", "", columns), tmp_path / "r.json")
    ((entry,), _) = read_entries([tmp_path / "r.json"])
    assert entry.curves["psnr-rgb"].values == (40.0,)
    assert len(entry.curves["ms-ssim-db-rgb"].values) == 2
    assert "lossless" in " ".join(entry.curves["psnr-rgb"].notes)


def test_a_metric_lossless_throughout_is_missing_with_its_reason(tmp_path: Path) -> None:
    columns = {"bpp": [1.0, 9.0], "psnr-rgb": [float("inf")] * 2, "ms-ssim-rgb": [0.9, 0.99]}
    write_results(Results("model", "", columns), tmp_path / "r.json")
    ((entry,), _) = read_entries([tmp_path / "r.json"])
    assert list(entry.curves) == ["ms-ssim-db-rgb"]
    assert "infinite (lossless) at every point" in entry.missing["psnr-rgb"]


def test_a_file_without_a_metric_is_refused(tmp_path: Path) -> None:
    write_results(Results("model", "", {"bpp": [1.0, 2.0]}), tmp_path / "r.json")
    with pytest.raises(InvalidInputError, match="no quality metric"):
        read_entries([tmp_path / "r.json"])


def test_points_and_machine_come_along(tmp_path: Path) -> None:
    ((entry,), _) = read_entries([write_curve(tmp_path, "model", pictures=("a.png", "b.png"))])
    labels = ("quality 10", "quality 20", "quality 30", "quality 40")
    assert entry.curves["psnr-rgb"].settings == labels
    assert entry.averaging("psnr-rgb") == "mean over 2 images"
    assert ("machine", "cpu some processor, threads 1") in entry.facts
    assert entry.notes == ("a note of its own",)


def write_table(path: Path, lines: str) -> Path:
    path.write_text("codec,sequence,qp,bpp,psnr-y\n" + lines)
    return path


def test_sequences_of_one_codec_make_one_entry_of_their_mean(tmp_path: Path) -> None:
    lines = ["x,one,22,1.0,40", "x,one,37,0.1,30", "x,two,22,3.0,42", "x,two,37,0.3,32"]
    path = write_table(tmp_path / "t.csv", "\n".join(lines))
    ((entry,), _) = read_entries([path])
    curve = entry.curves["psnr-y"]
    assert sorted(zip(curve.rates, curve.values, strict=True)) == [(0.2, 31.0), (2.0, 41.0)]
    assert [part.sequence for part in entry.parts["psnr-y"]] == ["one", "two"]
    assert entry.averaging("psnr-y") == "mean over sequences"


def test_an_anchor_of_several_codecs_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", "x,one,22,1.0,40\nx,one,37,0.1,30\ny,one,22,1,4\n")
    with pytest.raises(InvalidInputError, match="holds 2 codecs or data sets"):
        read_entries([write_curve(tmp_path, "model")], [path])


def test_rates_of_different_units_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("codec,sequence,qp,kbps,psnr-rgb\nx,one,22,1000,40\nx,one,37,100,30\n")
    model = write_curve(tmp_path, "model")
    with pytest.raises(InvalidInputError, match="give --size WxH and --fps F"):
        read_entries([path], [model])
    entries, _ = read_entries([path], [model], size=(100, 100), fps=10)
    assert sorted(entries[0].curves["psnr-rgb"].rates) == [1.0, 10.0]


def test_beside_logs_of_pictures_results_are_of_those_that_both_have(tmp_path: Path) -> None:
    results = write_curve(tmp_path, "model", pictures=("one.png", "two.png", "three.png"))
    logs = write_logs(tmp_path / "logs", "one", "three")
    ((entry, theirs), _) = read_entries([results, logs])
    assert {row.image for row in entry.rows} == {"one.png", "three.png"}
    assert entry.averaging("psnr-rgb") == "mean over 2 images"
    assert entry.measured["encoding_time"] == pytest.approx((0.1,) * 4)
    assert entry.measured_at(entry.rates[0])["decoding_time"] == pytest.approx(0.1)
    assert theirs.curves["psnr-y"].values == (33.5, 36.5)
    assert theirs.curves["psnr-y"].averaging == "mean over images"
    assert theirs.curves["psnr-y"].rates == pytest.approx((0.4, 0.8), rel=1e-3)
