"""How long whole pictures take, where the time goes, and what memory they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kodec.codecs import Codec, Picture
from kodec.codecs.peak_memory import PeakMemory
from kodec.eval.running.machine import describe_machine
from kodec.eval.running.run import Progress
from kodec.native import InvalidInputError

from .bench_report import BenchReport
from .compressai_models import CompressAIModel, coded_bytes, published
from .race import Contestant, Pixels, Race, Ratio, Spread, threads_of
from .stages import STAGES, time_stages

PEER = "bmshj2018-hyperprior"
"""CompressAI's model that takes part where a peer is asked for."""


@dataclass(frozen=True)
class PictureRow:
    """One codec on one picture at one quality; seconds from pixels in memory to bytes and back."""

    codec: str
    picture: str
    width: int
    height: int
    quality: int | None
    bytes: int
    bpp: float
    encode: Spread
    decode: Spread
    encode_ratio: Ratio | None
    """How many times as fast as the peer; None without one."""
    decode_ratio: Ratio | None
    stages: dict[str, dict[str, float]]
    """By direction and stage (`STAGES`), medians of seconds of runs of their own; none of peers."""
    peak_memory: dict[str, int]
    """By direction, bytes of the whole process, the loaded model included; none of peers."""


@dataclass(frozen=True)
class PictureReport(BenchReport):
    """What `bench_pictures` measured, and on what."""

    benchmark = "picture"

    model: str
    model_id: str
    rows: tuple[PictureRow, ...]


def bench_pictures(
    codec: Codec,
    pictures: Sequence[tuple[str, Pixels]],
    qualities: Sequence[int | None] = (None,),
    repeats: int = 5,
    threads: int = 1,
    peer: bool = False,
    progress: Progress | None = None,
) -> PictureReport:
    """Measure a codec on pictures, at each quality.

    pictures: names and pixels, uint8 (H, W, C). repeats: timed runs of everything in turn, after
    one that is not timed. threads: of torch and of the coder; 1 measures the thread's CPU time,
    more wall-clock time. peer: whether CompressAI's model takes part, with random weights.

    Every decoded picture is compared with the encoder's reconstruction: KodecError where they
    differ. Raises InvalidInputError for arguments that are out of range.
    """
    if not pictures or not qualities:
        raise InvalidInputError("name a picture to measure, and a quality")
    if peer and any(pixels.shape[2] != 3 for _, pixels in pictures):
        raise InvalidInputError("the peer codes RGB pictures: leave gray ones out, or the peer")
    race = Race(repeats, threads, len(pictures), progress)
    asked = [codec.check_quality(quality) for quality in qualities]
    rows: list[PictureRow] = []
    with threads_of(threads, threads):
        # Before there is a peer, whose memory would count too.
        memory = [[_peaks(codec, pixels, quality) for quality in asked] for _, pixels in pictures]
        network = published(PEER) if peer else None
        beside = None if network is None else CompressAIModel(network)
        for (name, pixels), peaks in zip(pictures, memory, strict=True):
            ours = [_ours(codec, pixels, quality) for quality in asked]
            theirs = None if beside is None else beside.contestant(f"CompressAI {PEER}", pixels)
            race.run(name, [*ours, *([theirs] if theirs else [])])
            for one, quality, peak in zip(ours, asked, peaks, strict=True):
                runs = [time_stages(codec, pixels, quality, race.clock) for _ in range(repeats)]
                stages = {
                    verb: {s: float(np.median([run[verb][s] for run in runs])) for s in STAGES}
                    for verb in ("encode", "decode")
                }
                rows.append(_row(one, name, pixels, quality, theirs, stages, peak))
            if theirs is not None:
                rows.append(_row(theirs, name, pixels, None, theirs, {}, {}))
        machine = describe_machine()
    race.done()
    settings = {"repeats": repeats, "threads": threads, "clock": race.clock_name}
    model_id = codec.info.model_id.hex()
    return PictureReport(machine, settings, codec.name, model_id, tuple(rows))


def _peaks(codec: Codec, pixels: Pixels, quality: int | None) -> dict[str, int]:
    memory = PeakMemory()
    memory.restart()
    data = codec.encode(pixels, quality)
    encoding = memory.read()
    memory.restart()
    codec.decode(data)
    return {"encode": encoding, "decode": memory.read()}


def _ours(codec: Codec, pixels: Pixels, quality: int | None) -> Contestant:
    expected = codec.encode_picture(Picture(pixels), quality).reconstruction.pixels
    steps = {"encode": lambda _: codec.encode(pixels, quality), "decode": codec.decode}
    return Contestant(f"kodec {codec.name}", steps, partial(np.array_equal, expected))


def _row(
    one: Contestant,
    picture: str,
    pixels: Pixels,
    quality: int | None,
    peer: Contestant | None,
    stages: dict[str, dict[str, float]],
    memory: dict[str, int],
) -> PictureRow:
    height, width, _ = pixels.shape
    size = coded_bytes(one.results["encode"])
    return PictureRow(
        codec=one.name,
        picture=picture,
        width=width,
        height=height,
        quality=quality,
        bytes=size,
        bpp=8 * size / (width * height),
        encode=one.spread("encode"),
        decode=one.spread("decode"),
        encode_ratio=one.times_as_fast("encode", peer),
        decode_ratio=one.times_as_fast("decode", peer),
        stages=stages,
        peak_memory=memory,
    )
