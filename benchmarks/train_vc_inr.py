"""Train VC-INR's network and codec on crops, and write its model file.

    python benchmarks/train_vc_inr.py OUTPUT.safetensors [--steps 1000] [--codec-steps 600]

KODEC_DATA names the folder with train/. The same arguments give the same file on one machine.
"""

import time
from pathlib import Path

import torch

from kodec.codecs import GatedFields, save_model
from kodec.native import KodecError
from kodec.train.vc_inr_training import train_codec, train_field
from reporting import parser_of, run
from train_recombiner import NOTES, crops


def main() -> int:
    """Train, then write."""
    parser = parser_of(__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--side", type=int, default=128, help="of a crop, a multiple of 16")
    parser.add_argument("--steps", type=int, default=1000, help="of meta-learning")
    parser.add_argument("--codec-steps", type=int, default=600)
    parser.add_argument("--lam", type=float, default=0.005, help="bpp + lam x squared error")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    x = crops(options.pictures, options.side)
    model = GatedFields()
    began = time.monotonic()

    def show(step: int, loss: float, figure: float) -> None:
        if step % 100 == 0:
            seconds = time.monotonic() - began
            print(f"step {step}: {loss:.4f}, {figure:.3f}, {seconds:.0f} s", flush=True)

    train_field(model, x, options.steps, show=show)
    train_codec(model, x, options.lam, options.codec_steps, show=show)
    config = {"class_path": "kodec.codecs.GatedFields", "init_args": {}}
    notes = {**NOTES, "training": "benchmarks/train_vc_inr.py"}
    info = save_model(model, config, options.output, options.output.stem, notes)
    print(f"{options.output}: id {info.model_id.hex()}, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    run(main, "train_vc_inr.py", (KodecError, OSError))
