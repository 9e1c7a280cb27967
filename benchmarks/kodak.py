"""What a model's files on the Kodak pictures hold to: exact decoding, sizes as estimated, quality.

    python benchmarks/kodak.py [--model default] [--qualities 4,16,28,40,52] [--pictures N]
                               [--jobs 2] [--json REPORT.json]
    python benchmarks/kodak.py --qualities all --pictures 8

Every picture is encoded to a file in a temporary folder; other processes, which know the encoder's
reconstruction by its hash alone, decode the files. Must hold, or the exit status is 1: the decoded
pixels are the encoder's reconstruction, every one; each file is within 1 % + 64 bytes of the
model's own estimate of its bits; from one quality to the next (`all`: 0 to 63) a picture's file
does not shrink by more than 0.1 %, nor its PSNR fall by more than 0.02 dB. The curve itself is
`kodec eval`'s.

KODEC_DATA names the folder with kodak/. One thread a process.
"""

import functools
import hashlib
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs import Codec, load, read_plain_picture, write_atomically
from kodec.eval import find_dataset, psnr
from reporting import heading, parser_of, run, write_report

RELATIVE_SLACK, BYTES_SLACK = 0.01, 64
SHRINK_SLACK, PSNR_SLACK = 0.001, 0.02

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
    bpp: float
    psnr: float

    @property
    def excess(self) -> float:
        """Of the file above the estimate, as a fraction of this; negative below."""
        return self.bytes / self.estimated_bytes - 1

    @property
    def allowance_used(self) -> float:
        """The difference as a fraction of what is allowed."""
        allowed = RELATIVE_SLACK * self.estimated_bytes + BYTES_SLACK
        return abs(self.bytes - self.estimated_bytes) / allowed


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
    source = read_plain_picture(picture)
    height, width = source.pixels.shape[:2]
    encoded = codec.encode_picture(source, quality)
    file = folder / f"{picture.stem}-{quality}.kdc"
    write_atomically(file, encoded.data)
    pixels = encoded.reconstruction.pixels
    return Written(
        picture=picture,
        file=file,
        quality=quality,
        bytes=len(encoded.data),
        estimated_bytes=sum(codec.estimate_bits(source, quality).values()) / 8,
        reconstruction=pixels_hash(pixels),
        bpp=8 * len(encoded.data) / (width * height),
        psnr=psnr(source.pixels, pixels),
    )


def decodes_alike(model: str, written: Written) -> bool:
    """Read one file; runs in a worker that has encoded nothing."""
    pixels = codec_of(model).decode_picture(written.file.read_bytes()).pixels
    return pixels_hash(pixels) == written.reconstruction


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


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--qualities", default="4,16,28,40,52", help="rising, or all")
    parser.add_argument("--pictures", type=int, help="only the first N")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    asked = range(64) if options.qualities == "all" else map(int, options.qualities.split(","))
    qualities = sorted(set(asked))
    pictures = find_dataset("kodak")[: options.pictures]
    codec = codec_of(options.model)
    codec.check_quality(qualities[-1])

    tasks = [(picture, quality) for picture in pictures for quality in qualities]
    with tempfile.TemporaryDirectory(prefix="kodec-kodak-") as folder:
        encode = functools.partial(encode_one, options.model, Path(folder))
        sources, at = [task[0] for task in tasks], [task[1] for task in tasks]
        written = in_processes("encoded", options.jobs, encode, sources, at)
        decode = functools.partial(decodes_alike, options.model)
        alike = in_processes("decoded", options.jobs, decode, written)

    worst = max(written, key=lambda one: one.allowance_used)
    excess = [100 * one.excess for one in written]
    steps = [(low, high) for low, high in pairwise(written) if low.picture == high.picture]
    growth = [high.bytes / low.bytes - 1 for low, high in steps]
    gain = [high.psnr - low.psnr for low, high in steps]
    shrinking = sum(value < -SHRINK_SLACK for value in growth)
    worsening = sum(value < -PSNR_SLACK for value in gain)

    print(heading(codec, len(pictures)))
    print("quality      bpp     PSNR  (means)")
    for quality in qualities[:: max(1, len(qualities) // 8)]:
        same = [one for one in written if one.quality == quality]
        rate, level = (np.mean([getattr(one, key) for one in same]) for key in ("bpp", "psnr"))
        print(f"{quality:7d} {rate:8.4f} {level:8.3f}")
    print(f"decoded pixels are the encoder's: {sum(alike)} of {len(alike)}")
    print(
        f"file above estimate: mean {np.mean(excess):+.3f} %, most {max(excess):+.3f} %, least "
        f"{min(excess):+.3f} %; at worst {100 * worst.allowance_used:.0f} % of the allowed 1 % + "
        f"{BYTES_SLACK} bytes ({worst.file.stem})"
    )
    if steps:
        print(
            f"of {len(steps)} steps to the next quality, {shrinking} shrink the file by more than "
            f"{SHRINK_SLACK:.1%} (least growth {min(growth):+.3%}) and {worsening} lose more than "
            f"{PSNR_SLACK} dB (least gain {min(gain):+.4f} dB)"
        )
    held = all(alike) and worst.allowance_used <= 1 and not shrinking and not worsening
    print("all held" if held else "FAILED")
    report = {
        "pictures": len(pictures),
        "held": held,
        "files": len(alike),
        "files_decoded_identically": sum(alike),
        "excess_percent": {"mean": float(np.mean(excess)), "most": max(excess)},
        "worst_fraction_of_allowance": worst.allowance_used,
        "steps": {"count": len(steps), "shrinking": shrinking, "worsening": worsening},
        "rows": [{**asdict(one), "picture": one.picture.stem, "file": ""} for one in written],
    }
    write_report(options.json, codec, report)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "kodak.py")
