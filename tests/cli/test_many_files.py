"""Many files in one call: which become which, what fails, what a rerun does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from deadly_tasks import deadly_executor
from kodec.codecs import load, read_picture
from kodec.eval import psnr

Cli = Callable[..., Any]
SavePicture = Callable[..., Path]


@pytest.fixture
def folder(save_picture: SavePicture, tmp_path: Path) -> Path:
    """Three pictures, one of them in a folder within the folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    save_picture("in/a.png", 24, 32)
    save_picture("in/b.png", 17, 20, 1)
    save_picture("in/deep/c.png", 16, 16)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


def rows_of(manifest: Path) -> dict[str, dict[str, Any]]:
    """The manifest's rows by the input's name; each is there once."""
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    found = {row["input"].rpartition("/")[2]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_folders_become_folders_and_come_back(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    model = ("--model", tiny_model)
    coded, back = tmp_path / "coded", tmp_path / "back"
    outcome = kodec("encode", folder, "--recursive", "--output-dir", coded, *model, "--quality", 40)
    assert (outcome.status, outcome.err) == (0, "")
    assert sorted(p.relative_to(coded).as_posix() for p in coded.rglob("*.kdc")) == [
        "a.kdc",
        "b.kdc",
        "deep/c.kdc",
    ]
    codec = load(tiny_model)
    rows = rows_of(coded / "manifest.jsonl")
    for name, row in rows.items():
        source, output = Path(row["input"]), Path(row["output"])
        expected = codec.encode_picture(read_picture(source), 40)
        assert output.read_bytes() == expected.data
        height, width, _ = expected.reconstruction.pixels.shape
        assert row["bytes"] == len(expected.data), name
        assert row["bpp"] == pytest.approx(8 * row["bytes"] / (height * width), abs=1e-5)
        decibels = psnr(read_picture(source).pixels, expected.reconstruction.pixels)
        assert row["psnr"] == pytest.approx(decibels, abs=1e-3)
        assert row["error"] is None and row["seconds"] > 0
    total = sum(row["bytes"] for row in rows.values())
    assert outcome.out.startswith(f"{coded}: 3 files, {total:,} bytes, ")
    outcome = kodec("decode", coded, "--recursive", "--output-dir", back, "--format", "tif", *model)
    assert (outcome.status, outcome.err) == (0, "")
    for row in rows.values():
        relative = Path(row["output"]).relative_to(coded)
        decoded = read_picture(back / relative.with_suffix(".tif")).pixels
        assert np.array_equal(decoded, codec.decode(Path(row["output"]).read_bytes()))


def test_a_broken_file_is_named_and_the_rest_goes_on(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    broken = folder / "aa.png"
    broken.write_bytes((folder / "a.png").read_bytes()[:200])
    coded = tmp_path / "coded"
    command = ("encode", folder, "--output-dir", coded, "--model", tiny_model)
    outcome = kodec(*command)
    assert outcome.status == 1
    first, last = outcome.err.splitlines()
    assert first.startswith(f"kodec: {broken} ")
    assert last.startswith("kodec: 1 of 3 files failed, as ")
    rows = rows_of(coded / "manifest.jsonl")
    assert [name for name, row in rows.items() if row["error"]] == ["aa.png"]
    before = {path: path.stat().st_mtime_ns for path in coded.glob("*.kdc")}
    assert sorted(path.name for path in before) == ["a.kdc", "b.kdc"]
    shutil.copyfile(folder / "a.png", broken)
    outcome = kodec(*command)
    assert (outcome.status, outcome.err) == (0, "")
    assert "2 of them done before" in outcome.out
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert (coded / "aa.kdc").read_bytes() == (coded / "a.kdc").read_bytes()
    assert all(row["error"] is None for row in rows_of(coded / "manifest.jsonl").values())


def test_what_is_done_is_done_again_where_anything_differs(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    coded = tmp_path / "coded"
    command = ("encode", folder, "--output-dir", coded, "--model", tiny_model)
    kodec(*command)
    a, b = coded / "a.kdc", coded / "b.kdc"
    at_32 = a.read_bytes()
    assert "2 of them done before" in kodec(*command).out
    # Other settings.
    assert "done before" not in kodec(*command, "--quality", 10).out
    assert a.read_bytes() != at_32
    assert "done before" not in kodec(*command).out
    # An output that is not as it was written, one that is gone, an input that changed.
    a.write_bytes(at_32[:-1])
    assert "1 of them done before" in kodec(*command).out
    assert a.read_bytes() == at_32
    b.unlink()
    assert "1 of them done before" in kodec(*command).out
    shutil.copyfile(folder / "b.png", folder / "a.png")
    assert "1 of them done before" in kodec(*command).out
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("in/a.png", "give --output-dir"),
        ("in/a.png in/b.png x.kdc", "give --output-dir"),
        ("in/a.png x.kdc --jobs 2", "--jobs goes with --output-dir"),
        ("in/a.png x.kdc --recursive", "--recursive goes with --output-dir"),
        ("in --output-dir out --jobs 2 --scheduler tcp://x:1", "exclude each other"),
        ("in/a.png in/deep/a.png --output-dir out", "would both become"),
        ("in/deep --output-dir out", "nothing to do"),
        ("in --output-dir out --model nothing", "there is no model"),
        ("nowhere://x --output-dir out", "nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_written(
    kodec: Cli,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    complaint: str,
) -> None:
    shutil.move(folder / "deep/c.png", folder / "c.png")
    monkeypatch.chdir(tmp_path)
    assert complaint in kodec("encode", *arguments.split()).complaint
    assert not Path("out").exists() and not Path("x.kdc").exists()


def test_files_may_stand_on_both_sides_of_options(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    coded = tmp_path / "a.kdc"
    outcome = kodec("encode", folder / "a.png", "--quality", 3, coded, "--model", tiny_model)
    assert (outcome.status, outcome.err) == (0, "") and coded.exists()
    assert kodec("encode", folder / "a.png", "--nonsense", coded).status == 2


def test_urls(kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/many/in/deep/c.png", (folder / "deep/c.png").read_bytes())
    store.pipe("/many/in/broken.png", b"no picture")
    manifest = tmp_path / "manifest.jsonl"
    inputs = ("memory://many/in", f"file://{folder}/a.png", "--recursive", "--model", tiny_model)
    command = ("encode", *inputs, "--output-dir", "memory://many/out", "--manifest", manifest)
    assert "give --manifest" in kodec(*command[:-2]).complaint
    outcome = kodec(*command)
    assert outcome.status == 1
    assert outcome.err.startswith("kodec: memory://many/in/broken.png ")
    assert sorted(store.find("/many/out")) == ["/many/out/a.kdc", "/many/out/deep/c.kdc"]
    expected = load(tiny_model).encode_picture(read_picture(folder / "deep/c.png"), 32)
    assert store.cat("/many/out/deep/c.kdc") == expected.data
    store.rm("/many/in/broken.png")
    outcome = kodec(*command)
    assert outcome.status == 0 and "2 of them done before" in outcome.out
    back = ("decode", "memory://many/out", "--recursive", "--model", tiny_model)
    outcome = kodec(*back, "--output-dir", tmp_path / "back")
    assert (outcome.status, outcome.err) == (0, "")
    assert np.array_equal(
        read_picture(tmp_path / "back/deep/c.png").pixels, expected.reconstruction.pixels
    )
    store.rm("/many", recursive=True)


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "kodec", *map(str, arguments)]
    return subprocess.Popen(command, stdout=-1, stderr=-1, text=True, **options)


needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@needs_posix
def test_a_killed_call_goes_on(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    """Killed at any moment, of which no file shows a trace."""
    coded, manifest = tmp_path / "coded", tmp_path / "coded" / "manifest.jsonl"
    sources: list[Path] = []
    for more in (40, 80, 160, 320):
        # Until there are so many that it was not done before the signal reached it.
        shutil.rmtree(coded, ignore_errors=True)
        sources += [save_picture(f"{len(sources) + n}.png", 96, 96) for n in range(more)]
        command = ("encode", *sources, "--output-dir", coded, "--model", tiny_model)
        process = start(*command)
        while process.poll() is None and not (manifest.exists() and manifest.stat().st_size > 1500):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        if process.returncode != 0 and len(list(coded.glob("*.kdc"))) < len(sources):
            break
    assert process.returncode == -signal.SIGKILL
    with manifest.open("a") as file:
        file.write('{"input": "cut off')
    written = {path: path.read_bytes() for path in coded.glob("*.kdc")}
    assert 0 < len(written) < len(sources)
    outcome = kodec(*command)
    assert (outcome.status, outcome.err) == (0, "")
    assert "done before" in outcome.out
    one = load(tiny_model).encode_picture(read_picture(sources[0])).data
    assert len(rows_of(manifest)) == len(sources)
    for source in sources:
        assert (coded / source.name).with_suffix(".kdc").read_bytes() == one
    assert all(content == one for content in written.values())


@needs_posix
def test_a_terminated_call_goes_on(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    """The file that it is at never comes: a pipe that nobody writes to."""
    coded, back, model = tmp_path / "coded", tmp_path / "back", ("--model", tiny_model)
    kodec("encode", folder, "--recursive", "--output-dir", coded, *model)
    late, manifest = coded / "deep" / "c.kdc", back / "manifest.jsonl"
    late.rename(tmp_path / "kept")
    os.mkfifo(late)
    command = ("decode", coded / "a.kdc", coded / "b.kdc", late, "--output-dir", back, *model)
    process = start(*command)
    while process.poll() is None and not (
        manifest.exists() and manifest.read_text().count("\n") > 1
    ):
        time.sleep(0.02)
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith("kodec: interrupted: 2 of 3 files are done; ") and err.count("\n") == 1
    assert sorted(path.name for path in back.iterdir()) == ["a.png", "b.png", "manifest.jsonl"]
    written = {path: path.stat().st_mtime_ns for path in back.glob("*.png")}
    late.unlink()
    (tmp_path / "kept").rename(late)
    outcome = kodec(*command)
    assert (outcome.status, outcome.err) == (0, "")
    assert "2 of them done before" in outcome.out
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())
    assert len(rows_of(manifest)) == 3 and (back / "c.png").exists()


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_file_that_kills_its_process_is_named_and_the_rest_goes_on(
    kodec: Cli,
    tiny_model: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    inputs, out, model = folder, tmp_path / "out", ("--model", tiny_model)
    if verb == "decode":
        inputs = tmp_path / "coded"
        kodec("encode", folder, "--recursive", "--output-dir", inputs, *model)
    with monkeypatch.context() as patch:
        deadly = deadly_executor(lambda task: Path(task.input).stem == "b")
        patch.setattr("kodec.eval.running.executors.open_executor", deadly)
        command = (verb, inputs, "--recursive", "--output-dir", out, *model)
        outcome = kodec(*command)
    assert outcome.status == 1
    first, last = outcome.err.splitlines()
    assert "/b." in first and "its process was killed" in first
    assert last.startswith("kodec: 1 of 3 files failed")
    assert [name for name, row in rows_of(out / "manifest.jsonl").items() if row["error"]] == [
        "b.png" if verb == "encode" else "b.kdc"
    ]
    # Where it does not, the rerun does that one alone.
    outcome = kodec(*command)
    assert (outcome.status, outcome.err) == (0, "") and "2 of them done before" in outcome.out


def test_a_damaged_file_is_named_and_the_rest_is_decoded(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    coded, back, model = tmp_path / "coded", tmp_path / "back", ("--model", tiny_model)
    kodec("encode", folder, "--recursive", "--output-dir", coded, *model)
    sound = (coded / "b.kdc").read_bytes()
    (coded / "b.kdc").write_bytes(sound[:-9])
    command = ("decode", coded, "--recursive", "--output-dir", back, *model)
    outcome = kodec(*command)
    assert outcome.status == 1 and outcome.err.startswith(f"kodec: {coded / 'b.kdc'}: ")
    assert sorted(path.name for path in back.rglob("*.png")) == ["a.png", "c.png"]
    (coded / "b.kdc").write_bytes(sound)
    outcome = kodec(*command)
    assert (outcome.status, outcome.err) == (0, "") and "2 of them done before" in outcome.out
    assert (back / "b.png").exists()


# In a mount namespace of its own: a disk of so many kilobytes, on which a command is run, and again
# once there is room. Prints status, stderr and the files on the disk of both.
FULL_DISK = """
import contextlib, io, json, os, pathlib, subprocess, sys
from kodec.__main__ import main

disk = pathlib.Path(sys.argv[1])
for size, *command in json.loads(sys.stdin.read()):
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], check=True)
    for more in (False, True):
        if more:
            subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        with contextlib.redirect_stderr(io.StringIO()) as err:
            with contextlib.redirect_stdout(io.StringIO()):
                status = main(command)
        files = sorted(str(p.relative_to(disk)) for p in disk.rglob("*") if p.is_file())
        print(json.dumps([status, err.getvalue(), files]))
    subprocess.run(["umount", disk], check=True)
"""


def may_mount() -> bool:
    """Whether a process may have file systems of its own here."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="needs unshare and user namespaces")
def test_a_full_disk(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    """What does not fit fails, whole, and what fits is written; the rerun does the rest."""
    (tmp_path / "in").mkdir()
    save_picture("in/large.png", 256, 256)
    save_picture("in/small.png", 16, 16)
    model = ("--model", tiny_model)
    kodec("encode", tmp_path / "in", "--output-dir", tmp_path / "coded", *model)
    disk = tmp_path / "disk"
    evaluated = ("eval", "--dataset", tmp_path / "in", "--qualities", "1,2,3,4,5,6,7,8,9", *model)
    commands = [
        (32, "encode", tmp_path / "in", "--output-dir", disk, *model, "--quality", 63),
        (32, "decode", tmp_path / "coded", "--output-dir", disk, *model),
        (4, *evaluated, "--metrics", "psnr-rgb,psnr-y,psnr-u,psnr-v", "--output", disk / "r.json"),
    ]
    told = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", FULL_DISK, disk],
        input=json.dumps([[size, *map(str, command)] for size, *command in commands]),
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    outcomes = [json.loads(line) for line in told.stdout.splitlines()]
    for (full, roomy), suffix in zip((outcomes[:2], outcomes[2:4]), (".kdc", ".png"), strict=True):
        status, err, files = full
        assert status == 1 and "No space left on device" in err
        assert files == ["manifest.jsonl", f"small{suffix}"]
        status, err, files = roomy
        assert (status, err) == (0, "")
        assert files == [f"large{suffix}", "manifest.jsonl", f"small{suffix}"]
    status, err, files = outcomes[4]
    assert status == 1 and "No space left on device" in err and err.count("\n") == 1
    assert files == ["r.json.partial"]
    status, err, files = outcomes[5]
    assert (status, err, files) == (0, "", ["r.json"])


@needs_posix
def test_no_room_for_a_file(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path
) -> None:
    import resource

    sources = [save_picture("large.png", 256, 256), save_picture("small.png", 16, 16)]
    coded = tmp_path / "coded"
    command = ("encode", *sources, "--output-dir", coded, "--model", tiny_model, "--quality", 63)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, before[1]))
    try:
        outcome = kodec(*command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.status == 1
    assert outcome.err.startswith(f"kodec: {sources[0]}: ") and "File too large" in outcome.err
    assert sorted(path.name for path in coded.iterdir()) == ["manifest.jsonl", "small.kdc"]
    assert kodec(*command).status == 0
    assert (coded / "large.kdc").stat().st_size > 16384


@needs_posix
def test_several_processes_write_what_one_does(
    kodec: Cli, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    command = ("encode", folder, "--recursive", "--model", tiny_model, "--output-dir")
    one, two = tmp_path / "one", tmp_path / "two"
    threads = os.environ.get("OMP_NUM_THREADS")
    assert kodec(*command, one).status == 1
    outcome = kodec(*command, two, "--jobs", 2)
    assert outcome.status == 1 and outcome.err.count("\n") == 2
    assert os.environ.get("OMP_NUM_THREADS") == threads
    for path in one.rglob("*.kdc"):
        assert (two / path.relative_to(one)).read_bytes() == path.read_bytes()
    kept = ("bytes", "bpp", "psnr", "width", "height")
    figures = [
        {
            name: [row.get(key) for key in kept]
            for name, row in rows_of(d / "manifest.jsonl").items()
        }
        for d in (one, two)
    ]
    assert figures[0] == figures[1]
