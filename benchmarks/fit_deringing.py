"""Fit the default model's deringing by least squares, and measure it.

    python benchmarks/fit_deringing.py collect --output runs/deringing
    python benchmarks/fit_deringing.py fit --output runs/deringing
    python benchmarks/fit_deringing.py report --output runs/deringing [--json FILE]

`collect` codes training crops of natural-crops with a model (the embedded default, if none is
named; without its filter, if it has one) at the filter's knots of quality, and 24 validation crops
held out by source at five qualities, and keeps the pixels. `fit` solves for the taps of each kind
of place at each knot, and writes them to taps.pt and, in the model, to model.safetensors, which
`embed_default.py export` embeds. `report` prints squared error and BD-rate of the validation crops,
bits being the same. Never run on a test set. KODEC_DATA names the folder with the data. One thread.
"""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compare_structures import QUALITIES, SIDE, curve_of, held_out
from kodec.codecs import (
    PictureCodec,
    as_pixels,
    build_module,
    fill_from_model,
    find_model,
    load,
    load_model,
    save_model,
)
from kodec.entropy import RateMeter
from kodec.eval import bd_rate
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.models import RefinedLappedSynthesis
from kodec.models.deringing import (
    COLOUR_FEATURES,
    COLOUR_TAPS,
    FEATURES,
    GUIDES,
    KINDS,
    KNOTS,
    TAPS,
    Deringing,
    by_pixel,
    components_of,
    differences_at,
    places_of,
    regressions_of,
    shares_of,
)
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import Pictures
from reporting import parser_of, run, write_json
from timed_training import in_words, one_thread

TRAINING_PICTURES = 192
RIDGE = 1e-3
# Kinds that save less than this fraction of all error stay unfiltered, and take no time.
LEAST_SAVED = 2e-4


@torch.inference_mode()
def collect(model: str, output: Path) -> None:
    """Code all crops at all qualities; writes `coded.pt`."""
    network = load(model).network.float()
    if isinstance(network.synthesis, RefinedLappedSynthesis):
        network.synthesis.deringing = None
    paths = CropData().paths("train")
    spread = np.linspace(0, len(paths) - 1, TRAINING_PICTURES)
    sets = {
        "train": (Pictures([paths[int(i)] for i in spread], SIDE), KNOTS),
        "validation": (held_out(), tuple(map(float, QUALITIES))),
    }
    found = {}
    for name, (pictures, qualities) in sets.items():
        rows = [coded(network, pictures[i][None], qualities) for i in range(len(pictures))]
        found[name] = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        print(f"{name}: {len(pictures)} crops", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, **found}, output / "coded.pt")


def coded(network: PictureCodec, x: Tensor, qualities: tuple[float, ...]) -> dict[str, Tensor]:
    """By quality: bpp and pixels of one crop (1, 3, H, W); and its own pixels."""
    _, _, h, w = x.shape
    bpp, decoded = [], []
    for q in qualities:
        port = RateMeter(training=False)
        x_hat = network.code(x, (1, h, w), torch.tensor([q]), port).x_hat
        bpp.append(float(port.total()) / (h * w))
        decoded.append(x_hat[0].half())
    pixels = (x[0] * 255).round().byte()
    return {"x": pixels, "bpp": torch.tensor(bpp), "x_hat": torch.stack(decoded)}


def prepared(data: dict[str, Tensor], at: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each crop: components (1, 3, H, W), what they lack (3, H W), shares (`KINDS`, H W)."""
    for x, x_hat in zip(data["x"], data["x_hat"], strict=True):
        decoded = components_of(x_hat[at][None].float())
        lacks = components_of(x[None].float() / 255) - decoded
        shares = by_pixel(shares_of(places_of(decoded[:, :1]))[0])
        yield decoded, lacks[0].flatten(1), shares.flatten(1)


def solved(data: dict[str, Tensor], at: int) -> tuple[list[Tensor], Tensor]:
    """Of each component taps and weights of guides (`KINDS`, features) at a knot, and the clips.

    Each kind's own errors count by its shares. A place's error, which all its kinds' taps make
    together, is no larger than their mean, as squares are convex.
    """
    every = torch.stack([lacks.square().mean(1) for _, lacks, _ in prepared(data, at)])
    clips = every.mean(0).sqrt()
    sides = (TAPS, COLOUR_TAPS, COLOUR_TAPS)
    sizes = [2 * (side**2 - 1) + GUIDES for side in sides]
    products = [torch.zeros(KINDS, size, size, dtype=torch.float64) for size in sizes]
    targets = [torch.zeros(KINDS, size, dtype=torch.float64) for size in sizes]
    for decoded, lacks, shares in prepared(data, at):
        guides = regressions_of(decoded, clips[0]).flatten(2)
        for kind, share in enumerate(shares):
            places = share.nonzero().squeeze(1)
            for c, side in enumerate(sides):
                plane = decoded[:, c : c + 1]
                features = differences_at(plane, places, clips[c], side)
                features = torch.cat([features, guides[c, :, places].t()], dim=1)
                weighted = features * share[places, None]
                products[c][kind] += (weighted.t() @ features).double()
                targets[c][kind] += (weighted.t() @ lacks[c, places]).double()
    total = every.sum(0) * lacks.shape[1]
    found = [weights_of(*sums, float(total.sum())) for sums in zip(products, targets, strict=True)]
    by_component = ", ".join(
        f"{100 * saved / max(float(error), 1e-9):.2f} % ({int(weights.any(1).sum())} kinds)"
        for (weights, saved), error in zip(found, total, strict=True)
    )
    print(
        f"quality {KNOTS[at]:.0f}: clip {255 * float(clips[0]):.1f}, of training crops' error in "
        f"luma and colours saved {by_component}",
        flush=True,
    )
    return [weights for weights, _ in found], clips


def weights_of(products: Tensor, targets: Tensor, total: float) -> tuple[Tensor, float]:
    """Least squares of each kind, those that save too little of `total` left out; what is saved."""
    size = products.diagonal(dim1=1, dim2=2).mean(1)
    ridge = (RIDGE * size + 1e-9)[:, None, None] * torch.eye(products.shape[-1])
    weights = torch.linalg.solve(products + ridge, targets)
    left = torch.einsum("kf,kfg,kg->k", weights, products, weights)
    saved = 2 * (weights * targets).sum(1) - left
    weights[saved < LEAST_SAVED * total] = 0
    return weights.float(), float(saved[saved >= LEAST_SAVED * total].sum())


def put(filter_: Deringing, at: int, weights: list[Tensor], clips: Tensor) -> None:
    """Give a guided filter what was solved for at a knot."""
    luma, *colours = weights
    filter_.taps[at], filter_.guides[at, :, 0] = luma.split((FEATURES, GUIDES), dim=1)
    for c, own in enumerate(colours):
        taps, guides = own.split((COLOUR_FEATURES, GUIDES), dim=1)
        filter_.colour_taps[at, :, c], filter_.guides[at, :, c + 1] = taps, guides
    filter_.clip[at], filter_.colour_clip[at] = clips[0].log(), clips[1:].log()


@torch.no_grad()
def fit(content: dict[str, Any], output: Path) -> None:
    """Solve at all knots; writes the taps, and a model with them."""
    filter_ = Deringing(guided=True)
    for at in range(len(KNOTS)):
        put(filter_, at, *solved(content["train"], at))
    torch.save(filter_.state_dict(), output / "taps.pt")
    path = find_model(content["model"])
    _, info = load_model(path)
    config = copy.deepcopy(dict(info.config))
    config["init_args"]["synthesis"]["init_args"].update(deringing=True, guided=True)
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    fill_from_model(network, path, grown=True)
    assert isinstance(network.synthesis, RefinedLappedSynthesis)
    assert network.synthesis.deringing is not None
    network.synthesis.deringing.load_state_dict(filter_.state_dict())
    save_model(
        network,
        config,
        output / "model.safetensors",
        info.name,
        info.notes,
        objective=info.objective,
    )


@torch.no_grad()
def errors(filter_: Deringing | None, data: dict[str, Tensor]) -> Any:
    """Squared errors of 8-bit pixels, (pictures, qualities)."""
    found = []
    for x, x_hat in zip(data["x"], data["x_hat"], strict=True):
        made = x_hat.float()
        if filter_ is not None:
            made = filter_(made, torch.tensor(QUALITIES).float())
        found.append((as_pixels(made).double() - x.double()).square().mean((1, 2, 3)))
    return torch.stack(found).numpy()


@torch.no_grad()
def seconds(filter_: Deringing, data: dict[str, Tensor], repeats: int = 9) -> float:
    """CPU time of the filter on 768x512 pixels made of validation crops, the least of several."""
    rows = [torch.cat(list(data["x_hat"][3 * i : 3 * i + 3, 2]), dim=2) for i in range(2)]
    x = torch.cat(rows, dim=1)[None].float()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        filter_(x, torch.tensor([28.0]))
        found.append(time.process_time() - start)
    return min(found)


def report(content: dict[str, Any], output: Path, json: Path | None) -> None:
    """Print errors and BD-rate of the validation crops."""
    filter_ = Deringing(guided=True)
    filter_.load_state_dict(torch.load(output / "taps.pt", weights_only=True))
    data = content["validation"]
    before, after = errors(None, data), errors(filter_, data)
    changes = 100 * (after / before - 1)
    print("| quality | error, % | by crop |\n|---|---|---|")
    for q, column in zip(QUALITIES, changes.T, strict=True):
        print(f"| {q} | {column.mean():+.2f} | {column.min():+.1f} to {column.max():+.1f} |")
    rates = []
    for bpp, own, plain in zip(data["bpp"].tolist(), after, before, strict=True):
        rows = [{"bpp": bpp, "psnr": 10 * np.log10(255**2 / e)} for e in (own, plain)]
        rates.append(bd_rate(curve_of("ours", rows[0]), curve_of("theirs", rows[1])).value_percent)
    print(f"{1000 * seconds(filter_, data):.1f} ms of CPU time for 768x512 pixels")
    print(f"BD-rate {in_words((float(np.mean(rates)), interval_of_mean(rates)))} %, ", end="")
    print(f"median {np.median(rates):+.2f}, from {min(rates):+.1f} to {max(rates):+.1f}")
    if json:
        write_json(json, {"errors, %": changes.round(3).tolist(), "BD-rates, %": rates}, indent=0)


def main() -> int:
    """Collect, fit or report."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("collect", "fit", "report"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--output", type=Path, default=Path("runs/deringing"))
    parser.add_argument("--json", type=Path, help="write figures by crop")
    options = parser.parse_args()
    one_thread()
    if options.action == "collect":
        collect(options.model, options.output)
        return 0
    path = options.output / "coded.pt"
    if not path.is_file():
        raise InvalidInputError(f"there is no {path}: run `collect` first")
    content = torch.load(path, weights_only=True)
    if options.action == "fit":
        fit(content, options.output)
    else:
        report(content, options.output, options.json)
    return 0


if __name__ == "__main__":
    run(main, "fit_deringing.py")
