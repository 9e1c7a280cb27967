"""What smaller windows at edges could save, estimated without training.

    python benchmarks/window_switching.py [--json FILE]
    python benchmarks/window_switching.py --model default [--json FILE]

24 validation crops of natural-crops are transformed by orthonormal lapped transforms with blocks of
16, 8 and 4 pixels, and by that of 16 with its DCTs split into smaller ones behind the same filters
across boundaries (16/8, 16/4). With a model it is that one's latents at five qualities, in its
steps, which are split. They are quantised with a dead zone, and costed by adaptive code lengths:
each symbol's by its component, its frequency and the sizes of its coded neighbours, in space and in
frequency, from counts of its own kind in the same data. Every area of 16x16 then takes the block
with the least squared error + lagrangian x bits, counts are taken anew of what was chosen, and so
on. Windows of different blocks fit together for nothing, so that this bounds what switching can
bring; split DCTs do in truth. The map of choices is counted by its entropy given the choice on its
left. Never run on a test set. KODEC_DATA names the folder with the data. One thread.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compare_structures import QUALITIES, SIDE, held_out
from kodec.codecs import load
from kodec.models import RefinedLappedAnalysis
from kodec.models.blocks.frequencies import channel_order, dct2
from kodec.models.lapped import COLOUR, LappedAnalysis
from kodec.native import InvalidInputError
from reporting import parser_of, run, write_json
from timed_training import one_thread
from where_bits_go import places

AREA = 16
# By name: the block of the filters across boundaries, and that of the DCT.
TRANSFORMS = {"16": (16, 16), "8": (8, 8), "4": (4, 4), "16/8": (16, 8), "16/4": (16, 4)}
SETS = (("8",), ("16", "8"), ("16", "8", "4"), ("16", "16/8"), ("16", "16/8", "16/4"))
SPLIT = SETS[-2:]
# Quantisation steps, of pixels in 0..255.
STEPS = (240.0, 128.0, 72.0, 40.0, 20.0)
DEAD_ZONE = 0.2  # Of a step, off what rounds up.
LAGRANGIAN = 0.12  # In squared steps per bit, as in the default model.
MOST = 15  # Larger symbols share a count and pay two bits more for each doubling.
CONTEXTS = np.array([0.25, 0.75, 1.5, 2.5, 4.0, 7.0, 12.0])
ROUNDS = 4
LEAST_SHARE = 0.1  # Of smooth pixels near an edge, in areas that are counted apart.

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def spectra(pictures: Tensor, window: int, block: int) -> Floats:
    """Coefficients of pixels in 0..255: (pictures, component, block rows, block columns, i, j)."""
    with torch.no_grad():
        samples = LappedAnalysis(window, boost=1.0).boundaries(pictures - 0.5)
    x = 255 * samples.double().numpy()
    n, _, h, w = x.shape
    components = np.einsum("kc,nchw->nkhw", COLOUR, x)
    blocks = components.reshape(n, 3, h // block, block, w // block, block)
    basis = dct2(block)
    found: Floats = basis @ blocks.transpose(0, 1, 2, 4, 3, 5) @ basis.T
    return found


@torch.no_grad()
def latents(model: str, pictures: Tensor, quality: int) -> dict[str, Floats]:
    """A model's latents, in its steps, whole and split; shaped as of `spectra`."""
    network = load(model).network.float()
    order, _ = channel_order(AREA)
    if not isinstance(network.analysis, RefinedLappedAnalysis):
        raise InvalidInputError("only models of a lapped transform can be taken")
    q = torch.tensor([float(quality)])
    cond = [network.conditions((1, SIDE, SIDE), q) for _ in pictures]
    y = torch.cat([network.analyse(x[None], c).y for x, c in zip(pictures, cond, strict=True)])
    n, _, h, w = y.shape
    by_frequency = y[:, np.argsort(order)].double().numpy().reshape(n, 3, AREA, AREA, h, w)
    whole = np.ascontiguousarray(by_frequency.transpose(0, 1, 4, 5, 2, 3))
    samples = dct2(AREA).T @ whole @ dct2(AREA)
    found = {"16": whole}
    for name in SPLIT[-1][1:]:
        block = TRANSFORMS[name][1]
        side = AREA // block
        parts = samples.reshape(n, 3, h, w, side, block, side, block)
        parts = parts.transpose(0, 1, 2, 4, 3, 6, 5, 7)
        quarters = parts.reshape(n, 3, h * side, w * side, block, block)
        found[name] = dct2(block) @ quarters @ dct2(block).T
    return found


def quantised(y: Floats, step: float) -> Integers:
    """Symbols, with a dead zone."""
    size = np.floor(np.abs(y) / step + 0.5 - DEAD_ZONE).clip(0)
    found: Integers = (np.sign(y) * size).astype(np.int64)
    return found


def shifted(x: Floats, axis: int) -> Floats:
    """The neighbour before each value along an axis, zero where there is none."""
    found = np.zeros_like(x)
    source, target = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    source[axis], target[axis] = slice(None, -1), slice(1, None)
    found[tuple(target)] = x[tuple(source)]
    return found


def kinds(symbols: Integers, block: int) -> Integers:
    """Of each symbol, the number of its table: component, frequency, size of coded neighbours."""
    size = np.abs(symbols).astype(float)
    near = 0.5 * (shifted(size, 2) + shifted(size, 3)) + 0.5 * (shifted(size, 4) + shifted(size, 5))
    context = np.searchsorted(CONTEXTS, near)
    index = np.arange(block)
    frequency = np.maximum.outer(index, index)
    component = np.arange(3).reshape(1, 3, 1, 1, 1, 1)
    found: Integers = (component * AREA + frequency) * (len(CONTEXTS) + 1) + context
    return found


def code_lengths(symbols: Integers, kind: Integers, weights: NDArray[np.bool_]) -> Floats:
    """Bits of each symbol by counts of its kind where `weights` says so, of both signs alike."""
    size = np.abs(symbols)
    folded = size.clip(max=MOST)
    counts = np.full((kind.max() + 1, MOST + 1), 0.05)
    np.add.at(counts, (kind[weights], folded[weights]), 1)
    bits = -np.log2(counts / counts.sum(1, keepdims=True))
    tail = np.where(size >= MOST, 1 + 2 * np.log2(np.maximum(size, MOST) / MOST), 0)
    found: Floats = bits[kind, folded] + (size > 0) + tail
    return found


def by_area(x: Floats, block: int) -> Floats:
    """Sums over areas: (pictures, component, rows, columns, i, j) -> (pictures, rows, columns)."""
    per_block = x.sum((1, 4, 5))
    n, h, w = per_block.shape
    side = AREA // block
    found: Floats = per_block.reshape(n, h // side, side, w // side, side).sum((2, 4))
    return found


def map_bits(choice: Integers, options: int) -> Floats:
    """Bits of each area's choice, given that on its left; (pictures, rows, columns)."""
    left = np.full_like(choice, options)
    left[..., 1:] = choice[..., :-1]
    counts = np.full((options + 1, options), 0.5)
    np.add.at(counts, (left.ravel(), choice.ravel()), 1)
    bits: Floats = -np.log2(counts / counts.sum(1, keepdims=True))[left, choice]
    return bits


def switched(
    coefficients: dict[str, Floats], names: Sequence[str], step: float
) -> tuple[Floats, Floats, Integers]:
    """Bits and squared error (in squared steps) of each area, and which transform it takes."""
    symbols = {name: quantised(coefficients[name], step) for name in names}
    sizes = {name: TRANSFORMS[name][1] for name in names}
    tables = {name: kinds(symbols[name], sizes[name]) for name in names}
    errors = np.stack(
        [by_area((coefficients[k] / step - symbols[k]) ** 2, sizes[k]) for k in names]
    )
    choice = np.zeros(errors.shape[1:], dtype=np.int64)
    taken = np.ones((len(names), *choice.shape), dtype=bool)
    for _ in range(ROUNDS if len(names) > 1 else 1):
        found = []
        for number, name in enumerate(names):
            side = AREA // sizes[name]
            mask = taken[number].repeat(side, 1).repeat(side, 2)[:, None, :, :, None, None]
            weights = np.broadcast_to(mask, symbols[name].shape)
            found.append(by_area(code_lengths(symbols[name], tables[name], weights), sizes[name]))
        bits = np.stack(found)
        choice = np.argmin(errors + LAGRANGIAN * bits, axis=0)
        taken = np.stack([choice == number for number in range(len(names))])
    own = np.take_along_axis(bits, choice[None], 0)[0]
    error = np.take_along_axis(errors, choice[None], 0)[0]
    return own + (map_bits(choice, len(names)) if len(names) > 1 else 0), error, choice


def smooth_beside_edges(pixels: Floats) -> Floats:
    """Share of smooth pixels near an edge of each area: (rows, columns)."""
    near = places(pixels) == 1
    n = SIDE // AREA
    found: Floats = near.reshape(n, AREA, n, AREA).mean((1, 3))
    return found


def measure(model: str | None) -> list[dict[str, Any]]:
    """A row for each step or quality and each set of transforms; prints them as a table."""
    pictures = held_out()
    crops = torch.stack([pictures[i] for i in range(len(pictures))])
    beside = np.stack(
        [smooth_beside_edges(x.permute(1, 2, 0).double().numpy() * 255) for x in crops]
    )
    near = beside > LEAST_SHARE
    print("| step | bpp | transforms | saved, % | by picture | near edges | areas, % |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    if model is None:
        plain_of = {name: spectra(crops, *sizes) for name, sizes in TRANSFORMS.items()}
    for at in STEPS if model is None else QUALITIES:
        coefficients = plain_of if model is None else latents(model, crops, int(at))
        step = float(at) if model is None else 1.0
        plain, error, _ = switched(coefficients, ("16",), step)
        for names in SETS if model is None else SPLIT:
            bits, own, choice = switched(coefficients, names, step)
            # What errors differ by is turned into bits by the lagrangian.
            saved = plain - bits + (error - own) / LAGRANGIAN
            by_picture = 100 * saved.sum((1, 2)) / plain.sum((1, 2))
            row = {
                "step or quality": at,
                "bpp": float(plain.sum()) / (len(crops) * SIDE**2),
                "transforms": list(names),
                "by picture": by_picture.round(2).tolist(),
                "near edges": 100 * float(saved[near].sum() / plain[near].sum()),
                "areas": [100 * float((choice == i).mean()) for i in range(len(names))],
            }
            rows.append(row)
            print(
                f"| {at:g} | {row['bpp']:.2f} | {', '.join(names)} | {by_picture.mean():+.1f} "
                f"| {by_picture.min():+.1f} to {by_picture.max():+.1f} | {row['near edges']:+.1f} "
                f"| {', '.join(f'{share:.0f}' for share in row['areas'])} |",
                flush=True,
            )
    return rows


def main() -> int:
    """Measure and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", help="an embedded model, or a file, whose latents to take")
    parser.add_argument("--json", type=Path, help="write every row")
    options = parser.parse_args()
    one_thread()
    rows = measure(options.model)
    if options.json:
        write_json(options.json, {"rows": rows}, indent=0)
    return 0


if __name__ == "__main__":
    run(main, "window_switching.py")
