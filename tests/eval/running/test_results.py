import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from kodec.eval import Curve, ImageRow, Results, join_results, read_results, write_results
from kodec.native import InvalidInputError, KodecError

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)


def results(**columns: list[float]) -> Results:
    return Results(name="codec", description="", results={"bpp": [0.1, 0.2], **columns})


def full_results() -> Results:
    row = ImageRow("a.png", 8, 64, 32, 100, 800 / 2048, {"psnr-rgb": math.inf}, 0.25, 0.5)
    return Results(
        name="codec",
        description="a test",
        results={"bpp": [800 / 2048], "psnr-rgb": [math.inf], "encoding_time": [0.25]},
        quality=[8],
        per_image=[row],
        machine={"cpu": "some", "threads": 1},
        notes=["a note"],
    )


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_written_results_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(full_results(), path)
    assert read_results(path) == full_results()


def test_written_file_has_compressais_schema_and_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(results(**{"psnr-rgb": [30.0, 32.5]}), path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["name"] == "codec"
    assert document["results"] == {"bpp": [0.1, 0.2], "psnr-rgb": [30.0, 32.5]}


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_failed_writing_leaves_the_old_file_and_nothing_else(value: float, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    with pytest.raises(InvalidInputError, match="JSON cannot carry"):
        write_results(results(**{"psnr-rgb": [30.0, value]}), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_where_no_file_can_be_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "results.json"):
        with pytest.raises(InvalidInputError, match="folder"):
            write_results(full_results(), path)
    with pytest.raises(KodecError, match="cannot write"):
        write_results(full_results(), tmp_path / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_both_spellings_are_one(tmp_path: Path) -> None:
    old = {"results": {"bpp": [1], "psnr": [30], "ms-ssim": [0.9]}, "name": "x"}
    new = {"results": {"bpp": [1], "psnr-rgb": [30], "ms-ssim-rgb": [0.9]}, "name": "x"}
    a = read_results(write(tmp_path / "a.json", old))
    b = read_results(write(tmp_path / "b.json", new))
    assert a == b
    assert a.curve("psnr") == a.curve("psnr-rgb") == Curve("x", (1,), (30,), "psnr-rgb")
    assert a.metrics == ["psnr-rgb", "ms-ssim-rgb"]


def test_bare_lists_take_the_files_name(tmp_path: Path) -> None:
    path = write(tmp_path / "mlic.json", {"psnr": [29.1], "bpp": [0.1]})
    assert read_results(path).curve() == Curve("mlic", (0.1,), (29.1,), "psnr-rgb")


def test_ms_ssim_in_decibels_is_derived() -> None:
    curve = results(**{"ms-ssim-rgb": [0.9, 0.99]}).curve("ms-ssim-db-rgb")
    assert curve.values == pytest.approx((10, 20))
    assert curve.metric == "ms-ssim-db-rgb"


def test_missing_metric_names_those_at_hand() -> None:
    with pytest.raises(InvalidInputError, match=r"no ms-ssim-rgb, only psnr-rgb"):
        results(**{"psnr-rgb": [30.0, 32.0]}).curve("ms-ssim")
    with pytest.raises(InvalidInputError, match="only no metric"):
        results().curve()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "not a results file"),
        ({"name": "x"}, "not a results file"),
        ({"results": {"psnr-rgb": [30]}}, "not a results file"),
        ({"results": {"bpp": [1, 2], "psnr-rgb": [30]}}, "1 numbers of psnr-rgb for 2"),
        ({"results": {"bpp": 1}}, "bpp is not a list"),
        ({"results": {"bpp": ["one"]}}, "'one'"),
        ({"results": {"bpp": [None]}}, "None"),
        ({"results": {"bpp": [True]}}, "True"),
        ({"results": {"bpp": [1], "psnr": [1], "psnr-rgb": [2]}}, "keep one"),
        ({"results": {"bpp": [1]}, "per_image": [{}]}, "not a results file"),
        ({"results": {"bpp": [1]}, "per_image": 3}, "not a results file"),
    ],
)
def test_files_that_are_no_results(document: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_results(write(tmp_path / "x.json", document))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        read_results(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InvalidInputError, match="not JSON"):
        read_results(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("rates", "values", "message"),
    [
        ((1.0, 2.0), (30.0,), "2 rates but 1 values"),
        ((), (), "at least one point"),
        ((1.0, 2.0), (30.0, math.inf), "finite"),
        ((1.0, math.nan), (30.0, 31.0), "finite"),
        ((0.0, 1.0), (30.0, 31.0), "positive"),
    ],
)
def test_curves_that_are_none(
    rates: tuple[float, ...], values: tuple[float, ...], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"codec.*{message}"):
        Curve("codec", rates, values, "psnr-rgb")


def test_fixed_rate_models_join_to_a_curve_in_order_of_rate() -> None:
    parts = [
        Results("b", "", {"bpp": [0.5], "psnr-rgb": [33.0], "ms-ssim-rgb": [0.9]}, [None]),
        Results("a", "", {"bpp": [0.2], "psnr-rgb": [30.0]}, [3]),
    ]
    joined = join_results(parts, "family")
    assert joined.curve() == Curve("family", (0.2, 0.5), (30, 33), "psnr-rgb")
    assert joined.quality == [3, None]
    assert joined.metrics == ["psnr-rgb"]
    with pytest.raises(InvalidInputError):
        join_results([], "family")


@needs_data
def test_every_published_image_result_reads() -> None:
    root = Path(os.environ["KODEC_DATA"]) / "results"
    paths = [*root.glob("compressai/image/**/*.json"), *root.glob("peers/mlic/**/*.json")]
    assert len(paths) > 100
    for path in paths:
        read = read_results(path)
        assert read.metrics, path
        for metric in read.metrics:
            assert len(read.curve(metric).rates) == len(read.results["bpp"])
