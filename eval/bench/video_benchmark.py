"""How many frames a second a model of sequences codes, and where the time goes."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.eval.running.checked_video import CheckedVideoCodec
from kodec.eval.running.machine import describe_machine
from kodec.eval.running.run import Progress
from kodec.eval.sources.source import VideoSource
from kodec.native import InvalidInputError

from .bench_report import BenchReport
from .race import Contestant, Race, Spread, threads_of
from .video_stages import VIDEO_STAGES, time_video_stages


@dataclass(frozen=True)
class VideoRow:
    """One quality; from the video file to coded bytes in memory, and back to frames."""

    quality: int | None
    frames: int
    bytes: int
    bpp: float
    encode: Spread
    """Frames a second."""
    decode: Spread
    stages: dict[str, dict[str, float]]
    """By direction and stage (`VIDEO_STAGES`), medians of seconds of runs of their own over all
    frames."""


@dataclass(frozen=True)
class VideoReport(BenchReport):
    """What `bench_video` measured, and on what."""

    benchmark = "video"

    model: str
    model_id: str
    video: str
    rows: tuple[VideoRow, ...]


def bench_video(
    codec: VideoCodec,
    source: VideoSource,
    qualities: Sequence[int | None] = (None,),
    structure: Structure | None = None,
    repeats: int = 3,
    threads: int = 1,
    progress: Progress | None = None,
) -> VideoReport:
    """Measure a codec on one sequence, at each quality.

    structure: None for the model's own. repeats: timed runs, after one that is not timed. threads:
    of torch and of the coder; 1 measures the thread's CPU time, more wall-clock time.

    Every decoded frame is compared with the encoder's reconstruction: MismatchError where they
    differ. Raises InvalidInputError for arguments out of range, and as reading the source does.
    """
    if not qualities:
        raise InvalidInputError("name a quality to measure")
    race = Race(repeats, threads, len(qualities), progress)
    form = source.open().form
    count = sum(1 for _ in source.open().frames())
    rows: list[VideoRow] = []
    with threads_of(threads, threads), tempfile.TemporaryDirectory(prefix="kodec-") as folder:
        for asked in qualities:
            quality = codec.check_quality(asked)
            one = _contestant(CheckedVideoCodec(codec, structure), source, quality, count)
            race.run(f"quality {quality}", [one])
            data: bytes = one.results["encode"]
            runs = [
                time_video_stages(codec, source, data, Path(folder), race.clock)
                for _ in range(repeats)
            ]
            rows.append(
                VideoRow(
                    quality=quality,
                    frames=count,
                    bytes=len(data),
                    bpp=8 * len(data) / (form.width * form.height * count),
                    encode=_frames_per_second(one, "encode", count),
                    decode=_frames_per_second(one, "decode", count),
                    stages={
                        verb: {
                            stage: float(np.median([run[verb][stage] for run in runs]))
                            for stage in VIDEO_STAGES
                        }
                        for verb in ("encode", "decode")
                    },
                )
            )
        machine = describe_machine()
    race.done()
    settings: dict[str, Any] = {
        **{"repeats": repeats, "threads": threads, "clock": race.clock_name},
        **{"width": form.width, "height": form.height, "pixels": form.pixel_format},
        "structure": CheckedVideoCodec(codec, structure).structure.name,
    }
    model_id = codec.info.model_id.hex()
    return VideoReport(machine, settings, codec.name, model_id, source.path.name, tuple(rows))


def _contestant(
    codec: CheckedVideoCodec, source: VideoSource, quality: int | None, count: int
) -> Contestant:
    def encode(_: object) -> bytes:
        video = source.open()
        return codec.encode_sequence(video.frames(), video.form, quality)

    def decode(data: bytes) -> int:
        return sum(1 for _ in codec.decode_sequence(data))

    steps = {"encode": encode, "decode": decode}
    return Contestant(f"kodec {codec.name}", steps, lambda frames: bool(frames == count))


def _frames_per_second(one: Contestant, step: str, count: int) -> Spread:
    seconds = one.spread(step)
    return Spread(count / seconds.median, count / seconds.most, count / seconds.least)
