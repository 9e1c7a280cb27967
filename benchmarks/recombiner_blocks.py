"""What RECOMBINER's blocks cost beside their budget, on a crop.

    python benchmarks/recombiner_blocks.py PICTURE [--crop TOP,LEFT,SIDE] [--bits 8,10,12]

For each number of bits: divergences in bits that blocks had when they were coded (mean, and how
many were above the budget), the file's bytes and its PSNR.
"""

import io
import math
from pathlib import Path

import numpy as np

from kodec.codecs import read_pixels
from kodec.codecs.fitted import Budget, Clip, Goal, fit, write_fitted
from kodec.codecs.fitted.priors.recombiner_picture import PictureFitting, RecombinerPicture
from kodec.native import KodecError
from reporting import parser_of, run


def main() -> int:
    """Fit, and print a line for each."""
    parser = parser_of(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--crop", default="192,320,128", help="top, left, side")
    parser.add_argument("--bits", default="8,10,12")
    parser.add_argument("--steps", type=int, default=800)
    options = parser.parse_args()
    top, left, side = map(int, options.crop.split(","))
    pixels = np.asarray(read_pixels(options.picture))[top : top + side, left : left + side]
    clip = Clip(np.ascontiguousarray(pixels)[None])
    for bits in map(int, options.bits.split(",")):
        goal = Goal(preset=f"{bits}-bit")
        budget = Budget(steps=options.steps)
        fitting = PictureFitting(clip, goal)
        run = fit(fitting, RecombinerPicture.schedule(goal, budget), budget)
        model, parameters = fitting.result()
        file = io.BytesIO()
        frame = write_fitted(file, model, parameters).frame(0)
        error = float(((frame.astype(float) - pixels) ** 2).mean())
        above = float((fitting.spent > bits).mean())
        print(
            f"{bits} bits: divergence {fitting.spent.mean():.2f} bits a block, {above:.0%} above; "
            f"{len(fitting.spent)} blocks, {len(file.getvalue()):,} bytes, "
            f"{8 * len(file.getvalue()) / side**2:.3f} bpp, "
            f"{10 * math.log10(255**2 / error):.2f} dB, {run.seconds:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    run(main, "recombiner_blocks.py", (KodecError, OSError))
