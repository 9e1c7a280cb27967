"""Quality of fitted pictures over time: bits of files against other codecs', by steps of the fit.

    python benchmarks/fit_times.py kodim23-1000.kdc kodim23-10960=11740@37.16 kodim23-70000.kdc ...
        --pictures FOLDER --against "AVIF, speed 0=avif0.json+more.json" [--against ...]
        [--logs LOG,...] [--svg CURVES.svg]

Files are named PICTURE-STEPS.kdc; of one that is not there its bytes and PSNR are given. Each is
decoded and held against the picture of its name, and its bits against each other codec's at the
same PSNR, as `picture_rates.py` does. The table is Markdown; the figure has a panel a codec, and
a line a picture.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.codecs import read_picture, write_atomically
from kodec.eval.report import LIGHT, figure_of, line_style
from kodec.native import InvalidInputError
from picture_rates import difference, in_words, measured, of_logs, of_results, paths_of
from reporting import parser_of, run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Differences = Mapping[str, float | None]
"""Percent of bits, by the other codec."""


def place_of(given: str) -> tuple[str, int]:
    """A file's picture and steps, by its name. Raises `InvalidInputError` for another name."""
    stem = Path(given.partition("=")[0]).name.removesuffix(".kdc")
    picture, dash, steps = stem.rpartition("-")
    if not (dash and picture and steps.isdecimal()):
        raise InvalidInputError(f"a file is named PICTURE-STEPS.kdc, not {given}")
    return picture, int(steps)


def drawn(axes: "Axes", other: str, found: Mapping[str, Mapping[int, Differences]]) -> None:
    """One codec's panel."""
    for number, (picture, by_steps) in enumerate(found.items()):
        points = [(n, d[other]) for n, d in sorted(by_steps.items()) if d.get(other) is not None]
        if not points:
            continue
        style = line_style(number)
        steps, percents = zip(*points, strict=True)
        colour = LIGHT[style.colour]
        axes.plot(steps, percents, color=colour, marker="o", markersize=3.6, label=picture)
    axes.axhline(0, color="#111418", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("Steps of the fit")
    axes.set_ylabel(f"Bits against {other}, %")
    axes.grid(True, which="major")
    axes.legend(frameon=False)


def main() -> int:
    """Print the table, and draw."""
    parser = parser_of(__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--against", metavar="LABEL=RESULTS", action="append", default=[])
    parser.add_argument("--logs", type=paths_of, default=[], help="of VTM")
    parser.add_argument("--svg", type=Path)
    options: argparse.Namespace = parser.parse_args()
    places = sorted((place_of(given), given) for given in options.files)
    others = dict(_labelled(text) for text in options.against)
    found: dict[str, dict[int, Differences]] = {}
    lines = []
    for (picture, steps), given in places:
        pixels = read_picture(options.pictures / f"{picture}.png").pixels
        size, quality = measured(given.partition("=")[2] or given, pixels)
        bpp = 8 * size / (pixels.shape[0] * pixels.shape[1])
        points = {label: of_results(files, picture) for label, files in others.items()}
        points |= of_logs(options.logs, pixels, picture)
        own = {label: difference(bpp, quality, p) if p else None for label, p in points.items()}
        found.setdefault(picture, {})[steps] = own
        lines.append((picture, f"{steps:,}", f"{size:,}", f"{quality:.2f}", own))
    labels = list(dict.fromkeys(label for *_, own in lines for label in own))
    print(f"| {' | '.join(['picture', 'steps', 'bytes', 'PSNR, dB', *labels])} |")
    print("|---" * (4 + len(labels)) + "|")
    for *cells, own in lines:
        percents = [in_words(own[label]) if label in own else "" for label in labels]
        print(f"| {' | '.join([*cells, *percents])} |")
    if options.svg is not None:
        panels: Sequence[Callable[[Axes], None]]
        panels = [partial(drawn, other=label, found=found) for label in labels]
        write_atomically(options.svg, figure_of(panels, "svg", 5.0))
    return 0


def _labelled(text: str) -> tuple[str, str]:
    label, equals, files = text.partition("=")
    if not (label and equals and files):
        raise InvalidInputError(f"--against takes LABEL=RESULTS, not {text}")
    return label, files


if __name__ == "__main__":
    run(main, "fit_times.py")
