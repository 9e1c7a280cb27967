"""Videos on the command line: files, folders and pipes in and out; what is refused, lost or cut."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from PIL import Image

from closed_loops import SMALL, small_model
from compositions import part
from kodec.codecs import read_picture, save_model
from kodec.codecs.container import ChunkReader, Packet
from kodec.codecs.sequences.video_codec import load_video
from kodec.codecs.video_files.frames import Frame
from kodec.codecs.video_files.rgb_frames import rgb_of_frame
from kodec.codecs.video_files.video_reading import open_video
from kodec.codecs.video_files.video_writing import VideoWriter
from video_clips import moving, write_raw, write_video
from video_frames import assert_same

Cli = Callable[..., Any]
FRAMES, WIDTH, HEIGHT = 7, 40, 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a closed loop of two references, and of any number of qualities."""
    path = tmp_path_factory.mktemp("models") / "loop.safetensors"
    network = small_model("bidirectional", gain=(1.0, 4.0)).float()
    config = part("codecs.BidirectionalFlow", **SMALL, gain=(1.0, 4.0))
    save_model(network, config, path, "loop")
    return path


@dataclass(frozen=True)
class Clip:
    """The same frames as files of every kind, what is coded of them, and what that shows."""

    folder: Path
    coded: Path
    shown: list[Frame]


@pytest.fixture(scope="module")
def clip(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("clip")
    write_video(folder / "in.mkv", moving(FRAMES, HEIGHT, WIDTH), "ffv1", x="")
    video = open_video(folder / "in.mkv")
    for name in ("in.y4m", "in.yuv"):
        with VideoWriter(folder / name, video.form) as writer:
            for frame in video.frames():
                writer.write(frame)
    shutil.move(folder / "in.yuv", folder / f"in_{WIDTH}x{HEIGHT}_25.yuv")
    (folder / "pictures").mkdir()
    for number, pixels in enumerate(moving(3, HEIGHT, WIDTH)):
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
    from kodec.__main__ import main

    coded = folder / "in.kdc"
    options = ["--model", str(model), "--intra-period", "4", "--quiet"]
    assert main(["encode", str(folder / "in.mkv"), str(coded), *options]) == 0
    return Clip(folder, coded, shown_by(coded, model))


def shown_by(coded: Path, model: Path) -> list[Frame]:
    decoder = load_video(model).decoder(ChunkReader(coded.read_bytes()))
    return [shown.picture for shown in decoder]


def frames_of(path: Path) -> list[Frame]:
    raw = {"size": (WIDTH, HEIGHT), "fps": Fraction(25)} if path.suffix == ".yuv" else {}
    return list(open_video(path, **raw).frames())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["out.mkv", "out.y4m", "out.yuv"])
def test_videos_come_back(kodec: Cli, clip: Clip, model: Path, tmp_path: Path, name: str) -> None:
    outcome = kodec("decode", clip.coded, tmp_path / name, "--model", model)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{tmp_path / name}: 7 frames of 40x24 yuv420p, model loop\n"
    assert_same(frames_of(tmp_path / name), clip.shown)
    assert os.listdir(tmp_path) == [name]


def test_videos_come_back_as_pictures(kodec: Cli, clip: Clip, model: Path, tmp_path: Path) -> None:
    arguments = ["decode", clip.coded, f"{tmp_path}/out/", "--model", model, "--start", 2]
    assert kodec(*arguments, "--frames", 2).status == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["000001.png", "000002.png"]
    form = open_video(clip.folder / "in.mkv").form
    for file, frame in zip(files, clip.shown[2:4], strict=True):
        rgb = np.rint(255 * rgb_of_frame(frame, form)).astype(np.uint8).transpose(1, 2, 0)
        difference = read_picture(file).pixels.astype(int) - rgb
        assert np.abs(difference).max() <= 1
    assert "is not empty" in kodec(*arguments).complaint


@pytest.mark.parametrize("name", ["in.y4m", f"in_{WIDTH}x{HEIGHT}_25.yuv"])
def test_the_same_frames_of_other_files(
    kodec: Cli, clip: Clip, model: Path, tmp_path: Path, name: str
) -> None:
    coded = tmp_path / "a.kdc"
    arguments = ["encode", clip.folder / name, coded, "--model", model, "--intra-period", 4]
    assert kodec(*arguments).status == 0
    assert_same(shown_by(coded, model), clip.shown)


def test_pictures_of_a_folder_are_a_video_of_rgb(
    kodec: Cli, clip: Clip, model: Path, tmp_path: Path
) -> None:
    coded = tmp_path / "a.kdc"
    outcome = kodec("encode", clip.folder / "pictures", coded, "--model", model, "--fps", 30)
    assert (outcome.status, outcome.err) == (0, "")
    assert ": 3 frames, " in outcome.out and " dB (RGB), " in outcome.out
    assert kodec("decode", coded, tmp_path / "out.mkv", "--model", model).status == 0
    form = open_video(tmp_path / "out.mkv").form
    assert form.is_rgb and form.fps == 30
    complaint = kodec("decode", coded, tmp_path / "out.y4m", "--model", model).complaint
    assert complaint.startswith(f"{tmp_path}/out.y4m: Y4M cannot hold gbrp")
    assert sorted(os.listdir(tmp_path)) == ["a.kdc", "out.mkv"]


class Pipe:
    """Stands for `sys.stdin` or `sys.stdout`, as bytes."""

    def __init__(self, buffer: BinaryIO) -> None:
        self.buffer = buffer

    def flush(self) -> None:
        self.buffer.flush()


def piped(monkeypatch: pytest.MonkeyPatch, given: bytes, *arguments: object) -> tuple[int, bytes]:
    """Status and output of a command whose input comes through a pipe and is less than it holds."""
    from kodec.__main__ import main

    theirs, ours = os.pipe()
    assert os.write(ours, given) == len(given)
    os.close(ours)
    out = io.BytesIO()
    with os.fdopen(theirs, "rb") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Pipe(file))
        patch.setattr(sys, "stdout", Pipe(out))
        status = main([str(argument) for argument in arguments])
    return status, out.getvalue()


def test_pipes_both_ways(
    monkeypatch: pytest.MonkeyPatch, clip: Clip, model: Path, tmp_path: Path
) -> None:
    given = (clip.folder / "in.y4m").read_bytes()
    options = ["--model", model, "--quiet"]
    status, coded = piped(monkeypatch, given, "encode", "-", "-", "--intra-period", 4, *options)
    assert status == 0
    status, shown = piped(monkeypatch, coded, "decode", "-", "-", *options)
    assert status == 0
    (tmp_path / "out.y4m").write_bytes(shown)
    assert_same(frames_of(tmp_path / "out.y4m"), clip.shown)


def test_what_a_pipe_can_t_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clip: Clip,
    model: Path,
    tmp_path: Path,
) -> None:
    given, options = (clip.folder / "in.y4m").read_bytes(), ["--model", model]
    out = tmp_path / "a.kdc"
    rates = [["--bitrate", "90k", "--passes", "2"], ["--target-psnr", "20"]]
    for rate in rates:
        assert piped(monkeypatch, given, "encode", "-", out, *rate, *options)[0] == 1
        assert "a pipe comes once" in capsys.readouterr().err
    coded = clip.coded.read_bytes()
    assert piped(monkeypatch, coded, "decode", "-", "-", "--start", 2, *options) == (1, b"")
    assert "in a seekable file" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_parts_of_videos(kodec: Cli, clip: Clip, model: Path, tmp_path: Path) -> None:
    coded = tmp_path / "a.kdc"
    arguments = ["--model", model, "--start", 5, "--frames", 9]
    assert ": 2 frames, " in kodec("encode", clip.folder / "in.mkv", coded, *arguments).out
    with VideoWriter(tmp_path / "two.y4m", open_video(clip.folder / "in.mkv").form) as writer:
        for frame in frames_of(clip.folder / "in.mkv")[5:]:
            writer.write(frame)
    assert kodec("encode", tmp_path / "two.y4m", tmp_path / "b.kdc", "--model", model).status == 0
    assert_same(shown_by(coded, model), shown_by(tmp_path / "b.kdc", model))
    # Before a refresh, at it, behind it.
    for start in (3, 4, 6):
        out = tmp_path / f"{start}.y4m"
        options = ["--model", model, "--start", start, "--frames", 1]
        assert kodec("decode", clip.coded, out, *options).status == 0
        assert_same(frames_of(out), clip.shown[start : start + 1])
    beyond = ["decode", clip.coded, tmp_path / "c.y4m", "--model", model, "--start", 7]
    assert kodec(*beyond).complaint.endswith("in.kdc: it has no frame 7: give a smaller --start")
    assert not (tmp_path / "c.y4m").exists()


def test_structures_and_qualities(kodec: Cli, clip: Clip, model: Path, tmp_path: Path) -> None:
    def steps(*options: object) -> list[tuple[int, int, int]]:
        """First frame, references and quality's offset of each step."""
        coded = tmp_path / "a.kdc"
        command = ["encode", clip.folder / "in.mkv", coded, "--model", model, *options]
        outcome = kodec(*command)
        assert outcome.status == 0
        lines.append(outcome.out)
        packets = [item for item in ChunkReader(coded.read_bytes()) if isinstance(item, Packet)]
        return [(s.first, len(s.references), s.quality) for p in packets for s in p.steps]

    lines: list[str] = []
    assert steps("--structure", "intra") == [(n, 0, 0) for n in range(7)]
    found = steps("--structure", "low-delay", "--offsets", "0,-6", "--quality", 20)
    assert found == [(0, 0, 0), *((n, 1, -6 * ((n - 1) % 2)) for n in range(1, 7))]
    assert ", qualities 14 to 20, " in lines[-1]
    found = steps("--structure", "hierarchical", "--offsets", "0,-2,-4", "--intra-period", 5)
    assert found == [(0, 0, 0), (4, 1, 0), (2, 2, -2), (1, 2, -4), (3, 2, -4), (5, 0, 0), (6, 1, 0)]
    assert len(steps("--bitrate", "80k", "--passes", 2)) == 7


def test_the_embedded_model_codes_in_every_structure_and_to_a_rate(
    kodec: Cli, tmp_path: Path
) -> None:
    source, coded = tmp_path / "in.mkv", tmp_path / "a.kdc"
    write_video(source, moving(9, 48, 64), "ffv1", x="")

    def size_of(*options: object) -> int:
        outcome = kodec("encode", source, coded, "--no-scene-cuts", *options)
        assert (outcome.status, ", model video, " in outcome.out) == (0, True)
        assert kodec("decode", coded, tmp_path / "out.y4m").status == 0
        assert len(list(open_video(tmp_path / "out.y4m").frames())) == 9
        return coded.stat().st_size

    sizes = {}
    for structure, references in {"low-delay": 1, "low-delay-2": 2, "hierarchical": 2}.items():
        sizes[structure] = size_of("--structure", structure, "--quality", 40)
        packets = [item for item in ChunkReader(coded.read_bytes()) if isinstance(item, Packet)]
        steps = [step for packet in packets for step in packet.steps]
        assert len(steps) == 9 and max(len(step.references) for step in steps) == references
    for structure in ("low-delay", "hierarchical"):
        rate = round(0.8 * sizes[structure] * 8 * 25 / 9)
        size = size_of("--structure", structure, "--bitrate", rate, "--passes", 2)
        assert size == pytest.approx(0.8 * sizes[structure], rel=0.15)


def test_the_line_that_encode_prints_is_true(
    kodec: Cli, clip: Clip, model: Path, tmp_path: Path
) -> None:
    from kodec.eval.metrics.metric_set import measure_frame

    coded, form = tmp_path / "a.kdc", open_video(clip.folder / "in.mkv").form
    line = kodec("encode", clip.folder / "in.mkv", coded, "--model", model, "--quality", 9).out
    size = coded.stat().st_size
    sources = frames_of(clip.folder / "in.mkv")
    decibels = [
        measure_frame(a, b, form, ["psnr-yuv-611"])["psnr-yuv-611"]
        for a, b in zip(sources, shown_by(coded, model), strict=True)
    ]
    rate = 8 * size * 25 / 7 / 1000
    start = f"{coded}: 7 frames, {size:,} bytes, {rate:,.1f} kbit/s, quality 9, "
    assert line.startswith(f"{start}{np.mean(decibels):.2f} dB (YUV 6:1:1), model loop, ")


@pytest.mark.parametrize(
    ("rate", "passes", "said"),
    [
        ("1k", 1, "above the 1.0 kbit/s asked for: at quality 0 its frames take no fewer bits\n"),
        ("1k", 2, "above the 1.0 kbit/s asked for: at quality 0 its frames take no fewer bits\n"),
        ("900M", 2, "below the 900,000.0 kbit/s asked for: at quality 63 its frames take no more"),
        ("235k", 2, ""),
    ],
)
def test_a_rate_out_of_reach_is_said(
    kodec: Cli, clip: Clip, model: Path, tmp_path: Path, rate: str, passes: int, said: str
) -> None:
    arguments = ["encode", clip.folder / "in.mkv", tmp_path / "a.kdc", "--model", model, "--quiet"]
    outcome = kodec(*arguments, "--bitrate", rate, "--passes", passes)
    assert outcome.status == 0
    assert outcome.err.startswith("kodec: the file is ") if said else outcome.err == ""
    assert said in outcome.err


def test_a_model_of_pictures_codes_every_frame_by_itself(
    kodec: Cli, clip: Clip, tiny_model: Path, tmp_path: Path
) -> None:
    coded = tmp_path / "a.kdc"
    arguments = [clip.folder / "in.mkv", coded, "--model", tiny_model]
    assert "tiny, every frame by itself" in kodec("encode", *arguments).out
    assert json.loads(kodec("info", coded, "--json").out)["refreshes"] == 1
    assert kodec("encode", *arguments, "--intra-period", 2).status == 0
    assert json.loads(kodec("info", coded, "--json").out)["refreshes"] == 4
    complaint = kodec("encode", *arguments, "--structure", "low-delay").complaint
    assert "has 1 references, the model tiny takes 0" in complaint


def test_info_of_a_video(kodec: Cli, clip: Clip) -> None:
    facts = json.loads(kodec("info", clip.coded, "--json").out)
    size = clip.coded.stat().st_size
    packets = list(ChunkReader(clip.coded.read_bytes()))
    coded = sum(len(packet.data) for packet in packets if isinstance(packet, Packet))
    parts = facts.pop("bytes_per_part")
    assert parts == {"header, framing, index": size - coded, "coded": coded}
    assert (facts["kind"], facts["frames"], facts["refreshes"]) == ("video", 7, 2)
    assert (facts["width"], facts["height"], facts["chroma"]) == (WIDTH, HEIGHT, "4:2:0")
    assert facts["bits_per_second"] == round(8 * size * 25 / 7)
    text = kodec("info", clip.coded)
    assert (text.status, text.err) == (0, "")
    assert "refreshes                     2\n" in text.out


@pytest.fixture
def bad(clip: Clip, save_picture: Callable[..., Path], tiny_model: Path, tmp_path: Path) -> Path:
    """A folder with all kinds of wrong inputs; nothing may be added to it."""
    from kodec.codecs import load

    picture = save_picture("photo.png")
    (tmp_path / "photo.kdc").write_bytes(load(tiny_model).encode(read_picture(picture).pixels, 40))
    shutil.copy(picture, tmp_path / "photo.mp4")
    (tmp_path / "text.mkv").write_text("hello, this is no video at all\n" * 9)
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "none").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("a")
    video = (clip.folder / "in.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(video[: len(video) // 2])
    shutil.copy(clip.folder / "in.mkv", tmp_path / "in.mkv")
    shutil.copy(clip.folder / "in.mkv", tmp_path / "video.kdc")
    coded = clip.coded.read_bytes()
    (tmp_path / "good.kdc").write_bytes(coded)
    (tmp_path / "cut.kdc").write_bytes(coded[:-20])
    middle = len(coded) // 2
    flipped = bytes([coded[middle] ^ 8])
    (tmp_path / "damaged.kdc").write_bytes(coded[:middle] + flipped + coded[middle + 1 :])
    write_raw(tmp_path / "raw.yuv", moving(2, HEIGHT, WIDTH))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        # encode: inputs
        ("encode none.mkv out.kdc", "none.mkv: no such file"),
        ("encode photo.mp4 out.kdc", "photo.mp4 is a PNG picture, no video"),
        ("encode text.mkv out.kdc", "text.mkv"),
        ("encode empty.mkv out.kdc", "empty.mkv is empty"),
        ("encode cut.mkv out.kdc", "cut.mkv"),
        ("encode none out.kdc", "none holds no pictures"),
        ("encode raw.yuv out.kdc", "--size"),
        ("encode in.mkv out.kdc --start 7", "frame 7"),
        ("encode in.mkv out.kdc --pixels yuv420p", "size"),
        ("encode good.kdc out.kdc", "kodec file already"),
        # encode: outputs
        ("encode in.mkv out.mp4", "name it out.kdc"),
        ("encode in.mkv none", "encode writes .kdc files"),
        ("encode in.mkv none/no/out.kdc", "does not exist"),
        ("encode video.kdc video.kdc", "is the input itself"),
        # encode: options
        ("encode in.mkv out.kdc --effort 3", "--effort is for pictures"),
        ("encode in.mkv out.kdc --minutes 1", "--minutes is for pictures"),
        ("encode in.mkv out.kdc --verify", "--verify is for pictures"),
        ("encode in.mkv out.kdc --target-bpp 1", "--target-bpp is for pictures"),
        ("encode in.mkv out.kdc --passes 2", "give --bitrate too"),
        ("encode in.mkv out.kdc --offsets 70", "offsets of qualities"),
        ("encode in.mkv out.kdc --target-psnr 90", "90 dB is out of reach"),
        ("encode photo.png out.kdc --bitrate 1M", "--bitrate is for videos"),
        ("encode photo.png out.kdc --structure intra", "--structure is for videos"),
        ("encode photo.png out.kdc --frames 3", "--frames is for videos"),
        ("encode photo.png out.kdc --passes 2", "--passes is for videos"),
        ("encode photo.png out.kdc --offsets 1", "--offsets is for videos"),
        ("encode photo.png out.kdc --no-scene-cuts", "--no-scene-cuts is for videos"),
        # decode: inputs
        ("decode cut.kdc out.mkv", "cut.kdc: "),
        ("decode cut.kdc out/", "cut.kdc: "),
        ("decode damaged.kdc out.y4m", "damaged.kdc: "),
        ("decode in.mkv out.y4m", "in.mkv: not a kodec file"),
        # decode: outputs
        ("decode good.kdc out.png", "kodec writes video as .mkv"),
        ("decode good.kdc out", "a name without extension"),
        ("decode good.kdc out.kdc", "not as .kdc"),
        ("decode good.kdc full", "full is not empty"),
        ("decode good.kdc full/", "full/ is not empty"),
        ("decode good.kdc no/out.mkv", "does not exist"),
        ("decode good.kdc out.mp4", "--codec libx264"),
        ("decode good.kdc out.mkv --codec nonsense", "no encoder 'nonsense'"),
        ("decode good.kdc out.y4m --codec libx264", "leave --codec libx264 away"),
        ("decode photo.kdc out.png --start 3", "--start is for videos"),
        ("decode photo.kdc out.mkv", "kodec writes pictures as"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    kodec: Cli,
    bad: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    words: str,
) -> None:
    monkeypatch.chdir(bad)
    before = {path.name: path.stat().st_mtime_ns for path in bad.iterdir()}
    outcome = kodec(*arguments.split(), "--model", model)
    assert outcome.status == 1
    assert words in outcome.complaint
    assert {path.name: path.stat().st_mtime_ns for path in bad.iterdir()} == before


def test_two_rates_at_once_are_wrong_usage(kodec: Cli, clip: Clip, tmp_path: Path) -> None:
    for other in (["--quality", 3], ["--target-psnr", 30]):
        arguments = [clip.folder / "in.mkv", tmp_path / "a.kdc", "--bitrate", "90k", *other]
        outcome = kodec("encode", *arguments)
        assert outcome.status == 2 and "not allowed with" in outcome.complaint
