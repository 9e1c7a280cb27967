"""Videos that are broken off: Ctrl+C, a kill, and damage that `--partial` reads around."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closed_loops import SMALL, small_model
from compositions import part
from interrupts import heed_interrupts
from kodec.codecs import save_model
from kodec.codecs.container import ChunkReader, ChunkWriter, Packet, SequenceHeader, Step
from kodec.codecs.sequences.video_codec import VideoCodec, load_video
from kodec.codecs.sequences.video_encoder import Coding
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.video_reading import open_video
from video_frames import assert_same

Cli = Callable[..., Any]
FORM = VideoFormat(16, 16, "420", 8, Fraction(25))
PROGRAM = [sys.executable, "-m", "kodec"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "loop.safetensors"
    network = small_model("scale-space", gain=(1.0, 4.0)).float()
    save_model(network, part("codecs.ScaleSpaceFlow", **SMALL, gain=(1.0, 4.0)), path, "loop")
    return path


def coded_frames(codec: VideoCodec, count: int, period: int = 0) -> tuple[bytes, list[Frame]]:
    """A file of so many frames, and what it shows."""
    file = io.BytesIO()
    with codec.encoder(file, FORM, Coding(intra_period=period)) as encoder:
        for number in range(count):
            shades = np.arange(16 * 16).reshape(16, 16) // 2 + 9 * number
            planes = [shades[: s[0], : s[1]].astype(np.uint8) for s in FORM.plane_shapes]
            encoder.push(tuple(planes))
    data = file.getvalue()
    return data, [shown.picture for shown in codec.decoder(ChunkReader(data))]


def started(arguments: Sequence[object], part_file: Path, size: int) -> subprocess.Popen[str]:
    """The program at work, so far that its unfinished output has more than `size` bytes."""
    process = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    end = time.monotonic() + 300
    while not (part_file.exists() and part_file.stat().st_size > size):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    return process


def frames_in(reader: ChunkReader) -> int:
    packets = [item for item in reader if isinstance(item, Packet)]
    return sum(step.frames for packet in packets for step in packet.steps)


def endless(tmp_path: Path) -> Path:
    """A raw file of a million black frames, which takes no room on the disk."""
    path = tmp_path / "in.yuv"
    path.touch()
    os.truncate(path, 1_000_000 * FORM.frame_bytes)
    return path


def test_ctrl_c_while_encoding_ends_the_file(kodec: Cli, model: Path, tmp_path: Path) -> None:
    coded = tmp_path / "a.kdc"
    raw = ["--size", "16x16", "--fps", 25]
    command = ["encode", endless(tmp_path), coded, "--model", model, *raw]
    process = started(command, tmp_path / "a.kdc.part", 2000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    frames = frames_in(ChunkReader(coded.read_bytes()))
    assert process.returncode == 1 and frames > 1
    assert err == f"kodec: interrupted: {coded} has the first {frames} frames\n"
    assert out.startswith(f"{coded}: {frames} frames, ")
    assert sorted(os.listdir(tmp_path)) == ["a.kdc", "in.yuv"]


def test_a_kill_leaves_what_was_coded(kodec: Cli, model: Path, tmp_path: Path) -> None:
    left, out = tmp_path / "a.kdc.part", tmp_path / "out.y4m"
    raw = ["--size", "16x16", "--fps", 25]
    command = ["encode", endless(tmp_path), tmp_path / "a.kdc", "--model", model, *raw]
    process = started(command, left, 2000)
    process.kill()
    process.communicate(timeout=300)
    assert sorted(os.listdir(tmp_path)) == ["a.kdc.part", "in.yuv"]
    frames = frames_in(ChunkReader(left.read_bytes(), damaged="keep"))
    assert frames > 1
    assert "truncated" in kodec("decode", left, out, "--model", model).complaint
    outcome = kodec("decode", left, out, "--model", model, "--partial")
    assert outcome.status == 3
    assert outcome.out.startswith(f"{out}: {frames} frames of 16x16")
    assert outcome.err.startswith("kodec: nothing is left behind the damage (")
    assert outcome.err.count("\n") == 1
    assert len(list(open_video(out).frames())) == frames


def test_ctrl_c_while_decoding_ends_the_video(model: Path, tmp_path: Path) -> None:
    codec = load_video(model)
    data, shown = coded_frames(codec, 1)
    header, packet = ChunkReader(data).header, next(ChunkReader(data))
    assert isinstance(header, SequenceHeader) and isinstance(packet, Packet)
    coded, out = tmp_path / "a.kdc", tmp_path / "out.y4m"
    with coded.open("wb") as file, ChunkWriter(file, header) as writer:
        for number in range(20_000):
            writer.write(packet.data, [Step(number, refresh=True)])
    process = started(["decode", coded, out, "--model", model], tmp_path / "out.y4m.part", 2000)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    frames = list(open_video(out).frames())
    assert process.returncode == 1 and 1 < len(frames) < 20_000
    assert err == f"kodec: interrupted: {out} has the first {len(frames)} frames\n"
    assert_same(frames[-1:], shown)
    assert sorted(os.listdir(tmp_path)) == ["a.kdc", "out.y4m"]


def test_damage_costs_frames_up_to_the_next_refresh(
    kodec: Cli, model: Path, tmp_path: Path
) -> None:
    data, shown = coded_frames(load_video(model), 9, period=3)
    packets = [item for item in ChunkReader(data) if isinstance(item, Packet)]
    damaged = bytearray(data)
    # That of frames 4 and 5.
    damaged[data.index(packets[3].data)] ^= 1
    coded, out = tmp_path / "a.kdc", tmp_path / "out.y4m"
    coded.write_bytes(damaged)
    assert "checksum" in kodec("decode", coded, out, "--model", model).complaint
    assert not out.exists()
    outcome = kodec("decode", coded, out, "--model", model, "--partial")
    assert outcome.status == 3
    assert outcome.err == "kodec: 2 frames are lost and repeat those before them\n"
    assert_same(list(open_video(out).frames()), [*shown[:4], shown[3], shown[3], *shown[6:]])
    # What is asked for lies before the damage.
    arguments = ["--model", model, "--partial", "--frames", 4]
    assert kodec("decode", coded, tmp_path / "4.y4m", *arguments).status == 0


def test_nothing_to_decode_is_an_error(kodec: Cli, model: Path, tmp_path: Path) -> None:
    data, _ = coded_frames(load_video(model), 1)
    coded, out = tmp_path / "a.kdc", tmp_path / "out.mkv"
    coded.write_bytes(data[:70])
    complaint = kodec("decode", coded, out, "--model", model, "--partial").complaint
    assert complaint == f"{coded}: no frame of it can be decoded"
    coded.write_bytes(data[:20])
    assert kodec("decode", coded, out, "--model", model, "--partial").status == 1
    assert sorted(os.listdir(tmp_path)) == ["a.kdc"]
