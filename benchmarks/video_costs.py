"""Tables of `video.py`: bytes of a frame beside its coded bits, growth of memory, rates met."""

import argparse
import ctypes
import io
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from container import resident
from kodec.codecs import ChunkReader, ChunkWriter, ModelInfo, Packet
from kodec.codecs.container.varint import read_varint
from kodec.codecs.sequences.rate_control import RateControl, Spent
from kodec.codecs.sequences.video_codec import VideoCodec, load_video
from kodec.codecs.sequences.video_encoder import Coding
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import frame_of_rgb
from kodec.codecs.video_files.video import Video
from kodec.commands.usage import model_qualities, size
from kodec.commands.video_demo import texture
from kodec.eval import find_dataset, open_video
from kodec.eval.metrics.metric_set import measure_frame
from kodec.native import KodecError
from small_loops import small_model

MOST_BYTES = 12.0
"""Of a frame beside its coded bits."""
GROWTH = 32 * 2**20
"""Bytes that memory may grow by after the first group of frames, whatever their number."""
DRIFT = 0.5
"""dB that a frame may be behind an earlier one which shows the same."""
GROUP = 32
"""Frames after which memory must have come to rest."""
YUV = "psnr-yuv-611"
ALLOWED = {1: 0.05, 2: 0.02}
"""How far from a rate a file may be, by passes."""


def add_to(tables: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of these tables."""
    frames = tables.add_parser("frames", help="bytes of a frame beside its coded bits")
    frames.add_argument("--model", default="small", help="or `small`, an untrained closed loop")
    frames.add_argument("--quality", type=int, default=0)
    frames.add_argument("--frames", type=int, help="only the first N")
    frames.set_defaults(measure=frame_bytes)
    memory = tables.add_parser("memory", help="growth of memory over a long sequence")
    memory.add_argument("--size", type=size, default=(416, 240))
    memory.add_argument("--frames", type=int, default=10_000)
    memory.add_argument("--seconds", type=float, default=1e9, help="of either side, at most")
    memory.add_argument("--coded", type=int, help="frames to code; the file then repeats them")
    memory.set_defaults(measure=memory_growth)
    drift = tables.add_parser("drift", help="quality of a long clip of a camera that stands still")
    drift.add_argument("--model", default="video")
    drift.add_argument("--qualities", type=model_qualities, default=[16, 32, 48])
    drift.add_argument("--size", type=size, default=(176, 144))
    drift.add_argument("--frames", type=int, default=301)
    drift.set_defaults(measure=drifts)
    rates = tables.add_parser("rates", help="how near to a rate files come")
    rates.add_argument("--model", default="default")
    rates.add_argument("--qualities", type=model_qualities, default=[16, 40], help="give the rates")
    rates.add_argument("--crop", type=size, default=(176, 144), help="the middle of each frame")
    rates.add_argument("--frames", type=int, help="only the first N")
    rates.set_defaults(measure=rates_met)


def small_codec(kind: str = "scale-space", **arguments: int) -> VideoCodec:
    """An untrained closed loop."""
    torch.set_num_threads(1)
    model = small_model(kind, gain=(1.0, 4.0), **arguments)
    return VideoCodec(model, ModelInfo("small", {}, bytes(8)))


def codec_of(name: str) -> VideoCodec:
    """The one that `--model` names."""
    torch.set_num_threads(1)
    return small_codec() if name == "small" else load_video(name)


def test_clips(frames: int | None = None) -> list[Video]:
    """The clips in video_test/."""
    root = os.environ.get("KODEC_DATA")
    if root is None:
        raise KodecError("KODEC_DATA names no folder: set it to the one with video_test/")
    paths = find_dataset(str(Path(root) / "video_test"), kind="video")
    return [open_video(path, limit=frames) for path in paths]


def foreman(frames: int | None = None) -> Video:
    """The clip of 176x144."""
    return next(clip for clip in test_clips(frames) if clip.path.name.startswith("foreman"))


def stream_parts(stream: bytes) -> dict[str, int]:
    """Bytes of a coder stream of one segment: its header with both checksums, its lanes' states at
    the end, and the rest, which are the symbols."""
    kind = stream[0]
    lanes = (0, 1, 4, 8, 16, 32)[kind >> 2 & 7]
    fields = 1 + 2 * (lanes > 0) + (kind >> 5 & 1) + (kind >> 6 & 1)
    position = 1
    for _ in range(fields):
        _, position = read_varint(stream, position)
    header = position + 8
    # Four bits say how long a state is, and 16 of its bits carry nothing.
    states = -(-20 * lanes // 8)
    return {"stream header": header, "lanes": states, "symbols": len(stream) - header - states}


def frame_bytes(options: argparse.Namespace) -> bool:
    """Code foreman and take every packet that is no refresh apart."""
    codec, clip = codec_of(options.model), foreman(options.frames)
    file = io.BytesIO()
    with codec.encoder(file, clip.form, Coding(options.quality, scene_cuts=False)) as encoder:
        for frame in clip.frames():
            encoder.push(frame)
    data = file.getvalue()
    parts: dict[str, int] = {}
    packets = [item for item in ChunkReader(data) if isinstance(item, Packet)]
    frames, carried = 0, 0
    for packet in packets:
        carried += len(packet.data)
        if packet.steps[0].refresh and len(packets) > 1 and packet.number == 0:
            continue
        frames += sum(step.frames for step in packet.steps)
        for name, count in stream_parts(packet.data).items():
            parts[name] = parts.get(name, 0) + count
    # What frames them in the file: the whole but head, index and end, measured by their own sizes.
    head = min(data.index(packet.data) for packet in packets[:1])
    around = len(data) - carried - head
    parts["packet, step, index, end"] = around
    print(f"{clip.path.name}, quality {options.quality}, model {codec.name}: {len(data)} bytes,")
    print(f"{len(packets)} packets, {frames} frames after the first packet's\n")
    print(f"{'part':26s} {'bytes':>8s} {'a frame':>8s}")
    for name, count in parts.items():
        print(f"{name:26s} {count:8d} {count / frames:8.2f}")
    beside = (parts["packet, step, index, end"] + parts["stream header"]) / frames
    print(f"\nframing: {beside:.2f} bytes a frame, allowed {MOST_BYTES:g}")
    return beside <= MOST_BYTES


def made_frames(form: VideoFormat, count: int) -> Iterator[Frame]:
    """Waves that pass, made one by one."""
    waves = [np.add.outer(0.05 * np.arange(h), 0.03 * np.arange(w)) for h, w in form.plane_shapes]
    for number in range(count):
        yield tuple((120 + 60 * np.sin(wave + 0.1 * number)).astype(np.uint8) for wave in waves)


def repeated(coded: BinaryIO, file: BinaryIO, frames: int) -> None:
    """Write the groups of a file again and again, until there are so many frames."""
    reader = ChunkReader(coded)
    packets = [item for item in reader if isinstance(item, Packet)]
    period = sum(step.frames for packet in packets for step in packet.steps)
    with ChunkWriter(file, reader.header) as writer:
        for first in range(0, frames, period):
            for packet in packets:
                steps = [replace(step, first=first + step.first) for step in packet.steps]
                writer.write(packet.data, steps)


def handed_back() -> None:
    """Give the system what the allocator holds free: 20 to 100 MB, as it happens, of frames that
    are gone."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def memory_growth(options: argparse.Namespace) -> bool:
    """Code a sequence to a file and back, watching the process."""
    width, height = options.size
    form = VideoFormat(width, height, "420", 8, Fraction(25))
    codec = small_codec(width=4, latents=4, hyper=4, levels=1)
    print(f"{width}x{height}, closed loop of width 4, a refresh every {GROUP} frames")
    print("at first, growth: without what the allocator holds free; peak: with it\n")
    titles = "frames", "seconds", "at first, MB", "growth, MB", "peak, MB"
    print(f"{'side':8s} " + " ".join(f"{title:>12s}" for title in titles))
    held = True
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as longer:

        def encoded() -> Iterator[None]:
            with codec.encoder(file, form, Coding(intra_period=GROUP)) as encoder:
                for frame in made_frames(form, options.coded or options.frames):
                    encoder.push(frame)
                    yield

        def decoded() -> Iterator[None]:
            file.seek(0)
            if options.coded:
                repeated(file, longer, options.frames)
                longer.seek(0)
            reader = ChunkReader(longer if options.coded else file, damaged="keep")
            for _ in codec.decoder(reader):
                yield

        for side, work in (("encode", encoded), ("decode", decoded)):
            first = most = peak = frames = 0
            start = time.perf_counter()
            for _ in work():
                frames += 1
                if frames % GROUP == 0:
                    peak = max(peak, resident())
                    handed_back()
                    most = max(most, resident())
                    first = first or most
                if time.perf_counter() - start > options.seconds:
                    break
            seconds = time.perf_counter() - start
            growth = most - first
            figures = first / 1e6, growth / 1e6, peak / 1e6
            shown = " ".join(f"{figure:12.1f}" for figure in figures)
            print(f"{side:8s} {frames:12d} {seconds:12.0f} {shown}", flush=True)
            held = held and growth <= GROWTH and frames >= 2 * GROUP
    return held


def cropped(clip: Video, width: int, height: int) -> Video:
    """The middle of each frame, of even sides in even places."""
    form = replace(
        clip.form, width=min(width, clip.form.width), height=min(height, clip.form.height)
    )
    down, across = form.steps
    top, left = (clip.form.height - form.height) // 4 * 2, (clip.form.width - form.width) // 4 * 2

    def read(start: int) -> Iterator[tuple[Frame, Fraction | None]]:
        for frame, seconds in clip.read(start):
            planes = []
            for number, (rows, columns) in enumerate(form.plane_shapes):
                y, x = (top, left) if number == 0 else (top // down, left // across)
                planes.append(np.ascontiguousarray(frame[number][y : y + rows, x : x + columns]))
            yield tuple(planes), seconds

    return replace(clip, form=form, read=read)


def coded_size(codec: VideoCodec, frames: list[Frame], form: VideoFormat, coding: Coding) -> int:
    """Bytes of a whole file."""
    file = io.BytesIO()
    with codec.encoder(file, form, coding) as encoder:
        for frame in frames:
            encoder.push(frame)
    return len(file.getvalue())


def watched_frames(form: VideoFormat, count: int) -> Iterator[Frame]:
    """A ground that stands still, noise of two grey levels, and a disc that goes round in 30."""
    rng = np.random.default_rng(6)
    height, width = form.height, form.width
    ground, disc = texture(rng, height, width), texture(rng, height, width)[::-1]
    rows, columns = np.mgrid[:height, :width]
    for number in range(count):
        turn = 2 * np.pi * number / 30
        down, right = (0.5 + 0.25 * np.array([np.sin(turn), np.cos(turn)])) * (height, width)
        inside = np.clip(height / 8 + 0.5 - np.hypot(rows - down, columns - right), 0, 1)[..., None]
        x = ground + inside * (disc - ground) + rng.standard_normal(ground.shape) * 2 / 255
        x = np.ascontiguousarray(x.clip(0, 1).transpose(2, 0, 1)).astype(np.float32)
        yield frame_of_rgb(x, form)


def drifts(options: argparse.Namespace) -> bool:
    """PSNR-YUV 6:1:1 of frames 30 apart in what they show, with one keyframe."""
    codec = codec_of(options.model)
    width, height = options.size
    form = VideoFormat(width, height, "420", 8, Fraction(25))
    at = [n for n in (30, 60, 120, 180, 240, 300) if n < options.frames]
    print(f"model {codec.name}, {width}x{height}, {options.frames} frames\n")
    print(f"{'quality':>7s} {'bytes':>9s} " + " ".join(f"frame {n:4d}" for n in at))
    held = True
    for quality in options.qualities:
        file = io.BytesIO()
        values: list[float] = []
        with codec.encoder(
            *(file, form, Coding(quality, scene_cuts=False)),
            on_step=lambda coded: values.extend(
                measure_frame(a, b, form, [YUV])[YUV]
                for a, b in zip(coded.sources, coded.shown, strict=True)
            ),
        ) as encoder:
            for frame in watched_frames(form, options.frames):
                encoder.push(frame)
        shown = " ".join(f"{values[n]:10.2f}" for n in at)
        print(f"{quality:7d} {len(file.getvalue()):9d} {shown}", flush=True)
        held &= values[at[-1]] >= values[at[0]] - DRIFT
    return held


def rates_met(options: argparse.Namespace) -> bool:
    """Ask for rates a tenth below those of two qualities, which no quality has.

    Of each pass: how far the file is from the rate, how many steps were coded again, and from
    which quality to which they are.
    """
    codec = codec_of(options.model)
    print(f"model {codec.name}, the middle {options.crop[0]}x{options.crop[1]} of each clip\n")
    print(f"{'clip':28s} {'frames':>6s} {'kbit/s':>8s}  {'one pass':28s} two passes")
    worst = dict.fromkeys(ALLOWED, 0.0)
    for clip in test_clips(options.frames):
        clip = cropped(clip, *options.crop)
        frames, form = list(clip.frames()), clip.form
        for quality in options.qualities:
            fps = float(form.fps)
            bits = 0.9 * 8 * coded_size(codec, frames, form, Coding(quality)) / len(frames)
            shown = ""
            first: list[Spent] = []
            for passes in ALLOWED:
                control = RateControl(bits, fps, len(frames), first)
                size_ = coded_size(codec, frames, form, Coding(control=control))
                first = control.steps
                missed = 8 * size_ / (bits * len(frames)) - 1
                worst[passes] = max(worst[passes], abs(missed))
                qualities = [spent.quality for spent in control.steps]
                again = control.tries - len(qualities)
                range_ = f"{min(qualities)}-{max(qualities)}"
                shown += f"{100 * missed:+7.2f} %, {again:2d} again, {range_:6s}"
            name = clip.path.stem[:28]
            print(f"{name:28s} {len(frames):6d} {bits * fps / 1000:8.1f} {shown}", flush=True)
    for passes, most in ALLOWED.items():
        print(f"{passes} pass(es): {100 * worst[passes]:.2f} % at most, allowed {100 * most:g} %")
    return all(worst[passes] <= most for passes, most in ALLOWED.items())
