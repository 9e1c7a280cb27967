"""`kodec eval` of other people's codecs, of video, and of work that is stopped half-way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_encoder import write_fake_encoder
from interrupts import heed_interrupts
from kodec.codecs import read_picture
from kodec.codecs.video_files.frames import write_raw
from kodec.eval import VideoFormat, psnr, read_results
from kodec.eval.baselines import PillowCodec

Cli = Callable[..., Any]


@pytest.fixture
def pictures(save_picture: Callable[..., Path], tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        save_picture(f"{number}.png", 24 + number, 33).rename(folder / f"{number}.png")
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clips" / "clip_33x24_25fps.yuv"
    path.parent.mkdir()
    form = VideoFormat(33, 24)
    with path.open("wb") as file:
        for number in range(3):
            shapes = form.plane_shapes
            write_raw(file, tuple(np.full(s, 90 + 9 * number, np.uint8) for s in shapes))
    return path


@pytest.fixture
def slow_encoder(tmp_path: Path) -> list[str]:
    """Arguments for an encoder that takes its time."""
    binary = write_fake_encoder(tmp_path / "EncoderApp")
    (tmp_path / "slow.cfg").write_text("Slow : 1\n")
    options = ["--codec", "vtm", "--binary", str(binary), "--config", str(tmp_path / "slow.cfg")]
    return [*options, "--cache", str(tmp_path / "cache")]


def test_baseline_is_measured_like_a_model(kodec: Cli, pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "jpeg.json"
    outcome = kodec(
        *("eval", "--codec", "jpeg", "--dataset", pictures, "--output", output),
        *("--qualities", "40,95", "--jobs", "2"),
    )
    assert (outcome.status, outcome.err) == (0, "")
    results = read_results(output)
    assert (results.name, results.quality) == ("jpeg", [40, 95])
    codec = PillowCodec("jpeg")
    for row in results.per_image:
        pixels = read_picture(pictures / row.image).pixels
        data = codec.encode(pixels, row.quality)
        assert row.bytes == len(data)
        assert row.metrics["psnr-rgb"] == psnr(pixels, codec.decode(data))
    lines = outcome.out.splitlines()
    assert lines[1].split()[:2] == ["40", f"{results.results['bpp'][0]:.4f}"]
    assert "note: ms-ssim-rgb, ms-ssim-y left out: 4 of 4 pictures are below 161 pixels" in lines
    assert not list(tmp_path.glob("*.partial"))


def test_chosen_metrics_only(kodec: Cli, pictures: Path, tmp_path: Path) -> None:
    base = ("eval", "--codec", "webp", "--dataset", pictures, "--qualities", "50")
    output = tmp_path / "r.json"
    spaced = "psnr-y, psnr-yuv-611 "
    assert kodec(*base, "--metrics", spaced, "--output", output).status == 0
    assert read_results(output).metrics == ["psnr-y", "psnr-yuv-611"]
    assert "no metric 'psnr'" in kodec(*base, "--metrics", "psnr", "--output", output).complaint


def test_video(kodec: Cli, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    outcome = kodec(
        *("eval", "--codec", "x264", "--dataset", clip.parent, "--qualities", "30"),
        *("--structure", "low-delay", "--preset", "fast", "--frames", "2", "--output", output),
    )
    assert (outcome.status, outcome.err) == (0, "")
    results = read_results(output)
    (row,) = results.per_image
    assert (row.image, row.frames, row.fps) == (clip.name, 2, 25.0)
    assert results.metrics[0] == "psnr-y" and "psnr-rgb" not in results.results
    assert (results.settings["structure"], results.settings["preset"]) == ("low-delay", "fast")
    assert outcome.out.splitlines()[-1] == f"1 sequences; {output} has each of them"


def test_models_are_measured_on_video_beside_baselines(
    kodec: Cli, clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "r.json"
    outcome = kodec(
        *("eval", "--model", tiny_model, "--dataset", clip.parent, "--qualities", "10,40"),
        *("--beside", "x264, svt-av1", "--output", output),
    )
    assert (outcome.status, outcome.err) == (0, "")
    found = [read_results(tmp_path / f"r{name}.json") for name in ("", "-x264", "-svt-av1")]
    assert [results.name for results in found] == ["tiny", "x264", "svt-av1"]
    assert [results.quality for results in found[:2]] == [[10, 40], [37, 32, 27, 22]]
    for results in found:
        assert results.settings["structure"] == "intra"
        assert all(len(row.per_frame["bits"]) == 3 for row in results.per_image)
    assert list(tmp_path.glob("*.partial")) == []


def test_damaged_video_is_named_and_the_rest_measured(kodec: Cli, tmp_path: Path) -> None:
    folder, output = tmp_path / "clips", tmp_path / "r.json"
    folder.mkdir()
    frame = b"FRAME\n" + bytes(range(96)) * (64 * 48 * 3 // 2 // 96)
    whole = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420mpeg2\n" + frame * 4
    (folder / "a.y4m").write_bytes(whole)
    (folder / "b.y4m").write_bytes(whole[:-1])
    base = ("eval", "--codec", "x264", "--qualities", "30", "--metrics", "psnr-y")
    outcome = kodec(*base, "--dataset", folder, "--output", output)
    assert outcome.status == 1 and outcome.err.count("\n") == 1
    assert "1 of 2 sequences left out: " in outcome.err and "b.y4m is cut off" in outcome.err
    assert "x264 on" not in outcome.err  # it is not the codec's fault
    assert [row.image for row in read_results(output).per_image] == ["a.y4m"]
    output.unlink()
    alone = kodec(*base, "--dataset", folder / "b.y4m", "--output", output)
    assert "b.y4m is cut off or damaged after 3 frames" in alone.complaint
    assert not output.exists()


def test_external_encoder(kodec: Cli, pictures: Path, slow_encoder: list[str]) -> None:
    output = pictures.parent / "vtm.json"
    outcome = kodec(
        *("eval", *slow_encoder, "--dataset", pictures, "--qualities", "22"),
        *("--jobs", "2", "--output", output, "--quiet"),
    )
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    results = read_results(output)
    assert "decoding_time" not in results.results  # nothing was decoded
    assert min(row.encoding_time or 0.0 for row in results.per_image) > 0.5
    assert results.settings["binary"] == "EncoderApp" and "Version" in results.versions["vtm"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--codec gif --dataset pictures", 2, "no codec 'gif': choose from jpeg,"),
        ("--codec jpeg --model x --dataset pictures", 2, "not allowed with"),
        ("--dataset pictures", 2, "--model --coded --codec is required"),
        ("--model x --binary y --dataset pictures", 2, "--binary goes with --codec"),
        ("--codec jpeg --device cuda --dataset pictures", 2, "--device goes with --model"),
        ("--codec jpeg --jobs 0 --dataset pictures", 2, "from 1 on"),
        ("--codec x264 --size 4 --dataset clips", 2, "WIDTHxHEIGHT"),
        ("--codec x264 --fps 0 --dataset clips", 2, "above 0"),
        ("--codec jpeg --qualities 101 --dataset pictures", 2, "0 to 100, not 101"),
        ("--model default --qualities 64 --dataset pictures", 2, "0 to 63, not 64"),
        ("--codec jpeg --preset slow --dataset pictures", 1, "--preset is for avif, x264, x265, "),
        ("--codec hm --binary x --structure intra --dataset clips", 1, "--structure is for x264"),
        ("--codec jpeg --cache c --dataset pictures", 1, "--cache is for vtm, hm, vvenc"),
        ("--codec jpeg --bit-depth 8 --dataset pictures", 1, "--bit-depth is for vtm"),
        ("--codec x264 --structure low-delay --dataset pictures", 1, "--structure is for video"),
        ("--codec vtm --binary x --bit-depth 10 --dataset clips", 1, "--bit-depth is for pictures"),
        ("--codec x264 --size 8x8 --dataset notvideo", 1, "--size is for raw .yuv files"),
        ("--codec jpeg --metrics psnr-y,, --dataset pictures", 2, "names with commas"),
        ("--codec x265 --preset fastest --dataset pictures", 1, "choose from ultrafast"),
        ("--codec jpeg --dataset clips", 1, "jpeg codes pictures"),
        ("--model default --structure low-delay --dataset clips", 1, "takes 0: name another"),
        ("--model default --structure random-access --dataset clips", 1, "say --structure hier"),
        ("--model default --intra-period 4 --dataset clips", 1, "--intra-period changes nothing"),
        ("--model default --effort 1 --dataset clips", 1, "--effort and --minutes are for pic"),
        ("--codec x264 --intra-period 4 --structure intra --dataset clips", 1, "changes nothing"),
        ("--codec x264 --structure low-delay-2 --dataset clips", 1, "no structure low-delay-2"),
        ("--codec x264 --offsets 0,-2 --dataset clips", 2, "--offsets goes with --model"),
        ("--model default --offsets 0,-2 --dataset pictures", 1, "--offsets is for video"),
        ("--codec x264 --beside vtm --dataset clips", 2, "--beside takes jpeg, "),
        ("--codec x264 --beside x265,x264 --dataset clips", 2, "x264 is named twice"),
        ("--codec jpeg --fps 25 --dataset pictures", 1, "--fps is for video"),
        ("--codec vtm --dataset pictures", 1, "brings no vtm: give --binary"),
        ("--codec vtm --binary nowhere --dataset pictures", 1, "no program nowhere"),
        ("--codec jpeg --dataset uvg", 1, "KODEC_DATA is not set"),
        ("--codec jpeg --dataset text", 1, "not a picture"),
        ("--codec x264 --dataset notvideo", 1, "is not a video"),
        ("--codec x264 --dataset mixed", 1, "pictures and video"),
    ],
)
def test_bad_input_is_one_line(
    kodec: Cli,
    pictures: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    status: int,
    words: str,
) -> None:
    for folder, names in (
        ("text", ["a.png"]),
        ("notvideo", ["a.mkv"]),
        ("mixed", ["a.png", "b.mkv"]),
    ):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text("nothing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KODEC_DATA", raising=False)
    before = sorted(tmp_path.rglob("*"))
    outcome = kodec("eval", *arguments.split(), "--output", "r.json")
    assert (outcome.status, words in outcome.complaint) == (status, True), outcome.complaint
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_file_among_pictures_keeps_what_is_finished(
    kodec: Cli, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "9.png").write_text("no picture")
    arguments = ("eval", "--codec", "jpeg", "--dataset", pictures, "--qualities", "50")
    output = tmp_path / "r.json"
    outcome = kodec(*arguments, "--output", output)
    assert outcome.status == 1 and outcome.err.count("\n") == 1
    assert outcome.err.startswith("kodec: 1 of 5 pictures left out: ") and "9.png" in outcome.err
    assert "4 pictures; " in outcome.out and "note: 1 of 5 pictures" in outcome.out
    assert [left["file"] for left in read_results(output).left_out] == ["9.png"]
    finished = _rows_of(tmp_path / "r.json.partial")
    assert len(finished) == 4
    shutil.copy(pictures / "0.png", pictures / "9.png")
    assert kodec(*arguments, "--output", output).status == 0
    rows = read_results(output).per_image
    assert len(rows) == 5 and read_results(output).left_out == []
    assert {row["row"]["encoding_time"] for row in finished} < {row.encoding_time for row in rows}
    assert not (tmp_path / "r.json.partial").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["interrupt-2", "early-2", "kill-1"])
def test_stopped_work_goes_on(
    how: str, kodec: Cli, pictures: Path, tmp_path: Path, slow_encoder: list[str]
) -> None:
    kind, jobs = how.split("-")
    output, partial = tmp_path / "r.json", tmp_path / "r.json.partial"
    arguments = ["eval", *slow_encoder, "--dataset", str(pictures), "--qualities", "22"]
    arguments += ["--jobs", jobs, "--output", str(output), "--metrics", "psnr-rgb"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kodec", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        if kind == "early":  # the processes have only just begun
            _wait_until(lambda: len(list(_processes_of(process.pid))) >= 3)
        else:
            _wait_until(lambda: len(_rows_of(partial)) >= 1)
        if kind == "kill":
            process.kill()
        else:  # a terminal's Ctrl+C goes to every process
            os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
        if kind != "kill":
            assert (process.returncode, out, err) == (1, "", "kodec: interrupted\n")
        # Nothing of it lives on, and nothing half-written is left.
        _wait_until(lambda: not list(_processes_of(process.pid)))
    finally:
        if process.poll() is None:
            process.kill()
    assert not output.exists()
    finished = _rows_of(partial)
    assert (0 if kind == "early" else 1) <= len(finished) < 4
    if kind == "interrupt":
        left = [path.name for path in (tmp_path / "cache").iterdir()]
        assert left and all(name.startswith("vtm-") for name in left)
    assert kodec(*arguments).status == 0
    results = read_results(output)
    assert len(results.per_image) == 4 and not partial.exists()
    # Rows that were finished are taken as they are, their times included.
    times = {row.encoding_time for row in results.per_image}
    assert {row["row"]["encoding_time"] for row in finished} <= times


def _rows_of(partial: Path) -> list[dict[str, Any]]:
    if not partial.exists():
        return []
    rows = []
    for line in partial.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _processes_of(session: int) -> Iterator[int]:
    """The processes of a session that still run; none where the system has no /proc."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            yield int(path.parent.name)


def _wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
