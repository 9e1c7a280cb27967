"""Latent models on the latents of one frozen transform: bits on Kodak, after equal time or steps.

    python benchmarks/compare_latents.py freeze gdn --seconds 900 --output runs/latents
    python benchmarks/compare_latents.py train [raster ...] --seconds 240 --output runs/latents
    python benchmarks/compare_latents.py train raster --steps 4000 --after "" --seed 1 \
        --suffix=-longer --output runs/latents
    python benchmarks/compare_latents.py report --output runs/latents [--suffix=-longer] \
        [--json docs/experiments/latent-models.json] [--figure docs/experiments/latent-models.png]

`freeze` trains one transform of small_systems.yaml, as compare_transforms.py does, and keeps its
latents y: of flipped and transposed training pictures and of held-out ones. `train` trains the
named latent models (all, if none is named) on those of the training pictures, in the same order,
each for as much CPU time of its steps as `--seconds` says. Hyper-networks start from those that
were trained with the transform, where they have the same inputs and sizes, unless `--anew`; heads
and contexts start anew. `--after` goes on from earlier runs' weights instead. Then the bits of each
Kodak picture's y are counted, rounded as a writer rounds it. Latents that a model's own residual
prediction or means bring nearer to y count too: each is also measured as bits + 6 / ln 2 squared
errors, the price of distortion at high rates, and behind the frozen synthesis. `report` compares
each model with one of them (`--than`), and with the one before it in small_systems.yaml, picture by
picture. KODEC_DATA names the folder with the data. One thread.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compare_transforms import (
    BATCH,
    CROP,
    LAMBDA,
    VALIDATION_PICTURES,
    codec_of,
    config_of,
    train_codec,
)
from kodec.codecs import PictureCodec, as_pixels, build_module
from kodec.entropy import Conditions, RateMeter
from kodec.eval import find_dataset
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import Crops, Pictures, RandomCrops
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

SIDE = 256
CACHED_BATCHES, CACHED_BATCH = 400, 8
AUGMENTATION_SEED = 1
# Bits that one squared quantisation step is worth where rate and distortion balance: the slope of
# a uniform quantiser's 1/12 step^2 against its rate, at high rates.
SLOPE = 6 / math.log(2)
# Their hyper-networks see magnitudes: nothing to take from networks that see the latents.
SEE_MAGNITUDES = ("scale-hyperprior",)


def pixels_of(batch: Crops) -> Tensor:
    """What crops without labels are."""
    assert isinstance(batch, Tensor)
    return batch


@torch.no_grad()
def latents_of(codec: PictureCodec, x: Tensor) -> Tensor:
    """The analysis alone: pixels (N, 3, H, W) -> latents, before any rounding."""
    if codec.side is not None or codec.variable_rate:
        raise InvalidInputError("freeze a transform without side latents and without a gain")
    y: Tensor = codec.analysis(codec.pad(x), None)
    return y


def freeze(name: str, plan: Plan, output: Path) -> None:
    """Train the transform; keep its weights and the latents of all pictures."""
    config = config_of(name)
    codec = codec_of(config, plan.seed)
    data = CropData(
        crop=CROP,
        batch_size=BATCH,
        validation_pictures=VALIDATION_PICTURES,
        validation_size=SIDE,
        seed=plan.seed,
    )
    curve = train_codec(codec, plan, data)
    codec.eval()
    output.mkdir(parents=True, exist_ok=True)
    torch.save(codec.state_dict(), output / "frozen.pt")
    write_run(output / "frozen.json", name, config, plan, codec, curve, [])
    crops = RandomCrops(data.paths("train"), SIDE, CACHED_BATCH, AUGMENTATION_SEED)
    cached = [latents_of(codec, pixels_of(crops.batch(i))) for i in range(CACHED_BATCHES)]
    torch.save(torch.cat(cached), output / "train-latents.pt")
    pictures = Pictures(data.paths("validation"), SIDE)
    held_out = [latents_of(codec, pictures[i][None]) for i in range(len(pictures))]
    torch.save(torch.cat(held_out), output / "validation-latents.pt")


def frozen_codec(output: Path) -> PictureCodec:
    """The codec whose transform was frozen."""
    found = read_runs(output, ["frozen"])
    if not found:
        raise InvalidInputError(f"{output} has no frozen transform: run `freeze` first")
    codec = codec_of(found["frozen"]["config"], 0)
    codec.load_state_dict(torch.load(output / "frozen.pt", weights_only=True))
    return codec.eval()


def costs(model: nn.Module, y: Tensor, training: bool) -> dict[str, Tensor]:
    """Bits, those of the hyper-latents among them, and squared error, per item (N,); and y_hat."""
    port = RateMeter(training)
    y_hat = model.code(y, Conditions(y.shape), port)  # type: ignore[operator]
    bits = port.total()
    z = port.bits.get("z", torch.zeros_like(bits))
    error = (y_hat - y).square().sum(dim=(1, 2, 3))
    return {"bits": bits, "z": z, "error": error, "y_hat": y_hat}


def train_latents(model: nn.Module, plan: Plan, output: Path) -> list[dict[str, float]]:
    """Train on the kept latents; returns the validation curve."""
    kept = torch.load(output / "train-latents.pt", weights_only=True, mmap=True)
    held_out = torch.load(output / "validation-latents.pt", weights_only=True)
    spread = np.linspace(0, len(held_out) - 1, VALIDATION_PICTURES).astype(int)
    held_out = held_out[torch.from_numpy(spread)]
    pixels = SIDE**2

    def batch(step: int) -> Tensor:
        numbers = np.random.default_rng((plan.seed, step)).integers(len(kept), size=BATCH)
        return torch.stack([kept[int(i)] for i in numbers])

    def loss_of(y: Tensor) -> Tensor:
        found = costs(model, y, training=True)
        return (found["bits"] + SLOPE * found["error"]).mean() / pixels

    def validate() -> dict[str, float]:
        found = costs(model, held_out, training=False)
        return {
            "bpp": round(float(found["bits"].mean()) / pixels, 5),
            "cost": round(float((found["bits"] + SLOPE * found["error"]).mean()) / pixels, 5),
            "latent_mse": round(float(found["error"].mean()) / held_out[0].numel(), 5),
        }

    return train_for(model, plan, batch, loss_of, validate)


@torch.no_grad()
def on_kodak(codec: PictureCodec, model: nn.Module) -> list[Row]:
    """Bits per pixel of each picture's latents, their error, and what the synthesis makes of it."""
    rows: list[Row] = []
    paths = find_dataset("kodak")
    pictures = Pictures(paths, 10**6)
    for number, path in enumerate(paths):
        x = pictures[number][None]
        pixels = x.shape[-1] * x.shape[-2]
        y = latents_of(codec, x)
        found = costs(model, y, training=False)
        x_hat = as_pixels(codec.synthesis(found["y_hat"], None)).float() / 255
        squared = float((x - x_hat[..., : x.shape[-2], : x.shape[-1]]).square().mean()) * 255**2
        bits, error = float(found["bits"]), float(found["error"])
        figures = {
            "bpp": bits / pixels,
            "bpp_z": float(found["z"]) / pixels,
            "latent_mse": error / y.numel(),
            "cost": (bits + SLOPE * error) / pixels,
            "psnr": 10 * math.log10(255**2 / squared),
            "loss": bits / pixels + LAMBDA * squared,
        }
        rows.append({"image": path.stem, **{k: round(v, 5) for k, v in figures.items()}})
    return rows


def take_hyper_networks(model: nn.Module, codec: PictureCodec) -> list[str]:
    """Start from the codec's hyper-networks and prior where they fit; names of what was taken."""
    own = {name: value.shape for name, value in model.state_dict().items()}
    trained = codec.latents.state_dict()
    fitting = {
        name: value
        for name, value in trained.items()
        if name.startswith("hyper_") and own.get(name) == value.shape
    }
    model.load_state_dict(fitting, strict=False)
    return list(fitting)


def train(
    names: list[str], plan: Plan, output: Path, suffix: str, anew: bool, after: str | None
) -> None:
    """Train and measure each; results go to files named after it."""
    codec = frozen_codec(output)
    for name in names:
        print(f"-- {name}{suffix}", flush=True)
        config: dict[str, Any] = systems("latents")[name]
        torch.manual_seed(plan.seed)
        model = build_module(config)
        taken: list[str] = []
        if after is not None:
            weights = torch.load(output / f"{name}{after}.pt", weights_only=True)
            model.load_state_dict(weights)
        elif not anew and name not in SEE_MAGNITUDES:
            taken = take_hyper_networks(model, codec)
        curve = train_latents(model, plan, output)
        model.eval()
        torch.save(model.state_dict(), output / f"{name}{suffix}.pt")
        rows = on_kodak(codec, model)
        path = output / f"{name}{suffix}.json"
        write_run(path, name, config, plan, model, curve, rows, taken=len(taken), after=after)


def table_row(name: str, one: dict[str, Any], *others: dict[str, Any]) -> str:
    """One run's figures, then bits and cost against each of the others, in percent."""
    last = one["curve"][-1]
    against = [in_words(paired_difference(one, o, key)) for o in others for key in ("bpp", "cost")]
    figures = [
        name,
        f"{one['parameters']:,}",
        f"{last['steps']:,}",
        f"{last['seconds'] / last['steps']:.3f}",
        f"{last['cost']:.4f}",
        *(f"{mean(one, key):.4f}" for key in ("bpp", "bpp_z", "latent_mse", "cost")),
        f"{mean(one, 'psnr'):.2f}",
        f"{mean(one, 'loss'):.3f}",
        *against,
    ]
    return f"| {' | '.join(figures)} |"


HEADINGS = (
    "| latent model | parameters | steps | s a step | validation cost | bpp | of it z | "
    "latent MSE | cost | PSNR, dB | loss |"
)


def report(output: Path, json: Path | None, figure: Path | None, suffix: str, than: str) -> None:
    """Print the tables; write all runs to one file, and draw the curves."""
    names = list(systems("latents"))
    runs = read_runs(output, names)
    others = read_runs(output, [f"{name}{suffix}" for name in names]) if suffix else {}
    found = {**runs, **others}
    if than not in found:
        raise InvalidInputError(f"there is no run {than} to compare with in {output}")
    print("bits and cost in %, with 95 % intervals over the pictures")
    print(f"{HEADINGS} bits, cost against {than} | | bits, cost against the line above | |")
    before: list[dict[str, Any]] = []
    for name, one in runs.items():
        print(table_row(name, one, found[than], *before))
        before = [one]
    for name, one in others.items():
        same = runs.get(name.removesuffix(suffix))
        also = ", then against the run without suffix" if same else ""
        print(f"\nbits and cost against {than}{also}")
        print(table_row(name, one, found[than], *([same] if same else [])))
    if json:
        write_json(json, {**read_runs(output, ["frozen"]), **found}, indent=0)
    if figure:
        label = "validation cost, bits per pixel"
        draw_curves(figure, found, "cost", label, skip=0.1)


def main() -> int:
    """Freeze, train, or report what was trained."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("freeze", "train", "report"))
    parser.add_argument("names", nargs="*", help="the transform; latent models, all by default")
    parser.add_argument("--seconds", type=float, default=240, help="CPU time of the steps of each")
    parser.add_argument("--steps", type=int, help="train for so many steps, whatever the time")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--anew", action="store_true", help="hyper-networks start anew, too")
    parser.add_argument("--after", help="go on from the weights of runs of that suffix")
    parser.add_argument("--suffix", default="", help="of the names of results, for other plans")
    parser.add_argument("--than", default="channel-slices", help="compare all with this run")
    parser.add_argument("--output", type=Path, default=Path("runs/latents"))
    parser.add_argument("--json", type=Path, help="write all runs to one file")
    parser.add_argument("--figure", type=Path, help="draw the training curves")
    options = parser.parse_args()
    one_thread()
    rate = options.learning_rate
    plan = Plan(options.seconds, options.steps, rate, seed=options.seed)
    if options.action == "freeze":
        if len(options.names) != 1:
            raise InvalidInputError("name one transform to freeze")
        freeze(chosen(options.names, "transforms")[0], plan, options.output)
    elif options.action == "train":
        train(
            chosen(options.names, "latents"),
            plan,
            options.output,
            options.suffix,
            options.anew,
            options.after,
        )
    else:
        report(options.output, options.json, options.figure, options.suffix, options.than)
    return 0


if __name__ == "__main__":
    run(main, "compare_latents.py")
