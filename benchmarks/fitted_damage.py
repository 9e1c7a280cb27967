"""Damaged and forged files of fitted networks: an error in one line, or frames, never a crash.

    PYTHONPATH=tests/support python benchmarks/fitted_damage.py --import coordinate_network
        [--model coordinates] [--count 1000000] [--sealed 0.05] [--json REPORT.json]

A picture of 16x12 that is rendered here, or of families for videos three frames, is fitted for a
few steps, then its file is

1. changed by random mutations: almost all end at the container's checksums;
2. of a share, mutated inside with checksums made right again: of the container's parts (heads that
   ask for other networks among them), and of the coder's segment too. Against a forger checksums
   are no protection.

A frame is made of whatever can be read. Failures, after which the exit status is 1: another
exception than kodec's or one of several lines; a picture of other pixels in part 1; a file that
takes longer than --limit seconds or makes the process take more than --memory bytes.
"""

import random
import sys
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from forging import (
    PREAMBLE_BYTES,
    NeverRightError,
    Tally,
    mutate,
    mutate_chunks,
    seal,
    seal_stream,
    split,
)
from kodec.codecs import FittedCodec
from kodec.codecs.fitted import Budget, Clip, Limits, read_fitted
from kodec.codecs.model_size import parse_model_size
from kodec.codecs.peak_memory import PeakMemory
from reporting import parser_of, run, write_json

FRAMES = 3
# What a decoder takes that has little; whatever asks for more is refused by its head.
LIMITS = Limits(parameters=1 << 20, macs_per_pixel=1 << 18, peak_bytes=1 << 28)


def render(frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Smooth frames, uint8 (T, 12, 16, 3)."""
    t, y, x, c = np.mgrid[0:frames, 0:12, 0:16, 0:3]
    return np.asarray((120 + 80 * np.sin(x / 5 + y / (4 + c) + t / 3)).astype(np.uint8))


def sealed_files(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Mutations that pass the container's checksums, and in turn the coder's too."""
    chunks = split(data)
    while True:
        yield seal(data[:PREAMBLE_BYTES], mutate_chunks(chunks, rng))
        mutated = [
            (kind, seal_stream(mutate(payload, rng)) if kind == ord("P") else payload)
            for kind, payload in chunks
        ]
        yield seal(data[:PREAMBLE_BYTES], mutated)


def decode(data: bytes, right: bytes, forged: bool) -> str:
    """What reading gives, in words."""
    found = read_fitted(data, limits=LIMITS).reconstruction
    size = found.size
    if size.width * size.height > 1 << 16:
        return "frames too large to make here"
    pixels = found.frame(size.frames - 1).tobytes()
    if pixels == right:
        return "the right picture"
    if not forged:
        raise NeverRightError("another picture")
    return "another picture"


def main() -> int:
    """Try all, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--import", dest="module", help="a module that registers the family")
    parser.add_argument("--model", default="coordinates", help="the family")
    parser.add_argument("--size", type=parse_model_size, help="of the network")
    parser.add_argument("--preset", help="of the family")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--count", type=int, default=100_000, help="files in all")
    parser.add_argument("--sealed", type=float, default=0.05, help="the share with right checksums")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds that a file may take")
    parser.add_argument("--memory", type=int, default=1 << 29, help="bytes that all may take")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.module:
        import_module(options.module)
    codec = FittedCodec(
        options.model, Budget(steps=options.steps), size=options.size, preset=options.preset
    )
    clip = Clip(render(1 if codec.family.pictures else FRAMES))
    data = codec.fit(clip).data
    right = read_fitted(data, limits=LIMITS).reconstruction.frame(len(clip.pixels) - 1).tobytes()
    # Most heads are the right one, whose cost is found by building networks without weights.
    setattr(codec.kind, "cost_of", lru_cache(4096)(codec.kind.cost_of))
    rng = random.Random(options.seed)
    memory = PeakMemory()
    memory.restart()
    before = memory.read()
    start = time.perf_counter()
    damaged, forged = Tally(), Tally()
    sealed = sealed_files(data, rng)
    for _ in range(options.count):
        tampered = rng.random() < options.sealed
        case = next(sealed) if tampered else mutate(data, rng)
        tally = forged if tampered else damaged
        # A hang would be seen by whoever waits for the next line.
        work = partial(decode, case, right, tampered)
        tally.attempt(case, work, options.limit, watched=tampered)
        done = damaged.outcomes.total() + forged.outcomes.total()
        if done % 10_000 == 0:
            print(f"{done:,} files", file=sys.stderr, flush=True)
    seconds, taken = time.perf_counter() - start, memory.read() - before
    failures = damaged.failures + forged.failures
    held = not failures and taken <= options.memory
    print(f"{codec.name}, {len(data)} bytes: {options.count:,} files in {seconds:.0f} s")
    for name, tally in (("damaged", damaged), ("sealed", forged)):
        print(f"{name}: {tally.in_words()}; slowest {tally.slowest:.2f} s")
    print(f"memory {taken / 2**20:.1f} MiB (allowed {options.memory / 2**20:.0f})")
    print("\n".join([*failures[:5], "all held" if held else "FAILED"]))
    if options.json is not None:
        report = {"damaged": damaged.report(), "sealed": forged.report()}
        write_json(options.json, {"codec": codec.name, "memory": taken, **report, "held": held})
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "fitted_damage.py")
