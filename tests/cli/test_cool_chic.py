"""`kodec encode --model cool-chic` as a process, whose last words count too."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import kodec
from kodec.codecs import read_picture


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kodec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_picture_there_and_back(save_picture: Callable[..., Path], tmp_path: Path) -> None:
    source, coded, out = save_picture(), tmp_path / "a.kdc", tmp_path / "b.png"
    how = ("--model", "cool-chic", "--preset", "lop", "--steps", 8, "--quality", 40, "--verify")
    made = run("encode", source, coded, *how, "--quiet")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert run("decode", coded, out).stderr == ""
    found = read_picture(out).pixels
    assert found.shape == read_picture(source).pixels.shape
    assert np.array_equal(found, kodec.decode(coded.read_bytes()))
