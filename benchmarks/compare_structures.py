"""Structures of the default model in equal CPU time, all from the embedded weights.

    python benchmarks/compare_structures.py train baseline half-resolution --seconds 300 \
        --output runs/structures
    python benchmarks/compare_structures.py report --output runs/structures \
        [--json docs/experiments/default-structure.json]

`train` builds the codec of train/configs/default.yaml with the changes that structures.yaml names,
gives it the embedded weights (parts that these lack start as no change), and trains it for as much
CPU time of the steps as `--seconds` says, at the config's precision for this machine. Then it is
run over 24 validation crops of natural-crops, held out by source picture, at five qualities: bits
by the model's own likelihoods, pixels of 8 bits. `report` compares each run with the first one of
its seed: loss and BD-rate, picture by picture. Never run on a test set. KODEC_DATA names the folder
with the data. One thread.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from kodec.codecs import PictureCodec, as_pixels, build_module
from kodec.codecs.coded_transform import CodedLatents
from kodec.entropy import RateMeter
from kodec.eval import Curve, Interval, bd_rate
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.native import InvalidInputError
from kodec.train import CropData, RateDistortion
from kodec.train.data import Pictures, RandomCrops, pixels_and_regions
from kodec.train.numbered_batches import samples_of
from kodec.train.precision import automatic_precision
from reporting import parser_of, run, write_json
from timed_training import Plan, in_words, one_thread, train_for, write_run

CONFIG = Path(__file__).parents[1] / "train/configs/default.yaml"
STRUCTURES = Path(__file__).with_name("structures.yaml")
QUALITIES = (4, 16, 28, 40, 52)
PICTURES, SIDE = 24, 256
# Of the timed synthesis, in latent positions: a picture of 768x512.
TIMED = (32, 48)


def structures() -> dict[str, dict[str, Any]]:
    """The changes by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(STRUCTURES.read_text())
    return found


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The config with one structure's changes."""
    made = copy.deepcopy(dict(config))
    for part, arguments in changes.items():
        if part == "data":
            made["data"].update(arguments)
        elif part == "objective":
            made["model"].update(arguments)
        else:
            made["model"]["codec"]["init_args"][part]["init_args"].update(arguments)
    return made


def task_of(config: Mapping[str, Any], start_from: str, seed: int) -> RateDistortion:
    """The codec of a config with the weights of a model; what those lack by the seed."""
    torch.manual_seed(seed)
    settings = {k: v for k, v in config["model"].items() if k != "codec"}
    codec = build_module(config["model"]["codec"])
    assert isinstance(codec, PictureCodec)
    return RateDistortion(codec, **settings, start_from=start_from, grown=True)


def held_out() -> Pictures:
    """The validation crops, evenly spread over the split."""
    paths = CropData().paths("validation")
    return Pictures([paths[int(i)] for i in np.linspace(0, len(paths) - 1, PICTURES)], SIDE)


@torch.no_grad()
def measure(task: RateDistortion, pictures: Pictures) -> list[dict[str, Any]]:
    """A row for each picture: bpp, PSNR in dB and the loss by quality."""
    deployed = copy.deepcopy(task.codec).deploy()
    rows = []
    for number, path in enumerate(pictures.paths):
        row: dict[str, Any] = {"image": path.stem, "bpp": [], "psnr": [], "loss": []}
        x = pictures[number][None]
        _, _, h, w = x.shape
        for q in QUALITIES:
            quality = torch.tensor([float(q)])
            port = RateMeter(training=False)
            x_hat = as_pixels(deployed.code(x, (1, h, w), quality, port).x_hat).float() / 255
            bpp = float(port.total()) / (h * w)
            lam = task.objective.lambdas(quality)
            error = task.objective.distortions(x, x_hat)
            row["bpp"].append(round(bpp, 6))
            row["psnr"].append(round(10 * float(torch.log10(255**2 / error)), 5))
            row["loss"].append(round(float((bpp + lam * error) / lam.sqrt()), 6))
        rows.append(row)
    return rows


@torch.no_grad()
def synthesis_seconds(codec: PictureCodec, repeats: int = 7) -> float:
    """CPU time of the synthesis of a picture of 768x512, the least of several."""
    codec.eval()
    torch.manual_seed(0)
    coded = CodedLatents(torch.randn(1, codec.latent_model.channels, *TIMED).round())
    found = []
    for _ in range(repeats):
        start = time.process_time()
        codec.synthesise(coded, torch.tensor([28.0]))
        found.append(time.process_time() - start)
    return min(found)


def train(name: str, start_from: str, plan: Plan, path: Path, pictures: Pictures) -> None:
    """Train one structure and measure it; weights and results go to files beside each other."""
    config = changed(yaml.safe_load(CONFIG.read_text()), structures()[name])
    task = task_of(config, start_from, plan.seed)
    data = CropData(**config["data"])
    crops = RandomCrops(data.paths("train"), data.crop, data.batch_size, plan.seed)
    halves = automatic_precision("cpu") == "bf16-mixed"

    def batch(number: int) -> Tensor:
        return pixels_and_regions(crops.batch(number))[0]

    batches = itertools.count()

    def loss_of(x: Tensor) -> Tensor:
        samples = samples_of(next(batches), len(x), 0, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            return task.loss_of(x, samples)[0]

    own = Plan(**{**vars(plan), "slow": task.slow})
    # All start at the same loss, and the end is measured below: nothing to validate on the way.
    curve = train_for(task.codec, own, batch, loss_of, lambda: {})
    rows = measure(task, pictures)
    print(f"loss {np.mean([row['loss'] for row in rows]):.5f}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(task.codec.state_dict(), path.with_suffix(".pt"))
    write_run(
        path,
        name,
        config,
        own,
        task.codec,
        curve,
        [],
        start_from=start_from,
        synthesis_seconds=round(synthesis_seconds(task.codec), 4),
        pictures=rows,
    )


def curve_of(name: str, row: Mapping[str, Any]) -> Curve:
    """A picture's bits per pixel against PSNR-RGB."""
    return Curve(name, tuple(row["bpp"]), tuple(row["psnr"]), "psnr-rgb")


def differences(test: Mapping[str, Any], anchor: Mapping[str, Any]) -> dict[str, list[float]]:
    """By picture, in percent: loss, over all qualities and at each, and BD-rate.

    Raises `InvalidInputError` where the runs have other pictures.
    """
    found: dict[str, list[float]] = {"BD-rate": [], "loss": [], **{f"q{q}": [] for q in QUALITIES}}
    for ours, theirs in zip(test["pictures"], anchor["pictures"], strict=True):
        if ours["image"] != theirs["image"]:
            raise InvalidInputError(f"{test['name']} and {anchor['name']} have other pictures")
        rate = bd_rate(curve_of("ours", ours), curve_of("theirs", theirs))
        found["BD-rate"].append(rate.value_percent)
        ratios = 100 * (np.asarray(ours["loss"]) / np.asarray(theirs["loss"]) - 1)
        found["loss"].append(float(ratios.mean()))
        for q, ratio in zip(QUALITIES, ratios, strict=True):
            found[f"q{q}"].append(float(ratio))
    return found


def interval(values: list[float]) -> tuple[float, Interval]:
    """The mean over pictures and its interval."""
    return float(np.mean(values)), interval_of_mean(values)


def report(output: Path, json: Path | None) -> None:
    """Print the table; write all runs to one file."""
    import json as reading

    runs = [reading.loads(path.read_text()) for path in sorted(output.glob("*.json"))]
    order = list(structures())
    runs.sort(key=lambda r: (r["plan"]["seed"], order.index(r["name"])))
    heads = ["structure", "seed", "parameters", "steps", "synthesis, ms", "BD-rate", "loss"]
    print("| " + " | ".join([*heads, *(f"q{q}" for q in QUALITIES)]) + " |")
    print("|" + "---|" * (len(heads) + len(QUALITIES)))
    for found in runs:
        anchor = next(r for r in runs if r["plan"]["seed"] == found["plan"]["seed"])
        cells = [
            found["name"],
            str(found["plan"]["seed"]),
            f"{found['parameters']:,}",
            f"{found['curve'][-1]['steps']:,}",
            f"{1000 * found['synthesis_seconds']:.0f}",
        ]
        if found is not anchor:
            changes = differences(found, anchor)
            cells += [in_words(interval(changes[key])) for key in ("BD-rate", "loss")]
            cells += [f"{np.mean(changes[f'q{q}']):+.2f}" for q in QUALITIES]
        print("| " + " | ".join(cells + [""] * (len(heads) + len(QUALITIES) - len(cells))) + " |")
    if json:
        write_json(json, {"runs": runs}, indent=0)


def main() -> int:
    """Train, or report on what was trained."""
    parser = parser_of(__doc__)
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("action", choices=("train", "report"))
    parser.add_argument("names", nargs="*", help="of structures.yaml")
    parser.add_argument("--seconds", type=float, default=300, help="CPU time of each training")
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--start-from", default="default", help="an embedded model, or a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/structures"))
    parser.add_argument("--json", type=Path, help="write all runs")
    options = parser.parse_args()
    one_thread()
    if options.action == "report":
        report(options.output, options.json)
        return 0
    unknown = [name for name in options.names if name not in structures()]
    if unknown:
        raise InvalidInputError(f"structures are {', '.join(structures())}, not {unknown[0]}")
    plan = Plan(
        options.seconds,
        learning_rate=options.learning_rate,
        decay=0.7,
        checks=10,
        seed=options.seed,
    )
    pictures = held_out()
    for name in options.names:
        print(f"-- {name}, seed {options.seed}", flush=True)
        path = options.output / f"{name}-{options.seed}.json"
        train(name, options.start_from, plan, path, pictures)
    return 0


if __name__ == "__main__":
    run(main, "compare_structures.py")
