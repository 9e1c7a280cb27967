"""What videos cost beside their models: bytes, memory, rates met, portability, damage.

    python benchmarks/video.py frames [--model default] [--quality 0] [--frames N]
    python benchmarks/video.py memory [--size 416x240] [--frames 10000] [--seconds S]
    python benchmarks/video.py drift [--model video] [--frames 301]
    python benchmarks/video.py rates [--model default] [--crop 176x144] [--frames N]
    python benchmarks/video.py portability [--frames N] [--model video]
    python benchmarks/video.py damage [--inputs 1000000] [--seconds S]

Each prints one table of docs/experiments/video.md; its part of the code says what must hold, and
the exit status is 1 where that fails. Where weights do not matter an untrained model is taken.
KODEC_DATA names the folder with video_test/.
"""

import argparse
from collections.abc import Callable

import video_costs
import video_damage
import video_portability
from reporting import parser_of, run

Command = Callable[[argparse.Namespace], bool]


def main() -> int:
    """Run one of them; the exit status."""
    parser = parser_of(__doc__)
    tables = parser.add_subparsers(metavar="TABLE", required=True)
    for module in (video_costs, video_portability, video_damage):
        module.add_to(tables)
    options = parser.parse_args()
    held: bool = options.measure(options)
    print("held" if held else "FAILED")
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "video.py")
