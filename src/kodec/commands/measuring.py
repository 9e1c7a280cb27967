"""`kodec eval`: numbers about codecs."""

import argparse
from typing import TYPE_CHECKING

from kodec.native import InvalidInputError

from . import usage
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec
    from kodec.eval import Results

QUALITIES = (8, 16, 24, 32, 40, 48, 56)


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    eval_ = commands.add_parser(
        "eval", help="measure a model over a data set, from file bytes", description=_EVAL
    )
    eval_.add_argument(
        "--model",
        metavar="NAME|FILE",
        action="append",
        required=True,
        help="a model; several fixed-rate ones, each with its own --model, make one curve",
    )
    eval_.add_argument(
        "--dataset",
        metavar="NAME|FOLDER",
        required=True,
        help="a name in datasets.yaml (kodak, ...), found through KODEC_DATA, or a folder",
    )
    eval_.add_argument(
        "--qualities",
        metavar="Q,Q,...",
        type=usage.qualities,
        help=f"for variable-rate models; {','.join(map(str, QUALITIES))}",
    )
    eval_.add_argument("--output", metavar="RESULTS.json", type=usage.path, required=True)
    usage.add_device(eval_)
    eval_.set_defaults(run=evaluate)
    usage.add_global_options(eval_)


def evaluate(options: argparse.Namespace) -> None:
    """Measure models and write a results file."""
    from kodec.codecs import check_output_target

    if options.output.suffix.lower() != ".json":
        raise InvalidInputError(f"{options.output}: results files are JSON; name it *.json")
    check_output_target(options.output)
    # From here on torch is there.
    from kodec.codecs import load
    from kodec.eval import evaluate as measure
    from kodec.eval import find_dataset, join_results, write_results

    images = find_dataset(options.dataset)
    codecs = [load(model, options.device) for model in options.model]
    qualities = _qualities(codecs, options.qualities)
    description = f"{', '.join(codec.name for codec in codecs)} on {options.dataset}"
    parts = []
    with progress(options.quiet) as show:
        for codec in codecs:
            parts.append(measure(codec, images, qualities, description, show))
    results = parts[0]
    if len(parts) > 1:
        results = join_results(parts, " + ".join(part.name for part in parts), description)
    write_results(results, options.output)
    if not options.quiet:
        print("\n".join(_table(results)))
        print(f"{len(images)} pictures; {options.output} has each of them")


def _qualities(codecs: "list[Codec]", asked: list[int] | None) -> list[int | None]:
    variable = [codec.name for codec in codecs if codec.variable_rate]
    if variable and len(codecs) > 1:
        raise InvalidInputError(
            f"several models make one curve if each has a fixed rate, but {variable[0]} has a "
            "variable one: measure it alone"
        )
    if variable:
        return list(asked or QUALITIES)
    if asked is not None:
        raise InvalidInputError(
            f"the model {codecs[0].name} has one fixed rate: leave --qualities out"
        )
    return [None]


def _table(results: "Results") -> list[str]:
    """The points of a curve as aligned lines."""
    titles = {
        "bpp": ("bpp", 1.0, 4),
        "psnr-rgb": ("PSNR dB", 1.0, 3),
        "ms-ssim-rgb": ("MS-SSIM", 1.0, 5),
        "encoding_time": ("encode ms", 1e3, 0),
        "decoding_time": ("decode ms", 1e3, 0),
    }
    shown = [(key, *how) for key, how in titles.items() if key in results.results]
    lines = ["".join([f"{'quality':>7}", *(f"{title:>11}" for _, title, _, _ in shown)])]
    for point, quality in enumerate(results.quality):
        cells = [f"{results.results[key][point] * k:>11.{n}f}" for key, _, k, n in shown]
        lines.append("".join([f"{'-' if quality is None else quality:>7}", *cells]))
    return lines


_EVAL = (
    "Encode and decode every picture of a data set, and write bits per pixel (of whole files), "
    "PSNR, MS-SSIM and times to a results file in CompressAI's JSON schema."
)
