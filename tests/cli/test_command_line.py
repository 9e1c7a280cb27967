import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kodec as package
from interrupts import heed_interrupts
from kodec import codecs
from kodec.native import KodecError

Cli = Callable[..., Any]
PROGRAM = [sys.executable, "-m", "kodec"]


def test_version_and_help_go_to_stdout(kodec: Cli) -> None:
    assert (kodec("--version").status, kodec("--version").out) == (
        0,
        f"kodec {package.__version__}\n",
    )
    commands = "train export encode decode info models eval bdrate demo".split()
    overview = kodec("--help")
    assert overview.status == 0 and overview.err == ""
    for command in commands:
        assert f"    {command} " in overview.out
        page = kodec(command, "--help")
        assert page.status == 0 and page.err == "" and "--debug" in page.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "COMMAND"),
        ("frobnicate", "invalid choice: 'frobnicate'"),
        ("import a b", "--as"),
        ("encode", "INPUT; see `kodec encode --help`"),
        ("encode a.png b.kdc c", "3 files are named: give --output-dir FOLDER"),
        ("encode a.png b.kdc --qual 3", "unrecognized arguments: --qual"),
        ("encode a.png b.kdc --quality 64", "0 to 63, not 64"),
        ("encode a.png b.kdc --quality -1", "0 to 63, not -1"),
        ("encode a.png b.kdc --quality high", "whole number"),
        ("encode a.png b.kdc --quality 3 --target-bpp 1", "not allowed with"),
        ("encode a.png b.kdc --target-bpp 1 --target-psnr 30", "not allowed with"),
        ("encode a.png b.kdc --target-bpp 0", "above 0"),
        ("encode a.png b.kdc --target-psnr nan", "above 0"),
        ("encode a.png b.kdc --device tpu", "a device is cpu, cuda or cuda:N, not 'tpu'"),
        ("encode a.png b.kdc --device cuda:x", "a device is cpu, cuda or cuda:N"),
        ("eval --dataset x --output y.json", "--model"),
        ("eval --model m --dataset x --output y.json --qualities 1,,2", "whole numbers"),
        ("eval --model m --dataset x --output y.json --qualities 5,5", "twice"),
        ("bdrate a.json b.json --method spline", "invalid choice: 'spline'"),
        ("train", "--config"),
        ("train --trainer.max_steps 3", "--config"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(kodec: Cli, arguments: str, words: str) -> None:
    outcome = kodec(*arguments.split())
    assert outcome.status == 2
    assert words in outcome.complaint


def test_empty_paths_are_wrong_usage(kodec: Cli) -> None:
    assert kodec("encode", "", "b.kdc").status == 2
    assert "empty" in kodec("decode", "a.kdc", "").complaint


def test_no_torch_before_it_is_needed(save_picture: Callable[..., Path], tmp_path: Path) -> None:
    """Import, help, wrong usage and refused files answer at once."""
    picture = save_picture()
    program = f"""
import sys
import kodec, kodec.codecs
from kodec.__main__ import main
for line in ({["--version"]}, {["encode", "--help"]}, {["frobnicate"]}, {["models"]},
             {["encode", str(picture), str(tmp_path / "no.jpg")]},
             {["encode", str(tmp_path / "none.png"), str(tmp_path / "a.kdc")]},
             {["decode", str(picture), str(tmp_path / "a.png")]},
             {["decode", str(picture), str(tmp_path / "a.jpg")]},
             {["train", "--config", str(tmp_path / "none.yaml")]},
             {["info", str(picture)]}):
    main(line)
    assert "torch" not in sys.modules, line
assert kodec.load.__name__ == "load" and "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize("thread", ["", "threading.Thread(target=print, args=['late']).start()"])
def test_a_program_ends_at_once_and_leaves_nothing_undone(thread: str) -> None:
    program = f"""
import atexit, sys, threading
from kodec.__main__ import program
atexit.register(print, "at exit")
sys.argv = ["kodec", "info", "none.kdc"]
{thread}
program()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.endswith("at exit\n") and ("late" in done.stdout) == bool(thread)
    assert done.stderr == "kodec: none.kdc: No such file or directory\n"


def test_public_names_are_there() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    assert set(codecs.__all__) <= set(dir(codecs))
    for module in (package, codecs):
        with pytest.raises(AttributeError, match="no attribute 'laod'"):
            module.laod  # noqa: B018
    assert package.Codec is codecs.Codec


def test_debug_adds_a_traceback_and_keeps_the_line(kodec: Cli, tmp_path: Path) -> None:
    for arguments in (("--debug", "info", "none.kdc"), ("info", "none.kdc", "--debug")):
        outcome = kodec(*arguments)
        assert outcome.status == 1
        assert outcome.err.startswith("Traceback (most recent call last)")
        assert outcome.err.splitlines()[-1] == "kodec: none.kdc: No such file or directory"
    assert "Traceback" not in kodec("info", "none.kdc").err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KodecError("two\nlines"), "two lines"),
        (OSError(28, "No space left on device", "a.kdc"), "a.kdc: No space left on device"),
        (MemoryError(), "not enough memory"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit("a library's\nmessage"), "a library's message"),
        (SystemExit(3), "a library ended the program with status 3"),
        (SystemExit(""), "a library ended the program"),
        (ZeroDivisionError("by zero"), "internal error, please report it: ZeroDivisionError"),
    ],
)
def test_any_failure_is_one_line_and_status_1(
    kodec: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(codecs, "embedded_models", fail)
    outcome = kodec("models")
    assert outcome.status == 1
    assert outcome.complaint.startswith(line)


def test_interrupted_process_says_so_in_one_line(tmp_path: Path) -> None:
    fifo = tmp_path / "slow.kdc"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*PROGRAM, "decode", fifo, tmp_path / "out.png"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    with fifo.open("wb"):  # Returns once the program waits for the file's bytes.
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "kodec: interrupted\n"
    assert os.listdir(tmp_path) == ["slow.kdc"]


def test_a_reader_that_leaves_is_one_line(tiny_model: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    outcome = subprocess.run(
        [*PROGRAM, "info", tiny_model], stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("kodec: ") and outcome.stderr.count("\n") == 1


def test_a_full_disk_leaves_nothing(
    save_picture: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """A limit on file sizes makes the system refuse the output's bytes, as a full disk would."""
    picture = save_picture()
    outcome = subprocess.run(
        [*PROGRAM, "encode", picture, tmp_path / "a.kdc", "--model", tiny_model],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)),
    )
    assert outcome.returncode == 1
    assert outcome.stderr == f"kodec: {tmp_path / 'a.kdc'}: File too large\n"
    assert sorted(os.listdir(tmp_path)) == ["in.png"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(kodec: Cli, shell: str) -> None:
    outcome = kodec("completion", shell)
    assert (outcome.status, outcome.err) == (0, "")
    assert all(word in outcome.out for word in ("encode", "output-dir", "bdrate", "target-psnr"))


def test_bash_completes(kodec: Cli, tmp_path: Path) -> None:
    script = tmp_path / "kodec.bash"
    script.write_text(kodec("completion", "bash").out)
    ask = (
        'COMP_WORDS=(kodec encode --target-bp); COMP_CWORD=2; _shtab_kodec; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "-c", f"source {script}; {ask}"], capture_output=True, text=True)
    assert done.stdout.strip() == "--target-bpp"


def test_a_missing_library_is_named_with_its_extra() -> None:
    from kodec.commands.failure_words import in_words

    error = ModuleNotFoundError("No module named 'lightning'", name="lightning")
    assert in_words(error) == "lightning is not installed: pip install 'kodec[train]'"
