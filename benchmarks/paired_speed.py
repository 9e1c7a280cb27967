"""Encoding and decoding time of this code as a ratio to another checkout's.

    python benchmarks/paired_speed.py --before CHECKOUT [--model default] [--before-model default]
                                      [--qualities 8,32] [--threads 1,2] [--repeats 15]
                                      [--picture FILE]

CHECKOUT: a folder whose .venv has the other code installed, or the interpreter itself. Each side is
a process with its model loaded; they take turns, so that a busy machine slows both alike. Given are
medians, and how many times as long this code takes: the median over the rounds, with its quartiles;
of CPU seconds with one thread, and of seconds by the clock with several. The picture is the first
Kodak picture (KODEC_DATA names the folder with kodak/) unless one is given.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# What the other checkout's interpreter runs this file with, too: no newer interfaces up here.
from kodec.codecs import load, read_plain_picture

VERBS = ("encode", "decode")


class Side:
    """One checkout with one model, in a process of its own."""

    def __init__(self, python: str, model: str, picture: Path, threads: int) -> None:
        command = [python, __file__, "--serve", model, str(picture), str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, verb: str, quality: int) -> float:
        """Seconds of encoding, or of decoding what was encoded last."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(verb, quality, file=self._process.stdin, flush=True)
        seconds: float = json.loads(self._process.stdout.readline())
        return seconds

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(model: str, picture: Path, threads: int) -> int:
    """What a side's process does: codes as it is told, and answers the seconds."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    pixels = read_plain_picture(picture).pixels
    codec = load(model)
    data = b""
    for line in sys.stdin:
        verb, quality = line.split()
        start = clock()
        if verb == "encode":
            data = codec.encode(pixels, int(quality))
        else:
            codec.decode(data)
        print(clock() - start, flush=True)
    return 0


def measure(sides: list[Side], quality: int, repeats: int) -> None:
    """Race the sides at one quality, and print a line a verb."""
    from kodec.eval import Contestant, Race

    def asked(side: Side, verb: str) -> Callable[[Any], Any]:
        return lambda _: side.seconds(verb, quality)

    names = ("here", "before")
    here, before = (
        Contestant(name, {verb: asked(side, verb) for verb in VERBS})
        for name, side in zip(names, sides, strict=True)
    )

    def told(work: Callable[[], Any]) -> tuple[float, Any]:
        return work(), None

    Race(repeats, timer=told).run(f"quality {quality}", [here, before])
    for verb in VERBS:
        ratio = before.times_as_fast(verb, here)
        assert ratio is not None
        print(
            f"quality {quality:2d} {verb}: {1e3 * here.spread(verb).median:7.1f} ms here, "
            f"{1e3 * before.spread(verb).median:7.1f} before, ratio {ratio.median:.3f} "
            f"({ratio.low:.3f} to {ratio.high:.3f})"
        )


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    from reporting import parser_of

    parser = parser_of(__doc__)
    parser.add_argument("--before", required=True, metavar="CHECKOUT", type=Path)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--before-model", default="default", help="the same for the other checkout")
    parser.add_argument("--qualities", default="8,32")
    parser.add_argument("--threads", default="1", help="numbers of threads, 1,2 say")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--picture", type=Path)
    return parser.parse_args(arguments)


def main() -> int:
    """Measure and print."""
    from kodec.eval import describe_machine, find_dataset

    options = options_of(sys.argv[1:])
    picture = (options.picture or find_dataset("kodak")[0]).resolve()
    own = options.before / ".venv" / "bin" / "python"
    other = str(own if options.before.is_dir() else options.before)
    machine = describe_machine()
    print(f"{picture.name}; {machine['cpu']}, {machine['cpu_capability']}")
    for threads in map(int, options.threads.split(",")):
        sides = [
            Side(sys.executable, options.model, picture, threads),
            Side(other, options.before_model, picture, threads),
        ]
        print(f"threads: {threads}")
        for quality in map(int, options.qualities.split(",")):
            measure(sides, quality, options.repeats)
        for side in sides:
            side.close()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        sys.exit(serve(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
    from reporting import run

    run(main, "paired_speed.py")
