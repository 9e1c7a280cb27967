import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kodec.codecs import load, read_picture
from kodec.eval import psnr, read_results

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
