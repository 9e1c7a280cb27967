"""Train RECOMBINER's prior on crops, and write its model file.

    python benchmarks/train_recombiner.py OUTPUT.safetensors [--rounds 100] [--bpp 0.5]

KODEC_DATA names the folder with train/. The same arguments give the same file on one machine.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kodec.codecs import Recombiner, read_pixels, save_model
from kodec.native import InvalidInputError, KodecError
from kodec.train.recombiner_prior import PriorTraining, Round, train_prior
from reporting import parser_of, run

NOTES = {
    "licence": (
        "weights: Apache-2.0; trained on pictures under CC0, public domain, Unsplash and Creative "
        "Commons licences (CC BY-SA for the CID22 part)"
    ),
    "training": "benchmarks/train_recombiner.py",
}


def crops(count: int, side: int) -> Tensor:
    """Crops (count, 3, side, side) from the middles of evenly spaced training pictures."""
    folder = Path(os.environ.get("KODEC_DATA", ".")) / "train"
    paths = sorted(folder.glob("*.jpg"))
    if len(paths) < count:
        raise InvalidInputError(f"{folder} has {len(paths)} pictures, not {count}: set KODEC_DATA")
    found = []
    for i in range(count):
        pixels = np.asarray(read_pixels(paths[i * len(paths) // count]))
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        found.append(torch.from_numpy(pixels[top : top + side, left : left + side].copy()))
    return torch.stack(found).permute(0, 3, 1, 2).float() / 255


def main() -> int:
    """Train, then write."""
    parser = parser_of(__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--side", type=int, default=128, help="of a crop, a multiple of 64")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=8, help="passes over all crops in a round")
    parser.add_argument("--bpp", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    x = crops(options.pictures, options.side)
    model = Recombiner()
    began = time.monotonic()

    def show(done: Round) -> None:
        print(
            f"round {done.number + 1}: {done.bpp:.3f} bpp, {done.psnr:.2f} dB of samples, weight "
            f"{done.weight:.2e}, {time.monotonic() - began:.0f} s",
            flush=True,
        )

    train_prior(model, x, PriorTraining(options.rounds, options.steps, options.bpp), show)
    config = {"class_path": "kodec.codecs.Recombiner", "init_args": {}}
    info = save_model(model, config, options.output, options.output.stem, NOTES)
    print(f"{options.output}: id {info.model_id.hex()}, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    run(main, "train_recombiner.py", (KodecError, OSError))
