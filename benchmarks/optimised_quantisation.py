"""How strongly to optimise the default model's quantisation: BD-rate by lagrangian.

    python benchmarks/optimised_quantisation.py compare [--model default]
                                                [--lagrangians 0.05,0.06,0.08,0.1,0.12,0.14]
    python benchmarks/optimised_quantisation.py write MODEL.safetensors --lagrangian 0.08
                                                --output OTHER.safetensors

`compare` codes 24 validation crops of natural-crops, held out by source, at five qualities with
each lagrangian (squared quantisation steps a bit), and prints the BD-rate of each against the
model's own: means over crops with intervals, and what becomes of bits and PSNR at the same
qualities. `write` gives a model file another lagrangian: it is the encoder's alone, so that the
model keeps its id. Never run on a test set. KODEC_DATA names the folder with the data. One thread.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compare_structures import QUALITIES, curve_of, held_out
from fit_deringing import coded
from kodec.codecs import PictureCodec, as_pixels, find_model, load, load_model, save_model
from kodec.entropy import FrequencySlices
from kodec.eval import bd_rate
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.native import InvalidInputError
from kodec.train.data import Pictures
from reporting import parser_of, run
from timed_training import in_words, one_thread

Rows = list[dict[str, Any]]


@torch.inference_mode()
def measured(network: PictureCodec, pictures: Pictures, lagrangian: float) -> Rows:
    """Of each picture bpp and PSNR, by quality."""
    assert isinstance(network.latents, FrequencySlices)
    network.latents.lagrangian = lagrangian
    rows = []
    for i in range(len(pictures)):
        found = coded(network, pictures[i][None], tuple(map(float, QUALITIES)))
        shown, x = as_pixels(found["x_hat"].float()).double(), found["x"].double()
        psnr = -10 * torch.log10((shown - x).square().mean((1, 2, 3)) / 255**2)
        rows.append({"bpp": found["bpp"].numpy(), "psnr": psnr.numpy()})
    return rows


def compare(model: str, lagrangians: list[float]) -> None:
    """Print a row for each lagrangian, against the model's own."""
    network = load(model).network.float()
    if not isinstance(network, PictureCodec) or not isinstance(network.latents, FrequencySlices):
        raise InvalidInputError(f"{model} has no optimised quantisation of frequency slices")
    pictures, own = held_out(), network.latents.lagrangian
    before = measured(network, pictures, own)
    print(f"against {own}\n| lagrangian | BD-rate, % | bits, % | PSNR, dB |\n|---|---|---|---|")
    for lagrangian in lagrangians:
        after = measured(network, pictures, lagrangian)
        pairs = list(zip(after, before, strict=True))
        rates = [bd_rate(curve_of("", a), curve_of("", b)).value_percent for a, b in pairs]
        bits = 100 * np.mean([a["bpp"] / b["bpp"] - 1 for a, b in pairs], axis=0)
        gain = np.mean([a["psnr"] - b["psnr"] for a, b in pairs], axis=0)
        print(
            f"| {lagrangian} | {in_words((float(np.mean(rates)), interval_of_mean(rates)))} | "
            f"{', '.join(f'{v:+.1f}' for v in bits)} | {', '.join(f'{v:+.2f}' for v in gain)} |",
            flush=True,
        )


def write(source: str, lagrangian: float, output: Path) -> None:
    """Write the model with another lagrangian."""
    path = find_model(source)
    network, info = load_model(path)
    config = copy.deepcopy(dict(info.config))
    config["init_args"]["latents"]["init_args"]["lagrangian"] = lagrangian
    save_model(network, config, output, info.name, info.notes, objective=info.objective)


def main() -> int:
    """Compare lagrangians, or write one into a model."""
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compare_ = commands.add_parser("compare", allow_abbrev=False)
    compare_.add_argument("--model", default="default")
    compare_.add_argument("--lagrangians", default="0.05,0.06,0.08,0.1,0.12,0.14")
    write_ = commands.add_parser("write", allow_abbrev=False)
    write_.add_argument("source")
    write_.add_argument("--lagrangian", type=float, required=True)
    write_.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    one_thread()
    if options.command == "compare":
        compare(options.model, [float(value) for value in options.lagrangians.split(",")])
    else:
        write(options.source, options.lagrangian, options.output)
    return 0


if __name__ == "__main__":
    run(main, "optimised_quantisation.py")
