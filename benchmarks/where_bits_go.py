"""Where the bits and the errors of a frequency-sliced model go, on held-out crops.

    python benchmarks/where_bits_go.py measure --pictures 48 --output runs/bits
    python benchmarks/where_bits_go.py report --output runs/bits > tables.md

`measure` runs a model (the embedded default, if none is named) over validation crops of
natural-crops, held out by source picture, and keeps sums of what `report` makes tables of: bits by
slice, phase, quality and picture; what they would be with ideal scales and densities; what
optimised quantisation and predicted means do; and errors by frequency and by kind of place, beside
those of AVIF 4:4:4 at the same payload of the same picture. Bits are the model's own likelihoods
(files lie within 1 % + 64 bytes of these), AVIF's those of its coded data without boxes. Never run
on a test set. KODEC_DATA names the folder with the data. One thread.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bit_tables import print_tables
from kodec.codecs import PictureCodec, as_pixels, load
from kodec.entropy import FrequencySlices, RateMeter
from kodec.entropy.distributions import Distribution, LocationScale, ScaleTables
from kodec.eval.baselines import PillowCodec
from kodec.models.blocks.frequencies import dct2
from kodec.models.lapped import COLOUR
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import Pictures
from reporting import parser_of, run
from timed_training import one_thread

QUALITIES = (4, 16, 28, 40, 52)
AVIF_QUALITIES = (4, 12, 22, 34, 46, 58, 70, 80, 90)
SIDE, BLOCK = 256, 16
# Factors on the predicted scale that are tried, natural logs.
OFFSETS = np.linspace(-0.8, 0.8, 9)
# Symbols beyond are not counted apart; where a scale makes them likely, no entropy is taken.
MOST = 40

Floats = NDArray[np.float64]


class Blocks(RateMeter):
    """A meter that keeps each block as it passes."""

    def __init__(self) -> None:
        super().__init__(training=False)
        self.passed: list[tuple[str, Tensor, Distribution, Tensor]] = []

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """Count, keep, and return the rounded values."""
        rounded = super().code(name, y, dist)
        assert y is not None
        self.passed.append((name, y, dist, rounded))
        return rounded


def flat(x: Tensor) -> Floats:
    """Tokens (N, P, C) -> (N P, C)."""
    return x.double().reshape(-1, x.shape[-1]).numpy()


class QualitySums:
    """Sums over pictures at one quality; by channel unless it says otherwise."""

    def __init__(self, slices: tuple[int, ...], levels: int) -> None:
        channels = sum(slices)
        self.starts = np.cumsum([0, *slices])
        self.side_bits = 0.0
        # By (slice, phase): bits, positions.
        self.by_phase: dict[tuple[int, int], Floats] = defaultdict(lambda: np.zeros(2))
        names = ("count", "bits", "table", "plain_bits", "error", "plain_error", "changed", "zeros")
        self.sums = {name: np.zeros(channels) for name in (*names, "energy", "left")}
        self.at_offset = np.zeros((len(OFFSETS), channels))
        # Symbols (clipped) of each channel, and without a predicted mean.
        self.symbols = np.zeros((channels, 2 * MOST + 1))
        self.without_mean = np.zeros((channels, 2 * MOST + 1))
        # By (slice, table index, symbol); and the model's bits by (slice, table index).
        self.by_table = np.zeros((len(slices), levels + 1, 2 * MOST + 1))
        self.table_bits = np.zeros((len(slices), levels + 1))

    def add(self, number: int, phase: int, y: Tensor, dist: LocationScale, out: Tensor) -> None:
        """Add one block: slice `number`, at one of its phases."""
        tables = dist.scale_tables
        span = slice(int(self.starts[number]), int(self.starts[number + 1]))
        symbols = torch.round(out - dist.mean)
        log_scale = dist.log_scale.clamp(min=tables.log_smallest)
        bits = tables.bits(symbols, log_scale.exp())
        indexes = tables.indexes(dist.log_scale)[0].long()
        level = tables.log_smallest + (indexes.clamp(min=1) - 1) * tables.log_step
        # What is skipped costs nothing.
        coded = (indexes > 0).to(bits)
        plain = torch.round(y - dist.mean) * coded
        left = y - dist.mean
        columns = {
            "count": torch.ones_like(bits),
            "bits": bits,
            "table": tables.bits(symbols, level.exp()) * coded,
            "plain_bits": tables.bits(plain, log_scale.exp()),
            "error": (left - symbols).square(),
            "plain_error": (left - plain).square(),
            "changed": (symbols != plain).to(bits),
            "zeros": (symbols == 0).to(bits),
            "energy": y.square(),
            "left": left.square(),
        }
        for name, value in columns.items():
            self.sums[name][span] += flat(value).sum(0)
        self.by_phase[number, phase] += (float(bits.sum()), bits.shape[0] * bits.shape[1])
        for at, offset in enumerate(OFFSETS):
            scale = (log_scale + float(offset)).clamp(min=tables.log_smallest).exp()
            self.at_offset[at, span] += flat(tables.bits(symbols, scale)).sum(0)
        own = clipped(symbols)
        channel = np.broadcast_to(np.arange(span.start, span.stop), own.shape)
        np.add.at(self.symbols, (channel, own), 1)
        np.add.at(self.without_mean, (channel, clipped(torch.round(out))), 1)
        index = flat(indexes).astype(int)
        np.add.at(self.by_table[number], (index, own), 1)
        np.add.at(self.table_bits[number], index, flat(bits))


def clipped(symbols: Tensor) -> NDArray[np.int64]:
    """Symbols as columns of a count, (positions, channels)."""
    return (flat(symbols).clip(-MOST, MOST) + MOST).astype(np.int64)


def bands(x: Floats) -> Floats:
    """Energy of pixels (H, W, 3) by component and 16x16 DCT frequency: (3, 16, 16)."""
    h, w, _ = x.shape
    components = (x @ COLOUR.T).reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK, 3)
    basis = dct2(BLOCK)
    spectrum = basis @ components.transpose(4, 0, 2, 1, 3) @ basis.T
    found: Floats = np.square(spectrum).sum((1, 2))
    return found


def local(x: Floats, reach: int, largest: bool) -> Floats:
    """Mean, or largest, over squares of 2 reach + 1 pixels each way: (H, W) -> (H, W)."""
    t = torch.nn.functional.pad(torch.from_numpy(x)[None, None], (reach,) * 4, mode="replicate")
    size = 2 * reach + 1
    pool = torch.nn.functional.max_pool2d if largest else torch.nn.functional.avg_pool2d
    return np.asarray(pool(t, size, 1)[0, 0].numpy())


PLACES = ("smooth, far from edges", "smooth, within 12 pixels of an edge", "texture", "edges")


def places(x: Floats) -> NDArray[np.int64]:
    """The kind of each place of pixels (H, W, 3) in 0..255, an index of `PLACES`.

    By the standard deviation of luma over 5x5: below 3 smooth, above 20 an edge.
    """
    luma = x @ np.array([0.299, 0.587, 0.114])
    spread = np.sqrt(np.maximum(local(luma**2, 2, False) - local(luma, 2, False) ** 2, 0))
    near = local((spread > 20).astype(float), 10, True) > 0
    return np.select([spread > 20, spread >= 3, near], [3, 2, 1], 0)


def errors(x: Floats, y: Floats, kinds: NDArray[np.int64]) -> dict[str, Any]:
    """Squared error of pixels in 0..255: its sum, by band, and by kind of place."""
    squared = np.square(x - y).sum(2)
    by_place = np.bincount(kinds.ravel(), squared.ravel(), len(PLACES))
    return {"error": float(squared.sum()), "bands": bands(x - y), "places": by_place}


def payload(data: bytes) -> int:
    """Bytes of a file's `mdat` boxes, without their heads."""
    at, total = 0, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        if size < 8:
            raise InvalidInputError("the AVIF file has a box of another kind than known here")
        total += size - 8 if data[at + 4 : at + 8] == b"mdat" else 0
        at += size
    return total


def run_model(network: PictureCodec, x: Tensor, quality: int, sums: QualitySums) -> dict[str, Any]:
    """Code one picture (1, 3, H, W); adds to `sums`, returns its bits and pixels (H, W, 3)."""
    port = Blocks()
    _, _, h, w = x.shape
    x_hat = network.code(x, (1, h, w), torch.tensor([float(quality)]), port).x_hat
    seen: dict[str, int] = defaultdict(int)
    for name, y, dist, out in port.passed:
        if isinstance(dist, LocationScale):
            sums.add(int(name[1:]), seen[name], y.to(dist.mean), dist, out)
            seen[name] += 1
    by_block = {name: float(bits) for name, bits in port.bits.items()}
    sums.side_bits += by_block["z"]
    pixels = as_pixels(x_hat)[0].permute(1, 2, 0).double().numpy()
    return {"bits": sum(by_block.values()), "blocks": by_block, "pixels": pixels}


@torch.inference_mode()
def measure(model: str, pictures: int, output: Path) -> None:
    """Measure the model and AVIF; writes `bits.pt`."""
    codec = load(model)
    network, info = codec.network, codec.info
    latents = network.latents
    if not isinstance(latents, FrequencySlices) or latents.scale_tables.family != "laplace":
        raise InvalidInputError("only models of frequency slices with Laplace symbols can be taken")
    network.deploy()
    tables: ScaleTables = latents.scale_tables
    data = CropData(validation_size=SIDE)
    paths = data.paths("validation")
    paths = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(pictures, len(paths)))]
    crops = Pictures(paths, SIDE)
    avif = PillowCodec("avif")
    sums = {q: QualitySums(latents.slice_sizes, tables.levels) for q in QUALITIES}
    rows = []
    for number, path in enumerate(paths):
        x = crops[number][None]
        pixels = (x[0] * 255).round().permute(1, 2, 0).double().numpy()
        kinds = places(pixels)
        row: dict[str, Any] = {"name": path.stem, "source": bands(pixels - 127.5)}
        row["kinds"] = np.bincount(kinds.ravel(), minlength=len(PLACES))
        row["model"] = []
        for q in QUALITIES:
            found = run_model(network, x, q, sums[q])
            row["model"].append({**found, **errors(pixels, found.pop("pixels"), kinds)})
        row["avif"] = []
        for q in AVIF_QUALITIES:
            coded = avif.encode(pixels.astype(np.uint8), q)
            theirs = avif.decode(coded).astype(float)
            row["avif"].append({"bits": 8 * payload(coded), **errors(pixels, theirs, kinds)})
        rows.append(row)
        print(f"{number + 1} of {len(paths)}: {path.stem}", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    kept = {q: {**vars(s), "by_phase": dict(s.by_phase)} for q, s in sums.items()}
    content = {
        "model": f"{info.name} ({info.model_id.hex()})",
        "offsets": OFFSETS,
        "most": MOST,
        "places": PLACES,
        "log_smallest": tables.log_smallest,
        "log_step": tables.log_step,
        "phases": [part.phases for part in latents.slices],
        "sums": kept,
        "rows": rows,
        "pixels": len(rows) * SIDE**2,
    }
    torch.save(content, output / "bits.pt")


def main() -> int:
    """Measure, or report what was measured."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("measure", "report"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--output", type=Path, default=Path("runs/bits"))
    options = parser.parse_args()
    one_thread()
    if options.action == "measure":
        measure(options.model, options.pictures, options.output)
        return 0
    path = options.output / "bits.pt"
    if not path.is_file():
        raise InvalidInputError(f"there is no {path}: run `measure` first")
    # Of this script's own making: arrays, which need the whole unpickler.
    print_tables(torch.load(path, weights_only=False))
    return 0


if __name__ == "__main__":
    run(main, "where_bits_go.py")
