import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kodec.codecs import read_picture, write_picture
from reported_results import write_curve

Cli = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "half": write_curve(tmp_path, "half", 0.5),
        "far": write_curve(tmp_path, "far", lift=20),
        "anchor": write_curve(tmp_path, "anchor"),
    }


def test_a_page_with_bd_rates(kodec: Cli, files: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    outcome = kodec(
        *("report", files["half"], files["far"]),
        *("--anchor", files["anchor"], "--output", output, "--metric", "psnr-rgb"),
    )
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["half", "psnr-rgb", "-50.00", "%"]
    assert "no BD-rate: far covers" in lines[1]
    assert lines[2] == f"{output}: {output.stat().st_size:,} bytes"
    assert "No pictures were asked for" in output.read_text()


def test_labels_and_patterns(
    kodec: Cli, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files["half"].rename("a=b.json")
    outcome = kodec(
        *("report", "a=b.json", f"Our codec={files['far']}", "--metric", "psnr-rgb"),
        *("--anchor", f"VTM={tmp_path}/[2].json", "--output", "r.csv"),
    )
    assert (outcome.status, outcome.err) == (0, "")
    assert [line.split("  ")[0] for line in outcome.out.splitlines()[:2]] == ["half", "Our codec"]
    assert ",VTM,pchip," in (tmp_path / "r.csv").read_text()


@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("r.html", (), b"<!DOCTYPE html>"),
        ("r.png", (), b"\x89PNG"),
        ("r.svg", (), b"<?xml"),
        ("r.pdf", (), b"%PDF"),
        ("r.csv", (), b"record,codec"),
        ("r.tex", (), b"% BD-rate"),
        ("table", ("--format", "latex"), b"% BD-rate"),
        ("page.txt", ("--format", "html"), b"<!DOCTYPE html>"),
    ],
)
def test_formats_by_name_or_flag(
    kodec: Cli,
    files: dict[str, Path],
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    start: bytes,
) -> None:
    outcome = kodec(
        *("report", files["half"], "--anchor", files["anchor"], "--quiet"),
        *("--output", tmp_path / name, *options),
    )
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_anchor_may_be_among_the_results(
    kodec: Cli, files: dict[str, Path], tmp_path: Path
) -> None:
    anchor = files["anchor"]
    outcome = kodec(
        *("report", anchor, files["half"], "--anchor", anchor, "--output", tmp_path / "r.csv")
    )
    assert outcome.status == 0 and "anchor  " not in outcome.out
    assert "alone" not in outcome.out
    only = kodec("report", anchor, "--anchor", anchor, "--output", tmp_path / "s.html")
    assert "besides the anchor" in only.complaint


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("HALF --output r.doc", 1, "name it .html"),
        ("HALF --output none/r.html", 1, "does not exist"),
        ("text.json --output r.html", 1, "not a results file"),
        ("nothing.json --output r.html", 1, "No such file"),
        ("HALF --output HALF --format html", 1, "one of the inputs"),
        ("HALF --output r.html --metric vmaf", 1, "no result has vmaf, only psnr-rgb"),
        ("HALF ms-ssim.json psnr.json --output r.html --metric psnr-rgb", 1, "leave it out"),
        ("psnr.json --anchor ms-ssim.json --output r.html", 1, "share no metric"),
        ("HALF --output r.tex", 1, "need an --anchor"),
        ("HALF --output r.html --pictures 3", 2, "needs a --dataset"),
        ("HALF --output r.png --pictures HALF", 2, "goes with a page"),
        ("HALF --output r.html --pictures HALF@x", 2, "LEFT+UPPER"),
        ("HALF --output r.html --bpp 0", 2, "above 0"),
        ("HALF --output r.html --bpp 1", 2, "--bpp goes with --pictures"),
        ("HALF --output r.html --dataset x", 2, "--dataset goes with --pictures"),
        ("HALF --output r.html --width 5", 2, "--width goes with a figure"),
        ("HALF --output r.csv --linear-rate", 2, "--linear-rate goes with a figure"),
        ("HALF --output r.svg --title T", 2, "--title goes with a page"),
        ("HALF --output r.html --method cubic", 2, "--method goes with --anchor"),
        ("HALF --output r.html --device cuda", 2, "--device goes with --pictures"),
        ("--output r.html", 2, "RESULTS"),
        ("HALF", 2, "--output"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    kodec: Cli,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    status: int,
    words: str,
) -> None:
    (tmp_path / "text.json").write_text("hello")
    for name, metric in (("psnr", "psnr-rgb"), ("ms-ssim", "ms-ssim-rgb")):
        curve = {"name": name, "results": {"bpp": [0.2, 0.4], metric: [0.9, 0.95]}}
        (tmp_path / f"{name}.json").write_text(json.dumps(curve))
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    outcome = kodec("report", *arguments.replace("HALF", str(files["half"])).split())
    assert outcome.status == status and words in outcome.complaint
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures_that_are_not_at_hand_leave_a_page_that_says_so(
    kodec: Cli, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KODEC_DATA", raising=False)
    output = tmp_path / "r.html"
    outcome = kodec("report", files["half"], "--output", output, "--pictures", "none.png")
    assert outcome.status == 0
    assert outcome.err.startswith("kodec: note: ") and "'none.png'" in outcome.err
    assert "The pictures are not at hand" in output.read_text()
    outcome = kodec(
        "report", files["half"], "--output", output, "--pictures", "2", "--dataset", "kodak"
    )
    assert outcome.status == 0 and "KODEC_DATA" in output.read_text()


def test_details_of_a_model_by_file(
    kodec: Cli, tiny_model: Path, save_picture: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_picture("a.png", 40, 56).rename(folder / "a.png")
    results, output = tmp_path / "tiny.json", tmp_path / "r.html"
    kodec(
        *("eval", "--model", tiny_model, "--dataset", folder, "--qualities", "10,40"),
        *("--output", results),
    )
    base = ("report", results, "--output", output, "--pictures", "a", "--dataset", folder)
    write_picture(folder / "a.bmp", read_picture(folder / "a.png"))
    assert "a is a.bmp and a.png" in kodec(*base).complaint
    (folder / "a.bmp").unlink()
    outcome = kodec(*base)
    assert outcome.status == 0 and "can be run here" in outcome.err
    assert "There is nothing to show" in output.read_text()
    outcome = kodec(*base, "--model", tiny_model, "--bpp", "0.5")
    assert (outcome.status, outcome.err) == (0, "")
    page = output.read_text()
    assert page.count("data:image/webp;base64,") == 2
    # The page's rate is that of the measured row, encoded anew to as many bytes.
    rows = {row["bpp"] for row in json.loads(results.read_text())["per_image"]}
    assert any(f"{bpp:.3f} bpp," in page for bpp in rows)
    assert "in the results</small>" not in page


def test_frames_of_sequences_are_decoded_by_models_and_encoders(
    kodec: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a_32x24_25.yuv").write_bytes(bytes(range(96)) * 12 * 2)
    base = ("eval", "--dataset", clips, "--output", tmp_path / "ours.json", "--quiet")
    asked = ("--model", tiny_model, "--qualities", "10,50", "--beside", "x264", "--offsets", "0,2")
    assert kodec(*base, *asked).status == 0
    output = tmp_path / "r.html"
    outcome = kodec(
        *("report", tmp_path / "ours.json", tmp_path / "ours-x264.json", "--model", tiny_model),
        *("--output", output, "--dataset", clips, "--pictures", "1"),
    )
    assert (outcome.status, outcome.err) == (0, "")
    page = output.read_text()
    assert "Frame by frame" in page and page.count('class="viewer"') == 2
    assert "Detail of a_32x24_25.yuv, frame 1: x264" in page and "Not shown" not in page
