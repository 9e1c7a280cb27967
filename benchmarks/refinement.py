"""Refinement at the encoder: loss, bits and seconds against efforts, picture by picture.

    python benchmarks/refinement.py train [NAME...] --seconds 300 --output runs/refinement
    python benchmarks/refinement.py measure MODEL... --steps 60 [--crop 256] [--json FILE]
    python benchmarks/refinement.py measure default --qualities 8,24,40 --efforts 1,3,5

`train` makes small models of the published systems below, by the parts of small_systems.yaml, on
natural-crops, and writes each to OUTPUT/NAME.safetensors, and the same with rate-distortion
optimised quantisation to OUTPUT/NAME-rdo.safetensors. `measure` codes Kodak without and with
refinement, holds both files' bytes and pixels against each other, and decodes the second one.
KODEC_DATA names the folder with the data.
"""

import copy
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compare_transforms import BATCH, CROP, VALIDATION_PICTURES, codec_of, train_codec
from kodec.codecs import Codec, Objective, Picture, load, read_plain_picture, save_model, to_tensor
from kodec.codecs.fitted import Budget, RefiningCodec, latent_schedule
from kodec.eval import describe_machine, find_dataset
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.native import KodecError
from kodec.train import CropData
from reporting import parser_of, run, write_json
from timed_training import Plan, in_words, one_thread, systems

PUBLISHED = {
    "mbt2018-mean": ("gdn", "mean-scale-hyperprior"),
    "elic": ("elic", "uneven-slices"),
    "mlicpp": ("residual", "multi-reference"),
}
# Low: what is trained for minutes alone does not come to the quality of a high one.
LAMBDA = 0.0018
LAGRANGIANS = (0.02, 0.05, 0.1, 0.2)


def config_of(name: str, lagrangian: float = 0.0) -> dict[str, Any]:
    """The codec section of a small system."""
    transform, latents = PUBLISHED[name]
    parts = {k: v for k, v in systems("transforms")[transform].items() if k != "slow"}
    section = copy.deepcopy(systems("latents")[latents])
    section["init_args"]["lagrangian"] = lagrangian
    return {"class_path": "kodec.codecs.PictureCodec", "init_args": {**parts, "latents": section}}


def train(names: Sequence[str], plan: Plan, output: Path, data: CropData) -> None:
    """Train each, and write its two model files."""
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"-- {name}", flush=True)
        codec = codec_of(config_of(name), plan.seed)
        train_codec(codec, plan, data, LAMBDA)
        weights = copy.deepcopy(codec.state_dict())
        write(name, weights, output / f"{name}.safetensors", 0.0)
        trials = {value: output / f"{name}-{value}.safetensors" for value in LAGRANGIANS}
        losses = {}
        for lagrangian, path in trials.items():
            write(name, weights, path, lagrangian)
            pictures = [read_plain_picture(p) for p in data.paths("validation")[::40]]
            losses[lagrangian] = np.mean([plain(load(path), p)["loss"] for p in pictures])
        best = min(losses, key=lambda key: losses[key])
        print(f"losses by lagrangian {losses}, {best} is taken", flush=True)
        trials.pop(best).replace(output / f"{name}-rdo.safetensors")
        for path in trials.values():
            path.unlink()


def write(name: str, weights: dict[str, Tensor], path: Path, lagrangian: float) -> None:
    """A model file of these weights."""
    config = config_of(name, lagrangian)
    codec = codec_of(config, seed=0)
    codec.load_state_dict(weights)
    save_model(codec, config, path, path.stem, objective=Objective("mse", LAMBDA, LAMBDA))


def plain(codec: Codec, picture: Picture, quality: int | None = None) -> dict[str, float]:
    """A picture coded without refinement."""
    encoded = codec.encode_picture(picture, quality)
    return figures(codec, picture, quality, encoded.data, encoded.reconstruction.pixels)


def figures(
    codec: Codec, picture: Picture, quality: int | None, data: bytes, decoded: NDArray[np.uint8]
) -> dict[str, float]:
    """bpp, PSNR in dB, and the loss that the model was trained for, of a file and its picture."""
    assert codec.info.objective is not None
    height, width, _ = picture.pixels.shape
    error = float((to_tensor(picture.pixels) - to_tensor(decoded)).square().mean()) * 255**2
    bpp = 8 * len(data) / (height * width)
    loss = bpp + codec.info.objective.lambda_at(quality) * error
    return {"bpp": bpp, "psnr": 10 * math.log10(255**2 / error), "loss": loss}


def refined(codec: Codec, picture: Picture, quality: int | None, steps: int) -> dict[str, Any]:
    """One picture without and with refinement; the second file is decoded."""
    before = plain(codec, picture, quality)
    start, start_cpu = time.perf_counter(), time.process_time()
    found = RefiningCodec(codec, Budget(steps=steps)).refine(picture, quality)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    decoded = codec.decode_picture(found.coded.data).pixels
    if not np.array_equal(decoded, found.coded.reconstruction.pixels):
        raise KodecError("a refined file does not decode to its reconstruction")
    after = figures(codec, picture, quality, found.coded.data, decoded)
    return {
        "before": before,
        "after": after,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
    }


def measure(
    model: str, qualities: Sequence[int | None], steps: Sequence[int], crop: int, pictures: int
) -> Iterator[dict[str, Any]]:
    """Every picture at every quality and number of steps; prints a line for each of those."""
    codec = load(model)
    for quality, count in itertools.product(qualities, steps):
        own = []
        for path in find_dataset("kodak")[:pictures]:
            picture = Picture(centre(read_plain_picture(path).pixels, crop))
            row = refined(codec, picture, quality, count)
            own.append({"image": path.stem, "quality": quality, "steps": count, **row})
            yield own[-1]
        print(in_a_line(codec.name, quality, count, own), flush=True)


def centre(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The square of that side in the middle; 0: all."""
    if not side:
        return pixels
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def in_a_line(name: str, quality: int | None, steps: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Changes in percent, with intervals over the pictures; bits: at equal distortion."""
    losses = [100 * (row["after"]["loss"] / row["before"]["loss"] - 1) for row in rows]
    bits = [
        100 * (row["after"]["loss"] - row["before"]["loss"]) / row["before"]["bpp"] for row in rows
    ]
    parts = [f"{name}, quality {quality}, {steps} steps, {len(rows)} pictures"]
    for label, values in (("loss", losses), ("bits", bits)):
        mean = (float(np.mean(values)), interval_of_mean(values))
        parts.append(f"{label} {in_words(mean)} %, from {min(values):+.2f} to {max(values):+.2f}")
    seconds, cpu = (np.mean([row[key] for row in rows]) for key in ("seconds", "cpu_seconds"))
    parts.append(f"{seconds:.1f} s a picture, {cpu:.1f} of CPU time")
    return "; ".join(parts)


def main() -> int:
    """Train, or measure."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("train", "measure"))
    parser.add_argument("names", nargs="*", help="systems to train, or models to measure")
    parser.add_argument("--seconds", type=float, default=300, help="CPU time of each training")
    parser.add_argument("--output", type=Path, default=Path("runs/refinement"))
    parser.add_argument("--steps", type=int, help="of each refinement, instead of efforts")
    parser.add_argument("--efforts", default="5", help="with commas between them")
    parser.add_argument("--qualities", help="of a variable-rate model, with commas between them")
    parser.add_argument("--crop", type=int, default=0, help="side of a square; 0: whole pictures")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write every row, as it comes")
    options = parser.parse_args()
    if options.action == "train":
        one_thread()
        data = CropData(
            crop=CROP,
            batch_size=BATCH,
            validation_pictures=VALIDATION_PICTURES,
            validation_size=256,
        )
        train(options.names or list(PUBLISHED), Plan(options.seconds), options.output, data)
        return 0
    torch.set_num_threads(options.threads)
    schedule = latent_schedule()
    efforts = [schedule.steps[int(effort)] for effort in options.efforts.split(",")]
    steps = efforts if options.steps is None else [options.steps]
    qualities = [int(q) for q in options.qualities.split(",")] if options.qualities else [None]
    rows: dict[str, list[dict[str, Any]]] = {}
    for model in options.names or ["default"]:
        for row in measure(model, qualities, steps, options.crop, options.pictures):
            rows.setdefault(model, []).append(row)
            if options.json:
                write_json(options.json, {"machine": describe_machine(), "rows": rows}, indent=0)
    return 0


if __name__ == "__main__":
    run(main, "refinement.py")
