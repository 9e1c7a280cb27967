"""Cool-chic's fits against its authors' on the same crop: loss, bytes, seconds.

    python benchmarks/cool_chic.py loss [--preset hop] [--steps 2000] [--rate 0.001] [--seed 0]
        [--json FILE]
    python benchmarks/cool_chic.py foreign FILE.cool PICTURE.png

Fits rows 128 to 383, columns 256 to 511 of Kodak's kodim05, and prints what the file takes, its
PSNR and its loss (mean squared error of values in [0, 1], plus `--rate` times bits per pixel, the
networks' among them) beside what the authors' code came to with the same settings
(inr-baselines.json). Exits with 1 where the loss is more than 2 % above theirs. `foreign` decodes a
file of the authors' encoder by our networks, at the pace of plain Python, and prints the PSNR
against a picture, or its crop above. KODEC_DATA names the folder with the data.
"""

import argparse
import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cool_files import parse
from cool_pictures import picture_of
from kodec.codecs import read_plain_picture, to_tensor
from kodec.codecs.fitted import Budget, fit, read_fitted
from kodec.codecs.fitted.fitted_file import write_fitted
from kodec.codecs.fitted.grid_networks.cool_chic import result_of
from kodec.codecs.fitted.grid_networks.cool_chic_architecture import PRESETS
from kodec.codecs.fitted.grid_networks.cool_chic_fitting import CoolChicFitting, usual_schedule
from kodec.eval import describe_machine, psnr
from kodec.native import KodecError
from reporting import parser_of, run, write_json

ROWS, COLUMNS = slice(128, 384), slice(256, 512)
WORSE = 1.02


def data() -> Path:
    """The folder with the data; raises `KodecError`."""
    if not (folder := os.environ.get("KODEC_DATA")):
        raise KodecError("set KODEC_DATA to the folder with the data")
    return Path(folder)


def crop() -> torch.Tensor:
    """The reference's picture (1, 3, 256, 256), values in [0, 1]."""
    pixels = read_plain_picture(data() / "kodak" / "kodim05.png").pixels
    return to_tensor(pixels)[..., ROWS, COLUMNS].contiguous()


def theirs(preset: str, rate: float, steps: int) -> dict[str, Any] | None:
    """What the authors' code came to, where that was run."""
    known = json.loads((data() / "reference" / "inr-baselines.json").read_text())["cool-chic"]
    for result in known.values():
        same = isinstance(result, dict) and result.get("config") == preset
        if same and result["lmbda"] == rate and result["n_itr"] == steps:
            return dict(result)
    return None


def measure(preset: str, rate: float, steps: int, seed: int) -> dict[str, Any]:
    """Fit, quantise, and code."""
    x = crop()
    fitting = CoolChicFitting(x, PRESETS[preset].at(*x.shape[-2:]), rate, seed)
    began = time.process_time()

    def show(done: int, total: int, words: str) -> None:
        if done % 100 == 0:
            print(f"  {done} of {total}: {words}, {time.process_time() - began:.0f} s", flush=True)

    fit(fitting, usual_schedule(steps), Budget(steps=steps), show)
    fitted = time.process_time()
    floats = fitting.measure()
    model, parameters = result_of(fitting)
    searched = time.process_time()
    file = io.BytesIO()
    write_fitted(file, model, parameters)
    read = read_fitted(file.getvalue())
    size = len(file.getvalue())
    shown = to_tensor(read.reconstruction.frame(0))
    figures = fitting.figures(8 * size, shown)
    parts = read.bits_by_part()
    return {
        "bytes": size,
        "bytes of latents": sum(n for name, n in parts.items() if name.startswith("grid")) / 8,
        "bpp": figures.bpp,
        "psnr": figures.psnr,
        "loss x 1000": 1000 * rate * figures.loss,
        "loss x 1000 before networks": 1000 * rate * floats.loss,
        "cpu seconds": searched - began,
        "cpu seconds of the step search": searched - fitted,
    }


def main() -> int:
    """Run as the options say."""
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    loss = commands.add_parser("loss", help="against the authors' code on the reference crop")
    loss.add_argument("--preset", choices=PRESETS, default="hop")
    loss.add_argument("--steps", type=int, default=2000)
    loss.add_argument("--rate", type=float, default=1e-3)
    loss.add_argument("--seed", type=int, default=0)
    loss.add_argument("--json", type=Path, help="write the figures there")
    foreign = commands.add_parser("foreign", help="decode a file of the authors'")
    foreign.add_argument("file", type=Path)
    foreign.add_argument("picture", type=Path)
    options = parser.parse_args()
    return decode_theirs(options) if options.command == "foreign" else compare(options)


def decode_theirs(options: argparse.Namespace) -> int:
    """Print PSNR and MD5 of the pixels of one of their files."""
    table = np.load(data() / "reference" / "inr-coolchic-image.npz")["table/mu_then_scale"]
    (file,) = parse(options.file.read_bytes())
    found = picture_of(file, table)
    source = read_plain_picture(options.picture).pixels
    if source.shape != found.shape:
        source = source[ROWS, COLUMNS]
    digest = hashlib.md5(found.tobytes(), usedforsecurity=False).hexdigest()
    print(f"{options.file.name}: {psnr(source, found):.4f} dB, MD5 {digest}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print both sides; 1 where ours is worse by more than 2 %."""
    torch.set_num_threads(1)
    ours = measure(options.preset, options.rate, options.steps, options.seed)
    reference = theirs(options.preset, options.rate, options.steps)
    for name, value in ours.items():
        print(f"{name}: {value:.4f}")
    if options.json is not None:
        content = {"machine": describe_machine(), "ours": ours, "theirs": reference}
        write_json(options.json, content)
    if reference is None:
        print("their code was not run with these settings")
        return 0
    ratio = ours["loss x 1000"] / reference["loss_x1000"]
    print(
        f"theirs: {reference['bytes']} bytes, {reference['psnr_rgb']:.2f} dB, loss x 1000 "
        f"{reference['loss_x1000']:.4f}; ours is {100 * (ratio - 1):+.2f} %"
    )
    return int(ratio > WORSE)


if __name__ == "__main__":
    run(main, "cool_chic")
