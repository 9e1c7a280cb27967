"""Pictures of any size, in tiles and in one piece: bytes, seconds, peak memory of the process.

    python benchmarks/large_pictures.py PICTURE [--sizes 1x1,63x65,4000x3000] [--repeats 1]
                                        [--whole 4000x3000] [--peer 4000x3000] [--json REPORT.json]

PICTURE is repeated and cut to each size. Every encoding and decoding is a process of its own that
does what the command line does, its libraries among its memory; those in one piece (what kodec did
before it had tiles) take turns with those in tiles. --peer: CompressAI's bmshj2018-hyperprior,
quality 3, random weights, forth and back in one process.

Must hold, or the exit status is 1: decoded pixels are the encoder's reconstruction.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from kodec.codecs import Picture, read_picture, write_picture
from kodec.codecs.freed_memory import share_one_heap
from kodec.codecs.peak_memory import PeakMemory
from kodec.eval import describe_machine
from kodec.native import KodecError
from reporting import parser_of, run, write_json


def resized(source: Path, size: str, folder: Path) -> Path:
    """The picture repeated and cut, as a PNG."""
    width, height = map(int, size.split("x"))
    pixels = read_picture(source).pixels
    times = (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1)
    path = folder / f"{size}.png"
    write_picture(path, Picture(np.tile(pixels, times)[:height, :width].copy()))
    return path


def encode(source: Path, target: Path, whole: bool, quality: int) -> dict[str, Any]:
    """In a process of its own: read, encode, write."""
    from kodec.codecs import load, write_atomically

    start = time.perf_counter()
    picture = read_picture(source)
    codec = load()
    share_one_heap()
    loaded = time.perf_counter()
    encoded = codec.encode_picture(picture, quality, tile=None if whole else "usual")
    seconds = time.perf_counter() - loaded
    write_atomically(target, encoded.data)
    return figures(encoded.reconstruction.pixels, len(encoded.data), seconds, start)


def decode(source: Path, target: Path) -> dict[str, Any]:
    """In a process of its own: read, decode, write."""
    from kodec.codecs import load

    start = time.perf_counter()
    codec = load()
    share_one_heap()
    data = source.read_bytes()
    loaded = time.perf_counter()
    picture = codec.decode_picture(data)
    seconds = time.perf_counter() - loaded
    write_picture(target, picture)
    return figures(picture.pixels, len(data), seconds, start)


def peer(source: Path) -> dict[str, Any]:
    """CompressAI's hyperprior, forth and back."""
    import torch
    from compressai.zoo import bmshj2018_hyperprior

    start = time.perf_counter()
    pixels = read_picture(source).pixels
    model = bmshj2018_hyperprior(3).eval()
    model.update()
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    height, width = x.shape[-2:]
    x = torch.nn.functional.pad(x, (0, -width % 64, 0, -height % 64))
    loaded = time.perf_counter()
    with torch.no_grad():
        coded = model.compress(x)
        model.decompress(coded["strings"], coded["shape"])
    size = sum(len(string[0]) for string in coded["strings"])
    return figures(pixels, size, time.perf_counter() - loaded, start)


def figures(pixels: Any, size: int, seconds: float, start: float) -> dict[str, Any]:
    """What a process reports."""
    return {
        "bytes": size,
        "seconds": seconds,
        "seconds_with_files": time.perf_counter() - start,
        "cpu_seconds": time.process_time(),
        "peak_bytes": PeakMemory().read(),
        "pixels": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }


def elsewhere(*arguments: object) -> dict[str, Any]:
    """A call of this script with --work, its report."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KodecError(f"{arguments[1]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure, print, and return the exit status."""
    parser: argparse.ArgumentParser = parser_of(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sizes", default="1x1,1x5000,63x65,4000x3000")
    parser.add_argument("--whole", default="", help="sizes to code in one piece, too")
    parser.add_argument("--peer", default="", help="sizes for CompressAI's hyperprior")
    parser.add_argument("--quality", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the report")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        kind, source, *rest = options.work
        work: dict[str, Any]
        if kind == "encode":
            work = encode(Path(source), Path(rest[0]), rest[1] == "whole", options.quality)
        elif kind == "decode":
            work = decode(Path(source), Path(rest[0]))
        else:
            work = peer(Path(source))
        print(json.dumps(work))
        return 0
    held, rows = True, []
    with tempfile.TemporaryDirectory(prefix="kodec-large-") as name:
        folder = Path(name)
        for size in options.sizes.split(","):
            source = resized(options.picture, size, folder)
            ways = ["tiles"] + ["whole"] * (size in options.whole.split(","))
            for repeat in range(options.repeats):
                for way in ways if repeat % 2 == 0 else ways[::-1]:
                    coded = folder / f"{size}-{way}.kdc"
                    quality = ("--quality", options.quality)
                    there = elsewhere("x", *quality, "--work", "encode", source, coded, way)
                    back = elsewhere("x", "--work", "decode", coded, folder / "out.png")
                    same = there["pixels"] == back["pixels"]
                    held &= same
                    rows.append({"size": size, "way": way, "encode": there, "decode": back})
                    tell(size, way, there, back, same)
            if size in options.peer.split(","):
                row = elsewhere("x", "--work", "peer", source)
                rows.append({"size": size, "way": "CompressAI", "both": row})
                tell(size, "CompressAI", row, row, True)
    if options.json is not None:
        write_json(options.json, {"machine": describe_machine(), "held": held, "rows": rows})
    print("all held" if held else "FAILED")
    return 0 if held else 1


def tell(size: str, way: str, there: dict[str, Any], back: dict[str, Any], same: bool) -> None:
    """A line of the table; CPU time is the process's, loading among it."""
    sides = [
        f"{what} {row['seconds']:7.2f} s, CPU {row['cpu_seconds']:6.1f} s, "
        f"{row['peak_bytes'] / 1e6:5.0f} MB"
        for what, row in (("encode", there), ("decode", back))
    ]
    wrong = "" if same else ", OTHER PIXELS"
    print(
        f"{size:>10s} {way:10s} {there['bytes']:>10,} bytes, {'; '.join(sides)}{wrong}", flush=True
    )


if __name__ == "__main__":
    run(main, "large_pictures.py")
