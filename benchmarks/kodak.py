"""The default model on the 24 Kodak pictures, through real files.

    python benchmarks/kodak.py [--model default] [--qualities 4,16,28,40,52] [--jobs 2]
                               [--results RESULTS.json] [--json REPORT.json]

Every picture is encoded to a file in a temporary folder; other processes, which know the encoder's
reconstruction by its hash alone, decode the files. Must hold, or the exit status is 1: the decoded
pixels are the encoder's reconstruction, every one; each file is within 1 % + 64 bytes of the
model's own estimate of its bits. Reported: bpp, PSNR, MS-SSIM, and BD-rate against VTM.

KODEC_DATA names the folder with kodak/ and results/. One thread a process.
"""

import functools
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs import Codec, load, read_picture, write_atomically
from kodec.eval import (
    BDResult,
    ImageRow,
    Results,
    bd_rate,
    describe,
    describe_machine,
    find_dataset,
    ms_ssim,
    psnr,
    read_results,
    write_results,
)
from reporting import heading, parser_of, run, write_report

ANCHOR = "results/compressai/image/kodak/vtm.json"
METRICS = ("psnr-rgb", "ms-ssim-rgb")
RELATIVE_SLACK, BYTES_SLACK = 0.01, 64

Result = TypeVar("Result")


@dataclass(frozen=True)
class Written:
    """One file, and what its encoder knows about it."""

    picture: Path
    file: Path
    quality: int
    bytes: int
    estimated_bytes: float
    reconstruction: str
    seconds: float

    @property
    def excess(self) -> float:
        """Bytes of the file above the estimate; negative below."""
        return self.bytes - self.estimated_bytes

    @property
    def allowance_used(self) -> float:
        """The difference as a fraction of what is allowed."""
        return abs(self.excess) / (RELATIVE_SLACK * self.estimated_bytes + BYTES_SLACK)


@dataclass(frozen=True)
class Decoded:
    """What a decoder made of one file."""

    identical: bool
    row: ImageRow


@functools.cache
def codec_of(model: str) -> Codec:
    """The model, loaded once a process."""
    torch.set_num_threads(1)
    return load(model)


def pixels_hash(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of shape and samples."""
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def encode_one(model: str, folder: Path, picture: Path, quality: int) -> Written:
    """Write one file; runs in a worker."""
    codec = codec_of(model)
    source = read_picture(picture)
    start = time.perf_counter()
    encoded = codec.encode_picture(source, quality)
    seconds = time.perf_counter() - start
    file = folder / f"{picture.stem}-{quality}.kdc"
    write_atomically(file, encoded.data)
    estimated = sum(codec.estimate_bits(source, quality).values()) / 8
    reconstruction = pixels_hash(encoded.reconstruction.pixels)
    return Written(picture, file, quality, file.stat().st_size, estimated, reconstruction, seconds)


def decode_one(model: str, written: Written) -> Decoded:
    """Read one file; runs in a worker that has encoded nothing."""
    codec = codec_of(model)
    start = time.perf_counter()
    pixels = codec.decode_picture(written.file.read_bytes()).pixels
    seconds = time.perf_counter() - start
    source = read_picture(written.picture).pixels
    height, width = source.shape[:2]
    row = ImageRow(
        image=written.picture.name,
        quality=written.quality,
        width=width,
        height=height,
        bytes=written.bytes,
        bpp=8 * written.bytes / (width * height),
        metrics={"psnr-rgb": psnr(source, pixels), "ms-ssim-rgb": ms_ssim(source, pixels)},
        encoding_time=written.seconds,
        decoding_time=seconds,
    )
    return Decoded(pixels_hash(pixels) == written.reconstruction, row)


def in_processes(
    label: str, jobs: int, work: Callable[..., Result], *items: Sequence[object]
) -> list[Result]:
    """`work` on every item in `jobs` fresh processes, in order, with progress on stderr."""
    results: list[Result] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for result in pool.map(work, *items):
            results.append(result)
            print(f"\r{label} {len(results)}/{len(items[0])}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def results_of(name: str, decoded: Sequence[Decoded], qualities: Sequence[int]) -> Results:
    """The curve: means over the pictures, one point a quality."""
    rows = [one.row for one in decoded]
    points = [[row for row in rows if row.quality == quality] for quality in qualities]
    columns: dict[str, list[float]] = {
        "bpp": [mean(row.bpp for row in point) for point in points],
        **{m: [mean(row.metrics[m] for row in point) for point in points] for m in METRICS},
        "encoding_time": [mean(row.encoding_time for row in point) for point in points],
        "decoding_time": [mean(row.decoding_time for row in point) for point in points],
    }
    return Results(
        name=name,
        description="benchmarks/kodak.py: means over the pictures, sizes of whole files",
        results=columns,
        quality=list(qualities),
        per_image=[row for point in points for row in point],
        machine=describe_machine(),
        notes=["times are of one thread, with other processes at work beside it"],
    )


def mean(numbers: Iterable[float]) -> float:
    """The arithmetic mean."""
    return float(np.mean(list(numbers)))


def bd_rates(results: Results, anchor: Results) -> list[BDResult]:
    """Against the anchor, in PSNR and in MS-SSIM on its decibel scale; needs two qualities."""
    if len(results.quality) < 2:
        return []
    metrics = ("psnr-rgb", "ms-ssim-db-rgb")
    return [bd_rate(results.curve(metric), anchor.curve(metric)) for metric in metrics]


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--qualities", default="4,16,28,40,52")
    parser.add_argument("--pictures", type=int, help="only the first N")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--results", type=Path, help="write the curve, CompressAI's schema")
    parser.add_argument("--json", type=Path, help="write the checks")
    options = parser.parse_args()
    qualities = [int(quality) for quality in options.qualities.split(",")]
    pictures = find_dataset("kodak")[: options.pictures]
    anchor = read_results(Path(os.environ["KODEC_DATA"]) / ANCHOR)
    codec = codec_of(options.model)

    tasks = [(picture, quality) for picture in pictures for quality in qualities]
    with tempfile.TemporaryDirectory(prefix="kodec-kodak-") as folder:
        encode = functools.partial(encode_one, options.model, Path(folder))
        sources, steps = [task[0] for task in tasks], [task[1] for task in tasks]
        written = in_processes("encoded", options.jobs, encode, sources, steps)
        decode = functools.partial(decode_one, options.model)
        decoded = in_processes("decoded", options.jobs, decode, written)

    results = results_of(codec.name, decoded, qualities)
    differing = [one.row for one in decoded if not one.identical]
    worst = max(written, key=lambda one: one.allowance_used)
    largest = max(written, key=lambda one: one.excess / one.estimated_bytes)
    percent = [100 * one.excess / one.estimated_bytes for one in written]
    rates = bd_rates(results, anchor)

    print(heading(codec, len(pictures)))
    print("quality      bpp     PSNR   MS-SSIM")
    for i, quality in enumerate(qualities):
        columns = [results.results[key][i] for key in ("bpp", *METRICS)]
        print(f"{quality:7d} {columns[0]:8.4f} {columns[1]:8.3f} {columns[2]:9.5f}")
    for rate in rates:
        print(f"against {rate.anchor}: {describe(rate)}")
    print(f"decoded pixels are the encoder's: {len(decoded) - len(differing)} of {len(decoded)}")
    print(
        f"file above estimate: mean {mean(percent):+.3f} %, most {max(percent):+.3f} % "
        f"({largest.file.stem}: {largest.bytes} against {largest.estimated_bytes:.0f} bytes), "
        f"least {min(percent):+.3f} %; at worst {100 * worst.allowance_used:.0f} % of the "
        f"allowed 1 % + {BYTES_SLACK} bytes ({worst.file.stem})"
    )
    held = not differing and worst.allowance_used <= 1
    print("all held" if held else f"FAILED ({len(differing)} pictures differ)")

    if options.results:
        write_results(results, options.results)
    report = {
        "pictures": len(pictures),
        "points": {"quality": qualities, **results.results},
        "held": held,
        "files": len(decoded),
        "files_decoded_identically": len(decoded) - len(differing),
        "excess_percent": {"mean": mean(percent), "most": max(percent), "least": min(percent)},
        "worst_fraction_of_allowance": worst.allowance_used,
        "bd_rate": [{**asdict(rate), "in_words": describe(rate)} for rate in rates],
        "estimates": [
            {"file": one.file.stem, "bytes": one.bytes, "estimated": one.estimated_bytes}
            for one in written
        ],
    }
    write_report(options.json, codec, report)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "kodak.py")
