"""What a filter behind the synthesis and finer first phases could bring, by least squares.

    python benchmarks/least_squares_bounds.py collect --output runs/bounds
    python benchmarks/least_squares_bounds.py report --output runs/bounds [--json FILE]

`collect` runs a model (the embedded default, if none is named) over training crops of natural-crops
and over 24 validation crops held out by source. `report` fits to the former and measures on the
latter, at each quality by itself:

- a filter of decoded pixels, whose 7x7 taps follow the kind of place (spread of luma here, largest
  spread near by, direction of the gradient), on neighbours' differences from the pixel, plain and
  clipped. Source: "Adaptive loop filtering for video coding" (2013), clipping from "VVC".
- for the first phase of the lowest slice, which sees no neighbours: what is left of its values
  where the nearest ones of that phase, four positions away, are known.

Never run on a test set. KODEC_DATA names the folder with the data. One thread.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compare_structures import QUALITIES, SIDE, held_out
from kodec.codecs import PictureCodec, as_pixels, find_model, load_model
from kodec.entropy.distributions import LocationScale
from kodec.eval import Curve, bd_rate
from kodec.models.lapped import COLOUR
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import Pictures
from reporting import parser_of, run, write_json
from timed_training import in_words, one_thread
from where_bits_go import Blocks, local

TRAINING_PICTURES = 64
TAPS = 7
# Bounds of the kinds of place: standard deviations of luma over 5x5, of pixels in 0..255.
SPREADS = (2.0, 6.0, 16.0)
NEAR = 8  # Pixels each way, for the largest spread.
DIRECTIONS = 3  # Along rows, along columns, neither.
CLIP = 0.5  # Of the step at the quality, about: of the root of the mean squared error.
RIDGE = 1e-3

Floats = NDArray[np.float64]


@torch.inference_mode()
def collect(model: str, output: Path) -> None:
    """Code all crops at all qualities; writes `bounds.pt`."""
    network = load_model(find_model(model))[0].deploy()
    paths = CropData().paths("train")
    spread = np.linspace(0, len(paths) - 1, TRAINING_PICTURES)
    sets = {"train": Pictures([paths[int(i)] for i in spread], SIDE), "validation": held_out()}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, pictures in sets.items():
        found[name] = []
        for number in range(len(pictures)):
            x = pictures[number][None]
            row = {
                "pixels": (x[0] * 255).round().byte(),
                "coded": [coded(network, x, q) for q in QUALITIES],
            }
            found[name].append(row)
        print(f"{name}: {len(pictures)} crops", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    torch.save(found, output / "bounds.pt")


def coded(network: PictureCodec, x: Tensor, quality: int) -> dict[str, Any]:
    """Bits, pixels (3, H, W) and, of the lowest slice's first phase, errors in scales (C, h, w)."""
    port = Blocks()
    _, _, h, w = x.shape
    x_hat = network.code(x, (1, h, w), torch.tensor([float(quality)]), port).x_hat
    _, y, dist, _ = next(block for block in port.passed if block[0] == "y0")
    assert isinstance(dist, LocationScale)
    left = ((y.double() - dist.mean) / dist.log_scale.exp())[0]
    side = round(len(left) ** 0.5)
    return {
        "bits": float(port.total()),
        "first": float(port.bits["y0"]),
        "x_hat": as_pixels(x_hat)[0].clone(),
        "left": left.T.reshape(-1, side, side).clone(),
    }


def components(pixels: Tensor) -> Floats:
    """Pixels (3, H, W) in 0..255 -> luma and two chroma components (3, H, W), orthonormal."""
    found: Floats = np.einsum("kc,chw->khw", COLOUR, pixels.double().numpy())
    return found


def kinds_of(luma: Floats) -> NDArray[np.int64]:
    """The kind of each place, (H, W), below `KINDS`."""
    spread = np.sqrt(np.maximum(local(luma**2, 2, False) - local(luma, 2, False) ** 2, 0))
    here = np.searchsorted(SPREADS, spread)
    near = np.searchsorted(SPREADS, local(spread, NEAR, True))
    rows, columns = (local(np.abs(np.gradient(luma, axis=axis)), 2, False) for axis in (0, 1))
    direction = np.select([columns > 2 * rows, rows > 2 * columns], [0, 1], 2)
    levels = len(SPREADS) + 1
    found: NDArray[np.int64] = (here * levels + near) * DIRECTIONS + direction
    return found


KINDS = (len(SPREADS) + 1) ** 2 * DIRECTIONS


def features(component: Floats, clip: float) -> Floats:
    """Neighbours' differences from each pixel, plain and clipped: (H W, features)."""
    r = TAPS // 2
    padded = np.pad(component, r, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (TAPS, TAPS))
    taps = windows.reshape(component.size, TAPS**2) - component.reshape(-1, 1)
    taps = np.delete(taps, TAPS**2 // 2, axis=1)
    return np.concatenate([taps, taps.clip(-clip, clip)], axis=1)


def prepared(
    rows: list[dict[str, Any]], at: int, clip: float
) -> Iterator[tuple[NDArray[np.int64], list[tuple[Floats, Floats]]]]:
    """Of each crop: kinds (H W,), and by component features and what is to be added."""
    for row in rows:
        x, y = components(row["pixels"]), components(row["coded"][at]["x_hat"])
        pairs = [
            (features(theirs, clip), (ours - theirs).ravel())
            for ours, theirs in zip(x, y, strict=True)
        ]
        yield kinds_of(y[0]).ravel(), pairs


def filtered_errors(content: dict[str, Any], at: int) -> tuple[Floats, Floats]:
    """Squared errors of the validation crops, without and with the filter."""
    errors = [
        np.square(
            row["pixels"].double().numpy() - row["coded"][at]["x_hat"].double().numpy()
        ).mean()
        for row in content["train"]
    ]
    clip = float(np.sqrt(np.mean(errors))) * CLIP * 2
    count = 2 * (TAPS**2 - 1)
    products, targets = np.zeros((3, KINDS, count, count)), np.zeros((3, KINDS, count))
    for kinds, pairs in prepared(content["train"], at, clip):
        for kind in np.unique(kinds):
            here = kinds == kind
            for number, (taps, wanted) in enumerate(pairs):
                own = taps[here].astype(np.float32)
                products[number, kind] += own.T @ own
                targets[number, kind] += own.T @ wanted[here].astype(np.float32)
    ridge = RIDGE * np.trace(products, axis1=2, axis2=3)[..., None, None] / count + 1e-6
    weights = np.linalg.solve(products + ridge * np.eye(count), targets[..., None])[..., 0]
    before, after = [], []
    for kinds, pairs in prepared(content["validation"], at, clip):
        plain, filtered = 0.0, 0.0
        for number, (taps, wanted) in enumerate(pairs):
            added = np.einsum("pf,pf->p", taps, weights[number][kinds])
            plain += float(np.square(wanted).mean())
            filtered += float(np.square(wanted - added).mean())
        before.append(plain / 3)
        after.append(filtered / 3)
    return np.array(before), np.array(after)


def report_filter(content: dict[str, Any]) -> dict[str, Any]:
    """Print errors by quality, and the BD-rate."""
    from kodec.eval.curves.bootstrap import interval_of_mean

    errors = [filtered_errors(content, at) for at in range(len(QUALITIES))]
    print("| quality | error, % | by crop |\n|---|---|---|")
    changes = []
    for q, (before, after) in zip(QUALITIES, errors, strict=True):
        change = 100 * (after / before - 1)
        changes.append(change.round(2).tolist())
        print(f"| {q} | {change.mean():+.2f} | {change.min():+.1f} to {change.max():+.1f} |")
    rates = []
    for number, row in enumerate(content["validation"]):
        bpp = tuple(c["bits"] / SIDE**2 for c in row["coded"])
        curves = [
            Curve(
                "",
                bpp,
                tuple(10 * float(np.log10(255**2 / e[side][number])) for e in errors),
                "psnr-rgb",
            )
            for side in (0, 1)
        ]
        rates.append(bd_rate(curves[1], curves[0]).value_percent)
    print(f"BD-rate {in_words((float(np.mean(rates)), interval_of_mean(rates)))} %")
    return {"errors, %": changes, "BD-rate by crop": rates}


def report_phases(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Print what knowing the nearest values of the first phase leaves of its errors."""
    print("| quality | error left, % | bits a position saved | of all bits, % |\n|---|---|---|---|")
    rows = []
    for at, q in enumerate(QUALITIES):
        saved, left = [], []
        channels = content["train"][0]["coded"][at]["left"].shape[0]
        for channel in range(channels):
            sides = [
                neighbours([row["coded"][at]["left"][channel].numpy() for row in content[name]])
                for name in ("train", "validation")
            ]
            (near, wanted), (near_, wanted_) = sides
            ridge = RIDGE * len(near) * np.eye(near.shape[1])
            weights = np.linalg.solve(near.T @ near + ridge, near.T @ wanted)
            fraction = np.abs(wanted_ - near_ @ weights).mean() / np.abs(wanted_).mean()
            left.append(fraction)
            # Of a Laplace density, whose scale may shrink with the error.
            saved.append(-np.log2(fraction))
        bits = sum(row["coded"][at]["bits"] for row in content["validation"])
        # Three of four positions of the first phase could know others; 16 in 256 are of it.
        places = len(content["validation"]) * (SIDE // 16) ** 2 / 16 * 0.75
        share = 100 * sum(saved) * places / bits
        rows.append({"quality": q, "left": left, "saved": sum(saved), "share": share})
        print(f"| {q} | {100 * np.mean(left):.1f} | {sum(saved):.2f} | {share:.2f} |")
    return rows


def neighbours(grids: list[Floats]) -> tuple[Floats, Floats]:
    """Of each value whose four neighbours are there: their two means, and itself."""
    near, wanted = [], []
    for grid in grids:
        inside = grid[1:-1, 1:-1]
        rows = (grid[:-2, 1:-1] + grid[2:, 1:-1]) / 2
        columns = (grid[1:-1, :-2] + grid[1:-1, 2:]) / 2
        near.append(np.stack([rows.ravel(), columns.ravel()], 1))
        wanted.append(inside.ravel())
    return np.concatenate(near), np.concatenate(wanted)


def main() -> int:
    """Collect, or report on what was collected."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("collect", "report"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--output", type=Path, default=Path("runs/bounds"))
    parser.add_argument("--json", type=Path, help="write what is reported")
    options = parser.parse_args()
    one_thread()
    if options.action == "collect":
        collect(options.model, options.output)
        return 0
    path = options.output / "bounds.pt"
    if not path.is_file():
        raise InvalidInputError(f"there is no {path}: run `collect` first")
    content = torch.load(path, weights_only=True)
    found = {"phases": report_phases(content), "filter": report_filter(content)}
    if options.json:
        write_json(options.json, found, indent=0)
    return 0


if __name__ == "__main__":
    run(main, "least_squares_bounds.py")
