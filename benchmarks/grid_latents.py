"""Cool-chic's latents through our tables and coder: bytes beside the authors' files, tables, speed.

    python benchmarks/grid_latents.py [--files all|small] [--repeats 15]

KODEC_DATA names the folder with reference/inr-coolchic-*. Each of the authors' files is decoded by
their order and range coder (`cool_files.py`, some seconds for a Kodak picture), and its latents are
coded by ours with the same networks. Speeds are CPU seconds of one thread, the least of the
repeats, of each kernel that this machine has.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cool_files import CoolFile, decode, parse
from kodec.entropy import LocatedLaplace, SymbolReader, SymbolWriter
from kodec.entropy.located_laplace import HIGHEST, LOWEST, with_costs
from kodec.native import InvalidInputError, simd
from located_tables import make_tables

FOLDER = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
SMALL = ("hop64x96", "mop61x83")
FILES = ("kodim05c256-hop2000", "kodim14")
TABLES = {
    "as packaged: mean 1/4 to 1/64, 64 scales": {},
    "mean 1/8, 64 scales": {"most_bits": 3, "fewest_bits": 3},
    "mean 1/16, 64 scales": {"most_bits": 4, "fewest_bits": 4},
    "mean 1/16, 64 scales from e^-3": {"most_bits": 4, "fewest_bits": 4, "lowest": -768},
    "mean 1/32, 64 scales": {"most_bits": 5, "fewest_bits": 5},
    "mean 1/16, 128 scales": {"most_bits": 4, "fewest_bits": 4, "levels": 128},
    "mean 1/32, 128 scales": {"most_bits": 5, "fewest_bits": 5, "levels": 128},
}


def contents(name: str, arrays: dict[str, NDArray[np.uint8]]) -> bytes:
    """A file's bytes."""
    if name in SMALL:
        return arrays[f"{name}/bitstream"].tobytes()
    return (FOLDER / f"inr-coolchic-{name}.cool").read_bytes()


def cpu_seconds(action: Callable[[], object], repeats: int) -> float:
    """The least of so many."""
    least = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        action()
        least = min(least, time.process_time() - start)
    return least


def stream_of(file: CoolFile, latents: list[Tensor], lanes: int = 0) -> bytes:
    """The latents' stream."""
    writer = SymbolWriter(1)
    file.latents.code(latents, writer)
    return writer.finish(lanes=lanes)[0]


def parameters(file: CoolFile, latents: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Values, means and log scales of all grids."""
    parts = []
    for number, grid in enumerate(file.grids):
        y = latents[number].reshape(1, -1, 1)
        mean, log_scale = file.latents.step(grid, latents[number + 1 :]).outputs(y)
        parts.append((y[0, :, 0], mean[0], log_scale[0]))
    values, means, log_scales = (torch.cat(part) for part in zip(*parts, strict=True))
    return values, means, log_scales


def compare_tables(files: dict[str, CoolFile], coded: dict[str, list[Tensor]]) -> None:
    """What other tables would cost."""
    print("\n| tables | number |" + " | ".join(files) + " |\n|---|---|" + "---|" * len(files))
    seen = {name: parameters(file, coded[name]) for name, file in files.items()}
    for label, settings in TABLES.items():
        arrays = make_tables(**settings)
        tables = with_costs(arrays, settings.get("lowest", LOWEST), HIGHEST)
        cells = []
        for name, (values, means, log_scales) in seen.items():
            dist = LocatedLaplace(means, log_scales, -64, 63, tables)
            size = dist.bits(values).sum().item() / 8
            theirs = len(files[name].coded)
            cells.append(f"{size:.0f} ({100 * (size / theirs - 1):+.2f} %)")
        print(f"| {label} | {len(arrays['sizes'])} | " + " | ".join(cells) + " |")


def compare_speeds(file: CoolFile, latents: list[Tensor], name: str, repeats: int) -> None:
    """CPU seconds of all grids, in Python and the core."""
    stream = stream_of(file, latents, lanes=4)

    def read() -> None:
        reader = SymbolReader([stream])
        file.latents.code(None, reader)
        reader.finish()

    for kernels in ("avx512", "avx2", "scalar"):
        os.environ["KODEC_SIMD"] = kernels
        try:
            assert simd() == kernels
        except InvalidInputError:
            continue
        encoding = cpu_seconds(lambda: stream_of(file, latents, lanes=4), repeats)
        decoding = cpu_seconds(read, repeats)
        counting = cpu_seconds(lambda: file.latents.bits(latents), repeats)
        print(
            f"| {name} | {kernels} | {1e3 * encoding:.1f} | {1e3 * decoding:.1f} | "
            f"{1e3 * counting:.1f} |"
        )
    del os.environ["KODEC_SIMD"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", choices=("all", "small"), default="all")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(FOLDER / "inr-coolchic-image.npz") as npz:
        table = npz["table/mu_then_scale"]
        arrays = {f"{name}/bitstream": npz[f"{name}/bitstream"] for name in SMALL}
    names = SMALL if arguments.files == "small" else SMALL + FILES
    files = {name: parse(contents(name, arrays))[0] for name in names}
    coded = {}
    print(
        "| latents of | theirs | ours | of 4 lanes | limit (+0.3 % and 40) |\n|---|---|---|---|---|"
    )
    for name, file in files.items():
        values = decode(file, table)
        coded[name] = [torch.from_numpy(plane)[None, None].double() for plane in values]
        sizes = [len(stream_of(file, coded[name], lanes)) for lanes in (0, 4)]
        theirs = len(file.coded)
        print(f"| {name} | {theirs} | {sizes[0]} | {sizes[1]} | {1.003 * theirs + 40:.0f} |")
    compare_tables(files, coded)
    print("\n| CPU ms, one thread | kernels | encode | decode | bits |\n|---|---|---|---|---|")
    for name in names:
        compare_speeds(files[name], coded[name], name, arguments.repeats)


if __name__ == "__main__":
    main()
