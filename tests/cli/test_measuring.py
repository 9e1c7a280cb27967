import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from kodec.codecs import load, read_picture
from kodec.eval import psnr, read_results
from kodec.eval.running.executors import use_threads

Cli = Callable[..., Any]


@pytest.fixture
def pictures(save_picture: Callable[..., Path], tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.move(save_picture("a.png", 40, 56), folder)
    shutil.move(save_picture("b.png", 33, 20), folder)
    return folder


def test_eval_writes_what_files_take_and_give(
    kodec: Cli, tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.json"
    outcome = kodec(
        *("eval", "--model", tiny_model, "--dataset", pictures),
        *("--qualities", "10,40", "--output", output),
    )
    assert (outcome.status, outcome.err) == (0, "")
    results = read_results(output)
    assert results.name == "tiny" and results.quality == [10, 40]
    codec = load(tiny_model)
    bpps, psnrs = [], []
    for path in sorted(pictures.iterdir()):
        pixels = read_picture(path).pixels
        data = codec.encode(pixels, 40)
        bpps.append(8 * len(data) / (pixels.shape[0] * pixels.shape[1]))
        psnrs.append(psnr(pixels, codec.decode(data)))
    assert results.results["bpp"][1] == pytest.approx(sum(bpps) / 2)
    assert results.results["psnr-rgb"][1] == pytest.approx(sum(psnrs) / 2)
    rows = outcome.out.splitlines()
    assert rows[2].split()[:3] == ["40", f"{sum(bpps) / 2:.4f}", f"{sum(psnrs) / 2:.3f}"]


def test_fixed_rate_models_make_one_curve(
    kodec: Cli, fixed_model: Path, tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.json"
    other = shutil.copy(fixed_model, tmp_path / "other.safetensors")
    base = ("eval", "--dataset", pictures, "--output", output, "--model", fixed_model)
    assert "one fixed rate" in kodec(*base, "--qualities", "8,16").complaint
    assert "measure it alone" in kodec(*base, "--model", tiny_model).complaint
    assert not output.exists()
    assert kodec(*base, "--model", other, "--quiet").out == ""
    results = read_results(output)
    assert results.quality == [None, None] and len(results.per_image) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--model nonsense --dataset pictures --output r.json", "no model 'nonsense'"),
        ("--model TINY --dataset nowhere --output r.json", "no data set or folder 'nowhere'"),
        ("--model TINY --dataset empty --output r.json", "no pictures in"),
        ("--model TINY --dataset broken --output r.json", "not a picture"),
        ("--model TINY --dataset kodak --output r.json", "KODEC_DATA is not set"),
        ("--model TINY --dataset pictures --output r.csv", "name it *.json"),
        ("--model TINY --dataset pictures --output none/r.json", "does not exist"),
    ],
)
def test_eval_of_bad_input_is_one_line(
    kodec: Cli,
    tiny_model: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    words: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KODEC_DATA", raising=False)
    before = sorted(tmp_path.rglob("*"))
    outcome = kodec("eval", *arguments.replace("TINY", str(tiny_model)).split())
    assert outcome.status == 1 and words in outcome.complaint
    assert sorted(tmp_path.rglob("*")) == before


def test_eval_of_folders_in_folders_says_what_came_of_each_file(
    kodec: Cli, tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    """Two files of one name, and a broken one between them."""
    (pictures / "deep").mkdir()
    shutil.copyfile(pictures / "b.png", pictures / "deep" / "a.png")
    (pictures / "deep" / "aa.png").write_text("no picture")
    output, manifest = tmp_path / "r.json", tmp_path / "r.jsonl"
    command = ("eval", "--model", tiny_model, "--dataset", pictures, "--qualities", "10,40")
    outcome = kodec(*command, "--recursive", "--output", output, "--manifest", manifest)
    assert outcome.status == 1
    assert outcome.err.startswith("kodec: 1 of 4 pictures left out: ") and "aa.png" in outcome.err
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [(row["input"], row.get("quality")) for row in rows] == [
        *((name, 10) for name in ("a.png", "b.png", "deep/a.png")),
        *((name, 40) for name in ("a.png", "b.png", "deep/a.png")),
        ("deep/aa.png", None),
    ]
    assert "not a picture" in rows[-1]["error"] and rows[0]["error"] is None
    codec, pixels = load(tiny_model), read_picture(pictures / "deep" / "a.png").pixels
    data = codec.encode(pixels, 40)
    assert rows[5]["bytes"] == len(data) and rows[5]["seconds"] > 0
    assert rows[5]["psnr"] == pytest.approx(psnr(pixels, codec.decode(data)), abs=1e-3)
    assert [row.image for row in read_results(output).per_image[:3]] == [
        "a.png",
        "b.png",
        "deep/a.png",
    ]
    assert (
        "--recursive is for folders"
        in kodec(
            *("eval", "--model", tiny_model, "--dataset", "kodak", "--recursive"),
            *("--output", output),
        ).complaint
    )


def test_threads_are_of_the_measurement(
    kodec: Cli, tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    before, output = torch.get_num_threads(), tmp_path / "r.json"
    base = ("eval", "--dataset", pictures, "--output", output)
    try:
        assert kodec(*base, "--model", tiny_model, "--threads", 2).status == 0
        assert read_results(output).machine["threads"] == 2
    finally:
        use_threads(before)
    assert "baselines have one thread" in kodec(*base, "--codec", "jpeg", "--threads", 2).complaint


def test_data_sets_by_url(kodec: Cli, tiny_model: Path, pictures: Path, tmp_path: Path) -> None:
    """As by path; a broken file is left out by its URL, and what is done is not done again."""
    store = fsspec.filesystem("memory")
    store.pipe("/measured/b.png", (pictures / "b.png").read_bytes())
    store.pipe("/measured/deep/a.png", (pictures / "a.png").read_bytes())
    store.pipe("/measured/deep/broken.png", b"no picture")
    by_url, by_path = tmp_path / "url.json", tmp_path / "path.json"
    base = ("eval", "--model", tiny_model, "--qualities", "10,40", "--dataset")
    command = (*base, "memory://measured", "--recursive", "--output", by_url)
    outcome = kodec(*command)
    assert outcome.status == 1
    assert "1 of 3 pictures left out: memory://measured/deep/broken.png" in outcome.err
    assert len((tmp_path / "url.json.partial").read_text().split()) > 4
    store.rm("/measured/deep/broken.png")
    assert kodec(*command).status == 0
    assert kodec(*base, f"file://{pictures}", "--output", by_path).status == 0
    found = [read_results(path) for path in (by_url, by_path)]
    assert [row.image for row in found[0].per_image[:2]] == ["b.png", "deep/a.png"]
    assert found[0].results["bpp"] == found[1].results["bpp"]
    assert found[0].results["psnr-rgb"] == found[1].results["psnr-rgb"]
    store.rm("/measured", recursive=True)
    assert "measured" in kodec(*command).complaint
