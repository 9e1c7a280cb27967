"""Every quality, 0 to 63, on every Kodak picture: does a higher one always mean more and better?

    python benchmarks/quality_ladder.py [--model default] [--pictures N] [--jobs 2]
                                        [--json REPORT.json]

From one quality to the next, a picture's file must not shrink by more than 0.1 %, nor its PSNR fall
by more than 0.02 dB; otherwise the exit status is 1. PSNR is of the encoder's reconstruction, which
benchmarks/kodak.py shows to be what a decoder gives. 1,536 pictures are coded: half an hour or so.

KODEC_DATA names the folder with kodak/. One thread a process.
"""

import functools
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from kodec.codecs import Codec, Picture, load, read_picture
from kodec.eval import find_dataset, psnr
from reporting import heading, parser_of, run, write_report

QUALITIES = tuple(range(64))
SHRINK_SLACK = 0.001
PSNR_SLACK = 0.02
RANGE_NEEDED = (0.1, 1.5)


@dataclass(frozen=True)
class Rung:
    """One picture at one quality."""

    picture: str
    quality: int
    bytes: int
    bpp: float
    psnr: float


@dataclass(frozen=True)
class Step:
    """One picture from one quality to the next."""

    picture: str
    quality: int
    """The lower of the two."""
    growth: float
    """Of the file, as a fraction."""
    psnr_gain: float
    """In dB."""

    @property
    def shrinks(self) -> bool:
        """Whether the file shrinks by more than allowed."""
        return self.growth < -SHRINK_SLACK

    @property
    def worsens(self) -> bool:
        """Whether PSNR falls by more than allowed."""
        return self.psnr_gain < -PSNR_SLACK


@functools.cache
def codec_of(model: str) -> Codec:
    """The model, loaded once a process."""
    torch.set_num_threads(1)
    return load(model)


@functools.lru_cache(maxsize=1)
def picture_of(path: Path) -> Picture:
    """The picture that a process works on."""
    return read_picture(path)


def climb(model: str, path: Path, quality: int) -> Rung:
    """Code one picture; runs in a worker."""
    picture = picture_of(path)
    encoded = codec_of(model).encode_picture(picture, quality)
    height, width = picture.pixels.shape[:2]
    return Rung(
        picture=path.stem,
        quality=quality,
        bytes=len(encoded.data),
        bpp=8 * len(encoded.data) / (width * height),
        psnr=psnr(picture.pixels, encoded.reconstruction.pixels),
    )


def climb_all(model: str, pictures: Sequence[Path], jobs: int) -> list[Rung]:
    """Every picture at every quality, in order, with progress on stderr."""
    tasks = [(picture, quality) for picture in pictures for quality in QUALITIES]
    rungs: list[Rung] = []
    start = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        work = functools.partial(climb, model)
        for rung in pool.map(work, [t[0] for t in tasks], [t[1] for t in tasks], chunksize=8):
            rungs.append(rung)
            if rung.quality == QUALITIES[-1]:
                seconds = time.monotonic() - start
                left = seconds * (len(tasks) / len(rungs) - 1)
                line = f"{rung.picture}: {len(rungs)}/{len(tasks)}, about {left:.0f} s left"
                print(line, file=sys.stderr, flush=True)
    return rungs


def steps_of(rungs: Sequence[Rung]) -> list[Step]:
    """The steps between a picture's neighbouring qualities."""
    return [
        Step(low.picture, low.quality, high.bytes / low.bytes - 1, high.psnr - low.psnr)
        for low, high in zip(rungs[:-1], rungs[1:], strict=True)
        if low.picture == high.picture
    ]


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--pictures", type=int, help="only the first N")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    pictures = find_dataset("kodak")[: options.pictures]
    codec = codec_of(options.model)
    codec.check_quality(QUALITIES[-1])
    rungs = climb_all(options.model, pictures, options.jobs)
    steps = steps_of(rungs)
    shrinking = [step for step in steps if step.shrinks]
    worsening = [step for step in steps if step.worsens]
    least_growth = min(steps, key=lambda step: step.growth)
    least_gain = min(steps, key=lambda step: step.psnr_gain)
    ladder = [
        {
            "quality": quality,
            "bpp": float(np.mean([r.bpp for r in rungs if r.quality == quality])),
            "psnr": float(np.mean([r.psnr for r in rungs if r.quality == quality])),
        }
        for quality in QUALITIES
    ]
    low, high = ladder[0], ladder[-1]
    in_range = low["bpp"] <= RANGE_NEEDED[0] and high["bpp"] >= RANGE_NEEDED[1]

    print(heading(codec, len(pictures)))
    print("quality      bpp     PSNR  (means)")
    for rung in ladder[::9]:
        print(f"{rung['quality']:7d} {rung['bpp']:8.4f} {rung['psnr']:8.3f}")
    print(
        f"file shrinks by more than {SHRINK_SLACK:.1%} in {len(shrinking)} of {len(steps)} steps; "
        f"least growth {least_growth.growth:+.3%} ({least_growth.picture}, quality "
        f"{least_growth.quality} to {least_growth.quality + 1})"
    )
    print(
        f"PSNR falls by more than {PSNR_SLACK} dB in {len(worsening)} of {len(steps)} steps; "
        f"least gain {least_gain.psnr_gain:+.4f} dB ({least_gain.picture}, quality "
        f"{least_gain.quality} to {least_gain.quality + 1})"
    )
    print(
        f"range {low['bpp']:.4f} to {high['bpp']:.4f} bpp on average "
        f"(needed: {RANGE_NEEDED[0]} to {RANGE_NEEDED[1]})"
    )
    missed = [
        name
        for name, bad in (("bytes", shrinking), ("PSNR", worsening), ("range", not in_range))
        if bad
    ]
    held = not missed
    print("all held" if held else f"FAILED: {', '.join(missed)}")
    report = {
        "pictures": len(pictures),
        "held": held,
        "range_bpp": [low["bpp"], high["bpp"]],
        "least_growth": asdict(least_growth),
        "least_psnr_gain": asdict(least_gain),
        "shrinking": [asdict(step) for step in shrinking],
        "worsening": [asdict(step) for step in worsening],
        "ladder": ladder,
        "rungs": [asdict(rung) for rung in rungs],
    }
    write_report(options.json, codec, report, indent=1)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "quality_ladder.py")
