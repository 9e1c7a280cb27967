"""`kodec encode --effort`, and its place in `kodec eval`."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kodec.codecs import Objective, load, load_model, read_picture, save_model
from kodec.eval import read_results

Cli = Callable[..., Any]
SavePicture = Callable[..., Path]


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model, which says what it was trained for."""
    network, info = load_model(tiny_model)
    path = tmp_path / "m.safetensors"
    save_model(network.float(), info.config, path, "m", objective=Objective("mse", 0.0005, 0.4))
    return path


def test_a_refined_file_is_smaller_at_equal_loss_and_decodes_as_any(
    kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, plain, refined = save_picture(), tmp_path / "a.kdc", tmp_path / "b.kdc"
    assert kodec("encode", source, plain, "--model", model).status == 0
    outcome = kodec("encode", source, refined, "--model", model, "--effort", 3, "--verify")
    assert (outcome.status, outcome.err) == (0, "")
    assert "% lower after 8 steps" in outcome.out or "nothing better found" in outcome.out
    out = tmp_path / "out.png"
    assert kodec("decode", refined, out, "--model", model).status == 0
    assert np.array_equal(read_picture(out).pixels, load(model).decode(refined.read_bytes()))
    again = kodec("encode", source, plain, "--model", model, "--minutes", 0)
    assert "nothing better found in 0 steps" in again.out
    assert sorted(p.suffix for p in tmp_path.iterdir()) == sorted(
        [".safetensors", ".png", ".kdc", ".kdc", ".png"]
    )


def test_targets_hold_for_what_is_refined(
    kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(), tmp_path / "a.kdc"
    kodec("encode", source, coded, "--model", model, "--quality", 40)
    bpp = 8 * coded.stat().st_size / (40 * 56) + 0.01
    more = ("--model", model, "--target-bpp", f"{bpp:.3f}", "--effort", 2)
    assert kodec("encode", source, coded, *more).status == 0
    assert 8 * coded.stat().st_size / (40 * 56) <= bpp


@pytest.mark.parametrize(
    "options, words",
    [
        (("--effort", "10"), "0 to 9"),
        (("--effort", "3", "--minutes", "1"), "not allowed with"),
        (("--minutes", "-1"), "from 0 on"),
        (("--lambda", "0.1"), "--lambda is for refinement"),
        (("--resume",), "--resume is for refinement"),
        (("--effort", "2", "--resume"), "no fit to go on with"),
        (("--effort", "2", "--schedule", "none.yaml"), "none.yaml"),
    ],
)
def test_what_is_refused(
    options: tuple[str, ...],
    words: str,
    kodec: Cli,
    model: Path,
    save_picture: SavePicture,
    tmp_path: Path,
) -> None:
    coded = tmp_path / "a.kdc"
    outcome = kodec("encode", save_picture(), coded, "--model", model, *options)
    assert words in outcome.complaint and not coded.exists()


def test_a_model_that_does_not_say_its_objective(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded = save_picture(), tmp_path / "a.kdc"
    line = ("encode", source, coded, "--model", tiny_model, "--effort", 1)
    assert "does not say what it was trained for" in kodec(*line).complaint
    assert kodec(*line, "--lambda", 0.01).status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted_it_writes_the_best_and_goes_on(
    kodec: Cli,
    model: Path,
    save_picture: SavePicture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    source, coded, whole = save_picture(), tmp_path / "a.kdc", tmp_path / "b.kdc"
    state = tmp_path / "a.kdc.fit"
    line = ["--model", model, "--effort", 5]

    def interrupt() -> None:
        while not state.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    outcome = kodec("encode", source, coded, *line)
    interrupter.join()
    assert re.fullmatch(
        "interrupted after .* of 30 steps: .* with --resume to go on", outcome.complaint
    )
    assert kodec("decode", coded, tmp_path / "out.png", "--model", model).status == 0
    assert state.exists()
    other = ("encode", source, coded, "--model", model, "--effort", 4, "--resume")
    assert "of another fit, whose budget is 30 steps" in kodec(*other).complaint
    assert kodec("encode", source, coded, *line, "--resume").status == 0
    assert kodec("encode", source, whole, *line).status == 0
    assert coded.read_bytes() == whole.read_bytes() and not state.exists()


def test_eval_measures_refined_files(
    kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_picture().rename(folder / "a.png")
    losses = []
    for effort in (0, 3):
        output = tmp_path / f"{effort}.json"
        line = ("eval", "--model", model, "--dataset", folder, "--output", output)
        assert kodec(*line, "--qualities", 40, "--effort", effort).status == 0
        (row,) = read_results(output).per_image
        lam = 0.0005 * 800 ** (40 / 63)
        losses.append(row.bpp + lam * 255**2 * 10 ** (-row.metrics["psnr-rgb"] / 10))
        assert ("refined" in read_results(output).name) == (effort > 0)
    assert losses[1] <= losses[0]
    wrong = kodec("eval", "--codec", "jpeg", "--dataset", folder, "--output", output, "--effort", 1)
    assert "go with --model" in wrong.complaint
