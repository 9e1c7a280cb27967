"""Targets of rate and of quality: how far files miss them, and how many encodes that takes.

    python benchmarks/rate_control.py [--model default] [--bpp 0.25,0.5,1] [--bytes 40000]
                                      [--psnr 30,36] [--pictures N] [--json REPORT.json]

On Kodak (KODEC_DATA). A search ends with the highest quality whose file keeps to a rate, or the
lowest one that reaches a PSNR: between two qualities lies what it misses the target by. Must hold,
or the exit status is 1: no file is above its rate or below its PSNR, none takes more than
`MOST_TRIALS` encodes.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kodec.codecs import MOST_TRIALS, Codec, Picture, load, meet_target, read_picture
from kodec.codecs.pictures.quality_search import PSNR_RISE, RATE_RISE
from kodec.eval import find_dataset, psnr
from reporting import heading, parser_of, run, write_report

Search = Callable[[Codec, Picture, float], dict[str, Any]]


def by_rate(codec: Codec, picture: Picture, bpp: float) -> dict[str, Any]:
    """One search for a rate."""
    limit = bpp * picture.pixels.shape[0] * picture.pixels.shape[1] / 8
    return {**by_bytes(codec, picture, limit), "target": f"{bpp:g} bpp"}


def by_bytes(codec: Codec, picture: Picture, limit: float) -> dict[str, Any]:
    """One search for a size."""
    found = meet_target(
        lambda quality: codec.code_picture(picture, quality),
        lambda coded: math.log(len(coded.data)),
        math.log(limit),
        "at most",
        RATE_RISE,
    )
    size = len(found.trial.data)
    return {
        "target": f"{limit:g} B",
        "reached": found.reached,
        "held": size <= limit or not found.reached,
        "miss": 100 * (size / limit - 1),
        "unit": "%",
        "trials": found.trials,
        "closed": found.closed,
    }


def by_psnr(codec: Codec, picture: Picture, decibels: float) -> dict[str, Any]:
    """One search for a PSNR."""

    def measure(encoded: Any) -> float:
        return psnr(picture.pixels, encoded.reconstruction.pixels)

    found = meet_target(
        lambda quality: codec.encode_picture(picture, quality),
        measure,
        decibels,
        "at least",
        PSNR_RISE,
    )
    reached = measure(found.trial)
    return {
        "target": f"{decibels:g} dB",
        "reached": found.reached,
        "held": reached >= decibels or not found.reached,
        "miss": reached - decibels,
        "unit": "dB",
        "trials": found.trials,
        "closed": found.closed,
    }


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--bpp", default="0.25,0.5,1")
    parser.add_argument("--bytes", default="40000")
    parser.add_argument("--psnr", default="30,36")
    parser.add_argument("--pictures", type=int, help="only the first N")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    pictures = find_dataset("kodak")[: options.pictures]
    codec = load(options.model)
    print(heading(codec, len(pictures)))
    targets: list[tuple[Search, float]] = [
        (by_rate, float(value)) for value in filter(None, options.bpp.split(","))
    ]
    targets += [(by_bytes, float(value)) for value in filter(None, options.bytes.split(","))]
    targets += [(by_psnr, float(value)) for value in filter(None, options.psnr.split(","))]
    rows: list[dict[str, Any]] = []
    for search, target in targets:
        own = [
            {"picture": path.stem, **search(codec, read_picture(path), target)} for path in pictures
        ]
        rows += own
        met = [row for row in own if row["reached"]]
        worst = max(met, key=lambda row: abs(row["miss"]), default=None)
        largest = "none" if worst is None else f"{worst['miss']:+.2f} {worst['unit']}"
        trials = [row["trials"] for row in own]
        print(
            f"{own[0]['target']:>9s}: {len(met)} of {len(own)} within reach, largest miss "
            f"{largest}, encodes {sum(trials) / len(trials):.1f} in the mean, {max(trials)} at "
            f"the most, {sum(row['closed'] for row in own)} known to be the nearest",
            flush=True,
        )
    held = all(row["held"] and row["trials"] <= MOST_TRIALS for row in rows)
    print("all held" if held else "FAILED")
    write_report(options.json, codec, {"held": held, "rows": rows})
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "rate_control.py")
