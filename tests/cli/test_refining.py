"""`kodec encode --effort`, and its place in `kodec eval`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kodec.codecs import (
    Objective,
    Picture,
    load,
    load_model,
    read_picture,
    save_model,
    write_picture,
)
from kodec.codecs.fitted import LatentRefinement, Moment
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
    most = coded.stat().st_size + 3
    by_bytes = ("--model", model, "--target-bytes", most, "--effort", 2)
    assert kodec("encode", source, coded, *by_bytes).status == 0
    assert coded.stat().st_size <= most


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
    source, coded, whole = save_picture(), tmp_path / "a.kdc", tmp_path / "b.kdc"
    state = tmp_path / "a.kdc.fit"
    line = ["--model", model, "--effort", 5]

    plain, steps = LatentRefinement.descend, []

    def interrupted(self: LatentRefinement, moment: Moment) -> None:
        steps.append(moment.step)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        plain(self, moment)

    with monkeypatch.context() as patch:
        patch.setattr(LatentRefinement, "descend", interrupted)
        outcome = kodec("encode", source, coded, *line)
    assert re.fullmatch(
        "interrupted after 3 of 30 steps: .* with --resume to go on", outcome.complaint
    )
    assert kodec("decode", coded, tmp_path / "out.png", "--model", model).status == 0
    assert state.exists()
    other = ("encode", source, coded, "--model", model, "--effort", 4, "--resume")
    assert "of another fit, whose budget is 30 steps" in kodec(*other).complaint
    assert kodec("encode", source, coded, *line, "--resume").status == 0
    assert kodec("encode", source, whole, *line).status == 0
    assert coded.read_bytes() == whole.read_bytes() and not state.exists()


# `kodec encode`, which keeps its state after every step; as the Nth file named FILE takes its name,
# or a moment before, when a part of it is written, the process is killed.
KILLED = """
import os, signal, sys
from kodec.__main__ import main
from kodec.codecs.fitted import fitting
fitting.SAVE_EVERY = 0.0
name, number, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
written, move = 0, os.replace
def replace(source, target):
    global written
    written += os.path.basename(target) == name
    if written == number and when == "before":
        os.truncate(source, 1000)
    elif written == number:
        move(source, target)
    if written == number:
        os.kill(os.getpid(), signal.SIGKILL)
    move(source, target)
os.replace = replace
main(sys.argv[4:])
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    source, coded, whole = save_picture(), tmp_path / "a.kdc", tmp_path / "b.kdc"
    state, line = tmp_path / "a.kdc.fit", ["--model", model, "--effort", 5]
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}

    def run_killed(*when: str, resume: bool) -> None:
        options = ["encode", source, coded, *line, *(["--resume"] if resume else [])]
        command = [sys.executable, "-c", KILLED, *when, *map(str, options)]
        done = subprocess.run(command, capture_output=True, env=threads, timeout=120)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not coded.exists()

    assert kodec("encode", source, whole, *line).status == 0
    run_killed("a.kdc.fit", "4", "after", resume=False)
    run_killed("a.kdc.fit", "9", "before", resume=True)
    # As the picture itself is written, its fit is still there.
    run_killed("a.kdc", "1", "before", resume=True)
    assert state.exists()
    assert kodec("encode", source, coded, *line, "--resume").status == 0
    assert coded.read_bytes() == whole.read_bytes() and not state.exists()


def test_other_instructions_decode_the_same_picture(
    kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    coded, ours, theirs = tmp_path / "a.kdc", tmp_path / "a.png", tmp_path / "b.png"
    line = ("--model", model, "--effort", 4)
    assert " % lower after" in kodec("encode", save_picture(), coded, *line).out
    assert kodec("decode", coded, ours, "--model", model).status == 0
    oldest = {
        "KODEC_SIMD": "scalar",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",
    }
    files = [str(path) for path in (coded, theirs, "--model", model)]
    program = [sys.executable, "-m", "kodec", "decode", *files]
    subprocess.run(program, check=True, timeout=120, env={**os.environ, **oldest})
    difference = read_picture(ours).pixels.astype(int) - read_picture(theirs).pixels
    assert abs(difference).max() <= 1


@pytest.mark.parametrize(
    "pixels", [np.full((1, 1, 3), 77), np.full((33, 50, 3), 255), np.zeros((20, 20, 1))]
)
def test_pictures_with_nothing_in_them(
    pixels: Any, kodec: Cli, model: Path, tmp_path: Path
) -> None:
    source, coded, out = (tmp_path / name for name in ("in.png", "a.kdc", "out.png"))
    write_picture(source, Picture(pixels.astype(np.uint8)))
    outcome = kodec("encode", source, coded, "--model", model, "--effort", 3, "--verify")
    assert (outcome.status, outcome.err) == (0, "")
    assert "% lower after 8 steps" in outcome.out or "nothing better found in 8" in outcome.out
    assert kodec("decode", coded, out, "--model", model).status == 0
    assert read_picture(out).pixels.shape == pixels.shape
    assert not (tmp_path / "a.kdc.fit").exists()


@pytest.mark.parametrize("target", [("--target-psnr", "99"), ("--target-bpp", "0.001")])
def test_targets_out_of_reach(
    target: tuple[str, str], kodec: Cli, model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    line = ("encode", save_picture(), tmp_path / "a.kdc", "--model", model, *target, "--effort", 3)
    assert "is out of reach" in kodec(*line).complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "m.safetensors"]


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
