"""Transforms in equal CPU time, with one latent model: rate and distortion on Kodak.

    python benchmarks/compare_transforms.py train gdn elic --seconds 300 --output runs/transforms
    python benchmarks/compare_transforms.py report --output runs/transforms \
        [--json docs/experiments/transforms.json] [--figure docs/experiments/transforms.png]

`train` trains the named transforms of small_systems.yaml (all, if none is named) one after another
on natural-crops, each anew with the same crops in the same order, for as much CPU time of the steps
as `--seconds` says. Validation pictures are held out by source. Then the Kodak pictures are coded
to real streams, which are counted without the file's header. `report` compares the losses, picture
by picture, with the first run's. KODEC_DATA names the folder with the data. One thread.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kodec.codecs import PictureCodec, as_pixels, build_module
from kodec.entropy import RateMeter, SymbolWriter
from kodec.eval import find_dataset
from kodec.train import CropData, RateDistortion
from kodec.train.data import Pictures, RandomCrops
from reporting import parser_of, run, write_json
from timed_training import (
    Plan,
    Row,
    chosen,
    draw_curves,
    in_words,
    mean,
    one_thread,
    paired_difference,
    read_runs,
    systems,
    train_for,
    write_run,
)

LAMBDA = 0.013
QUALITY = 63.0  # Of a codec with a gain: the one that RateDistortion gives the highest lambda.
CROP, BATCH = 128, 4
VALIDATION_PICTURES = 16
LATENTS, HYPER = 64, 32


def config_of(name: str) -> dict[str, Any]:
    """The codec section: the transform, and a mean-scale hyperprior of as many channels."""
    transform = {key: value for key, value in systems("transforms")[name].items() if key != "slow"}
    gain = transform.setdefault("gain", None)
    channels = gain["init_args"]["channels"] if gain else LATENTS
    # The smallest of the hyper-networks: the transform is to spend the time.
    settings = {"channels": channels, "hyper": HYPER, "networks": "bmshj2018"}
    latents = {"class_path": "kodec.entropy.MeanScaleHyperprior", "init_args": settings}
    arguments = {**transform, "latents": latents}
    return {"class_path": "kodec.codecs.PictureCodec", "init_args": arguments}


def codec_of(config: dict[str, Any], seed: int) -> PictureCodec:
    """A new codec; the same seed gives the same weights."""
    torch.manual_seed(seed)
    codec = build_module(config)
    assert isinstance(codec, PictureCodec)
    return codec


def quality_of(codec: PictureCodec, items: int) -> Tensor | None:
    """What `PictureCodec.code` takes."""
    return torch.full((items,), QUALITY) if codec.variable_rate else None


def train_codec(
    codec: PictureCodec, plan: Plan, data: CropData, lam: float = LAMBDA
) -> list[dict[str, float]]:
    """Train on crops of the data; returns the validation curve, from estimated bits."""
    task = RateDistortion(codec, lambda_high=lam)
    crops = RandomCrops(data.paths("train"), data.crop, data.batch_size, data.seed)
    paths = data.paths("validation")
    spread = np.linspace(0, len(paths) - 1, data.validation_pictures)
    pictures = Pictures([paths[int(i)] for i in spread], data.validation_size)
    held_out = torch.stack([pictures[i] for i in range(len(pictures))])

    def loss_of(x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        port = RateMeter(training=True)
        x_hat = codec.code(x, (n, h, w), quality_of(codec, n), port).x_hat
        return (port.total() / (h * w) + lam * task.objective.distortions(x, x_hat)).mean()

    def validate() -> dict[str, float]:
        losses, rates, errors = [], [], []
        for x in held_out.split(4):
            n, _, h, w = x.shape
            port = RateMeter(training=False)
            x_hat = codec.code(x, (n, h, w), quality_of(codec, n), port).x_hat
            rates.append(port.total() / (h * w))
            errors.append(task.objective.distortions(x, as_pixels(x_hat).float() / 255))
            losses.append(rates[-1] + lam * errors[-1])
        figures = {"loss": losses, "bpp": rates, "mse": errors}
        return {key: round(float(torch.cat(v).mean()), 5) for key, v in figures.items()}

    return train_for(codec, plan, crops.batch, loss_of, validate)


@torch.no_grad()
def on_kodak(codec: PictureCodec) -> list[Row]:
    """Each picture as a real stream: bits per pixel, PSNR of the 8-bit picture, loss."""
    task = RateDistortion(codec, lambda_high=LAMBDA)
    deployed = copy.deepcopy(codec).deploy()
    rows: list[Row] = []
    paths = find_dataset("kodak")
    pictures = Pictures(paths, 10**6)
    for number, path in enumerate(paths):
        x = pictures[number][None]
        n, _, h, w = x.shape
        writer = SymbolWriter(n)
        x_hat = deployed.code(x, (n, h, w), quality_of(codec, n), writer).x_hat
        bpp = 8 * len(writer.finish()[0]) / (h * w)
        error = float(task.objective.distortions(x, as_pixels(x_hat).float() / 255))
        psnr = 10 * float(np.log10(255**2 / error))
        rows.append(
            {
                "image": path.stem,
                "bpp": round(bpp, 5),
                "psnr": round(psnr, 4),
                "loss": round(bpp + LAMBDA * error, 5),
            }
        )
    return rows


def train(names: list[str], plan: Plan, output: Path, data: CropData, pilot: bool) -> None:
    """Train each and, but in a pilot, measure it; weights and results go to files of its name."""
    for name in names:
        print(f"-- {name}", flush=True)
        config = config_of(name)
        codec = codec_of(config, plan.seed)
        slow = systems("transforms")[name].get("slow", {})
        own = Plan(**{**vars(plan), "slow": slow})
        curve = train_codec(codec, own, data)
        output.mkdir(parents=True, exist_ok=True)
        torch.save(codec.state_dict(), output / f"{name}.pt")
        rows = [] if pilot else on_kodak(codec)
        write_run(output / f"{name}.json", name, config, own, codec, curve, rows, lam=LAMBDA)


def report(output: Path, json: Path | None, figure: Path | None) -> None:
    """Print the table; write all runs to one file, and draw the curves."""
    runs = read_runs(output, list(systems("transforms")))
    first = next(iter(runs.values()))
    print(f"loss against {first['name']}, %, and its 95 % interval over the pictures")
    print("| transform | parameters | steps | validation loss | bpp | PSNR, dB | loss | against |")
    print("|---|---|---|---|---|---|---|---|")
    for name, one in runs.items():
        last = one["curve"][-1]
        against = "" if one is first else in_words(paired_difference(one, first, "loss"))
        print(
            f"| {name} | {one['parameters']:,} | {last['steps']:,} | {last['loss']:.3f} | "
            f"{mean(one, 'bpp'):.3f} | {mean(one, 'psnr'):.2f} | {mean(one, 'loss'):.3f} | "
            f"{against} |"
        )
    if json:
        write_json(json, runs, indent=0)
    if figure:
        label = "validation loss, bpp + lambda 255² MSE"
        draw_curves(figure, runs, "loss", label, skip=0.05, logarithmic=True)


def main() -> int:
    """Train, or report what was trained."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("train", "report"))
    parser.add_argument("names", nargs="*", help="of transforms; all by default")
    parser.add_argument("--seconds", type=float, default=300, help="CPU time of the steps of each")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pilot", action="store_true", help="leave Kodak alone, to choose")
    parser.add_argument("--output", type=Path, default=Path("runs/transforms"))
    parser.add_argument("--json", type=Path, help="write all runs to one file")
    parser.add_argument("--figure", type=Path, help="draw the training curves")
    options = parser.parse_args()
    one_thread()
    if options.action == "report":
        report(options.output, options.json, options.figure)
        return 0
    data = CropData(
        crop=CROP,
        batch_size=BATCH,
        validation_pictures=VALIDATION_PICTURES,
        validation_size=256,
        seed=options.seed,
    )
    plan = Plan(options.seconds, learning_rate=options.learning_rate, seed=options.seed)
    train(chosen(options.names, "transforms"), plan, options.output, data, options.pilot)
    return 0


if __name__ == "__main__":
    run(main, "compare_transforms.py")
