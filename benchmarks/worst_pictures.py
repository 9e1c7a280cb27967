"""The pictures on which a model is worst against another codec, looked at at the same bytes.

    kodec eval --model default --dataset kodak --qualities 4,16,28,40,52 --beside avif \
        --output kodak.json
    python benchmarks/worst_pictures.py kodak.json kodak-avif.json --output runs/worst
                                        [--model default] [--count 10] [--bpp 0.15] [--side 144]

Ranks pictures by their own BD-rate (PSNR-RGB), and codes each of the worst anew, by the model at
about --bpp and by AVIF at no more bytes. Prints what they have, and writes for each NAME.png: the
original, the model without its filter at edges (where it has one), the model, AVIF, at the place
where the model's error is most above AVIF's; twice as large. KODEC_DATA names the folder with
kodak/.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs import Codec, load, read_plain_picture
from kodec.eval import Curve, Results, bd_rate, find_dataset, psnr, read_results
from kodec.eval.baselines.pillow_files import PillowCodec
from kodec.models import RefinedLappedSynthesis
from kodec.native import KodecError
from reporting import parser_of, run

Pixels = NDArray[np.uint8]
ZOOM = 2


def worst(ours: Results, theirs: Results) -> list[tuple[float, str]]:
    """Every picture's BD-rate in percent and its name, the worst first."""
    names = sorted({row.image for row in ours.per_image})
    rates = [bd_rate(curve_of(ours, n), curve_of(theirs, n)).value_percent for n in names]
    return sorted(zip(rates, names, strict=True), reverse=True)


def curve_of(results: Results, image: str) -> Curve:
    """One picture's rates and PSNR."""
    rows = [row for row in results.per_image if row.image == image]
    bpp = tuple(row.bpp for row in rows)
    return Curve(results.name, bpp, tuple(row.metrics["psnr-rgb"] for row in rows), "psnr-rgb")


def coded(codec: Codec, pixels: Pixels, bpp: float) -> bytes:
    """The largest file of at most so many bits per pixel, or that of quality 0."""
    best, low, high = codec.encode(pixels, 0), 1, 63
    while low <= high:
        middle = (low + high) // 2
        data = codec.encode(pixels, middle)
        if 8 * len(data) <= bpp * pixels.shape[0] * pixels.shape[1]:
            best, low = data, middle + 1
        else:
            high = middle - 1
    return best


def avif_of(pixels: Pixels, most: int) -> Pixels:
    """The best AVIF picture of at most so many bytes, or that of quality 0."""
    codec = PillowCodec("avif")
    best, low, high = codec.encode(pixels, 0), 1, 100
    while low <= high:
        middle = (low + high) // 2
        data = codec.encode(pixels, middle)
        if len(data) <= most:
            best, low = data, middle + 1
        else:
            high = middle - 1
    return codec.decode(best)


def unfiltered(codec: Codec, data: bytes) -> Pixels | None:
    """What the model decodes without its filter; None where it has none."""
    synthesis = getattr(codec.network, "synthesis", None)
    if not isinstance(synthesis, RefinedLappedSynthesis) or synthesis.deringing is None:
        return None
    filter_, synthesis.deringing = synthesis.deringing, None
    try:
        return codec.decode(data)
    finally:
        synthesis.deringing = filter_


def most_above(errors: NDArray[np.float64], side: int) -> tuple[int, int]:
    """Upper and left edge of the square, on a grid of 16, with the largest sum."""
    sums = np.pad(errors.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = errors.shape
    places = [
        (y, x) for y in range(0, height - side + 1, 16) for x in range(0, width - side + 1, 16)
    ]

    def total(place: tuple[int, int]) -> float:
        y, x = place
        return float(sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x])

    return max(places, key=total)


def look(codec: Codec, path: Path, rate: float, options: argparse.Namespace) -> None:
    """Code one picture, print a line and write its details."""
    pixels = read_plain_picture(path).pixels
    data = coded(codec, pixels, options.bpp)
    ours, plain = codec.decode(data), unfiltered(codec, data)
    avif = avif_of(pixels, len(data))
    shown = [pixels, *([] if plain is None else [plain]), ours, avif]
    figures = [psnr(pixels, made) for made in shown[1:]]
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    texts = " | ".join(f"{figure:.2f}" for figure in figures)
    print(f"| {path.stem} | {rate:+.1f} | {bpp:.3f} | {texts} |", flush=True)
    own, other = (np.square(made.astype(float) - pixels).sum(2) for made in (ours, avif))
    y, x = most_above(own - other, options.side)
    parts = [made[y : y + options.side, x : x + options.side] for made in shown]
    strip = np.concatenate(parts, axis=1).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    Image.fromarray(strip).save(options.output / f"{path.stem}.png")


def main() -> int:
    """Rank, code, print and draw."""
    parser = parser_of(__doc__)
    parser.add_argument("ours", type=Path, help="results of `kodec eval` of the model")
    parser.add_argument("theirs", type=Path, help="the same of AVIF")
    parser.add_argument("--output", type=Path, required=True, help="folder for the details")
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--bpp", type=float, default=0.15)
    parser.add_argument("--side", type=int, default=144)
    options = parser.parse_args()
    ranked = worst(read_results(options.ours), read_results(options.theirs))
    paths = {path.name: path for path in find_dataset("kodak")}
    codec = load(options.model)
    options.output.mkdir(parents=True, exist_ok=True)
    rates = [rate for rate, _ in ranked]
    print(f"BD-rate by picture from {min(rates):+.1f} to {max(rates):+.1f} %")
    print("| picture | BD-rate, % | bpp | PSNR-RGB, dB: model without filter, with, AVIF |")
    for rate, name in ranked[: options.count]:
        look(codec, paths[name], rate, options)
    return 0


if __name__ == "__main__":
    run(main, "worst_pictures.py", (KodecError, OSError))
