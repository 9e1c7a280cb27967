from pathlib import Path

import pytest

from kodec.eval import Results, write_results
from kodec.eval.report import read_entries
from kodec.native import InvalidInputError
from reported_results import write_curve


def test_a_name_that_two_files_share_is_told_apart_by_file(tmp_path: Path) -> None:
    low = write_curve(tmp_path, "model", file="mse.json")
    high = write_curve(tmp_path, "model", 2, file="ms-ssim.json")
    other = write_curve(tmp_path, "other")
    entries = read_entries([low, high, other])
    assert [entry.name for entry in entries] == ["model (mse)", "model (ms-ssim)", "other"]
    assert entries[1].curves["psnr-rgb"].name == "model (ms-ssim)"


def test_files_of_the_same_name_and_stem_still_differ(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(write_curve(tmp_path / folder, "model", file="r.json"))
    assert [entry.name for entry in read_entries(paths)] == ["model (r)", "model (r) #2"]


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    path = write_curve(tmp_path, "model")
    assert len(read_entries([path, path, tmp_path / "." / path.name])) == 1


def test_ms_ssim_is_in_decibels(tmp_path: Path) -> None:
    (entry,) = read_entries([write_curve(tmp_path, "model")])
    assert list(entry.curves) == ["psnr-rgb", "ms-ssim-db-rgb"]
    assert entry.curves["ms-ssim-db-rgb"].values[0] == pytest.approx(10)


def test_a_lossless_point_leaves_its_metric_out_and_says_so(tmp_path: Path) -> None:
    columns = {"bpp": [1.0, 9.0], "psnr-rgb": [40.0, float("inf")], "ms-ssim-rgb": [0.9, 0.99]}
    write_results(Results("model", "", columns), tmp_path / "r.json")
    (entry,) = read_entries([tmp_path / "r.json"])
    assert list(entry.curves) == ["ms-ssim-db-rgb"]
    assert "finite" in entry.missing["psnr-rgb"]


def test_a_file_without_a_metric_is_refused(tmp_path: Path) -> None:
    write_results(Results("model", "", {"bpp": [1.0, 2.0]}), tmp_path / "r.json")
    with pytest.raises(InvalidInputError, match="no quality metric"):
        read_entries([tmp_path / "r.json"])


def test_points_and_machine_come_along(tmp_path: Path) -> None:
    (entry,) = read_entries([write_curve(tmp_path, "model", pictures=("a.png", "b.png"))])
    assert entry.point_labels == ("quality 10", "quality 20", "quality 30", "quality 40")
    assert entry.averaging == "means over 2 pictures"
    assert ("cpu", "some processor") in entry.facts and entry.notes == ("a note of its own",)
