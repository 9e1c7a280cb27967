"""Encoding and decoding time of this code as a ratio to another checkout's.

    python benchmarks/paired_speed.py OTHER_PYTHON [--model default] [--other-model default]
                                      [--qualities 8,32] [--repeats 15] [--picture FILE]

OTHER_PYTHON: the interpreter of the other checkout's environment. Each side is a process of one
thread with its model loaded; they take turns, so that a busy machine slows both alike. Given are
medians of CPU seconds, and the median of the ratios of neighbouring runs with its quartiles. The
picture is the first Kodak picture (KODEC_DATA names the folder with kodak/) unless one is given.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kodec.codecs import load, read_picture
from kodec.eval import describe_machine, find_dataset
from reporting import parser_of, run

VERBS = ("encode", "decode")


class Side:
    """One checkout with one model, in a process of its own."""

    def __init__(self, python: str, model: str, picture: Path) -> None:
        command = [python, __file__, "--serve", model, str(picture)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, quality: int) -> dict[str, float]:
        """CPU seconds of encoding and of decoding, by verb, and the file's size as `bytes`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(quality, file=self._process.stdin, flush=True)
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(model: str, picture: Path) -> int:
    """What a side's process does: codes at each quality that it is told, and answers a line."""
    torch.set_num_threads(1)
    pixels = read_picture(picture).pixels
    codec = load(model)
    for line in sys.stdin:
        start = time.process_time()
        data = codec.encode(pixels, int(line))
        middle = time.process_time()
        codec.decode(data)
        end = time.process_time()
        answer = {"encode": middle - start, "decode": end - middle, "bytes": len(data)}
        print(json.dumps(answer), flush=True)
    return 0


def race(sides: Sequence[Side], quality: int, repeats: int) -> list[list[dict[str, float]]]:
    """Answers of every side in turn, `repeats` rounds after one that does not count."""
    rounds = []
    for number in range(repeats + 1):
        # The order changes from round to round, so that neither side is always the later one.
        order = sides if number % 2 else list(reversed(sides))
        answers = {side: side.seconds(quality) for side in order}
        rounds.append([answers[side] for side in sides])
    return rounds[1:]


def print_ratios(quality: int, rounds: list[list[dict[str, float]]]) -> None:
    """One line a verb: both sides' medians in ms, and the ratio with its quartiles."""
    for verb in VERBS:
        own, other = (np.array([answers[i][verb] for answers in rounds]) for i in range(2))
        low, middle, high = np.percentile(own / other, [25, 50, 75])
        print(
            f"quality {quality:2d} {verb}: {1e3 * np.median(own):7.1f} ms here, "
            f"{1e3 * np.median(other):7.1f} there, ratio {middle:.3f} ({low:.3f} to {high:.3f})"
        )


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = parser_of(__doc__)
    parser.add_argument("other_python", metavar="OTHER_PYTHON")
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--other-model", default="default", help="the same for the other checkout")
    parser.add_argument("--qualities", default="8,32")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--picture", type=Path)
    return parser.parse_args(arguments)


def main() -> int:
    """Measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], Path(sys.argv[3]))
    options = options_of(sys.argv[1:])
    picture = (options.picture or find_dataset("kodak")[0]).resolve()
    sides = [
        Side(sys.executable, options.model, picture),
        Side(options.other_python, options.other_model, picture),
    ]
    machine: dict[str, Any] = describe_machine()
    print(f"{picture.name}; {machine['cpu']}, {machine['cpu_capability']}, one thread")
    for quality in map(int, options.qualities.split(",")):
        print_ratios(quality, race(sides, quality, options.repeats))
    for side in sides:
        side.close()
    return 0


if __name__ == "__main__":
    run(main, "paired_speed.py")
