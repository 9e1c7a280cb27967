"""`kodec report`: results as a page to look at, or as figures and tables for papers."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from kodec.native import InvalidInputError, KodecError, UnsupportedError

from . import usage
from .comparing import files
from .progress import progress

if TYPE_CHECKING:
    from kodec.eval import CodecLike, Results
    from kodec.eval.report import CropSet, Entry, PictureChoice, Report

_log = logging.getLogger(__name__)

Format = Literal["html", "png", "svg", "pdf", "csv", "latex"]

FORMATS: dict[str, Format] = {
    ".html": "html",
    ".htm": "html",
    ".png": "png",
    ".svg": "svg",
    ".pdf": "pdf",
    ".csv": "csv",
    ".tex": "latex",
}
FIGURES = ("png", "svg", "pdf")
TARGET_BPP = 0.3
FIGURE_WIDTH = 3.5
"""Inches."""


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the command's parser."""
    report_ = commands.add_parser(
        "report", help="a page, a figure or a table of results", description=_REPORT
    )
    report_.add_argument(
        "results",
        metavar="RESULTS",
        type=usage.path,
        nargs="+",
        help="results files, logs, tables; LABEL=RESULTS calls them LABEL",
    )
    report_.add_argument(
        "--anchor",
        metavar="ANCHOR",
        type=usage.path,
        help="the results that BD-rates are against; logs: a folder or a pattern, in quotes",
    )
    report_.add_argument("--output", metavar="REPORT.html", type=usage.path, required=True)
    report_.add_argument(
        "--format",
        choices=get_args(Format),
        help="without it, by the output's extension (.html .png .svg .pdf .csv .tex)",
    )
    report_.add_argument(
        "--metric",
        metavar="METRIC",
        action="append",
        default=[],
        help="psnr-rgb; ms-ssim-db-rgb, ...; several --metric; without it, all that are shared",
    )
    report_.add_argument(
        "--method", choices=("pchip", "akima", "cubic"), help="of BD-rates against --anchor (pchip)"
    )
    report_.add_argument("--title", help="the page's heading")
    report_.add_argument(
        "--pictures",
        metavar="COUNT|PICTURE,...",
        help="details to look at: so many of the --dataset, or names in it, or files; "
        "NAME@LEFT+UPPER places the detail",
    )
    report_.add_argument(
        "--dataset", metavar="NAME|FOLDER", help="where --pictures lie: as for eval"
    )
    report_.add_argument(
        "--bpp",
        metavar="BPP",
        type=usage.positive,
        help=f"the rate that details are matched at ({TARGET_BPP})",
    )
    report_.add_argument(
        "--model",
        metavar="FILE",
        action="append",
        help="a model file that some of the results are of, for the details",
    )
    report_.add_argument(
        "--width",
        metavar="INCHES",
        type=usage.positive,
        help=f"of a PNG, SVG or PDF figure ({FIGURE_WIDTH}, a column of two)",
    )
    report_.add_argument(
        "--linear-rate", action="store_true", help="a figure with a linear rate axis"
    )
    report_.add_argument(
        "--size", metavar="WxH", type=usage.size, help="picture size, for rates in kbps"
    )
    report_.add_argument(
        "--fps", metavar="F", type=usage.positive, help="frame rate, for rates in kbps"
    )
    usage.add_trust(report_)
    usage.add_device(report_)
    report_.set_defaults(run=report)
    usage.add_global_options(report_)


def report(options: argparse.Namespace) -> None:
    """Write a report."""
    from kodec.codecs import check_output_target

    kind: Format | None = options.format or FORMATS.get(options.output.suffix.lower())
    if kind is None:
        raise UnsupportedError(
            f"{options.output}: name it {', '.join(FORMATS)}, or say --format for another name"
        )
    check_output_target(options.output)
    _check_usage(options, kind)
    labels: dict[Path, str] = {}
    results = [file for path in options.results for file in _labelled(path, labels)]
    anchors = [] if options.anchor is None else _labelled(options.anchor, labels)
    inputs = [*results, *anchors]
    if any(path.exists() and options.output.exists() and options.output.samefile(path)
           for path in inputs):  # fmt: skip
        raise InvalidInputError(f"{options.output} is one of the inputs; name another output")
    # From here on torch is there.
    from kodec.codecs import write_atomically
    from kodec.eval.report import (
        build_report,
        read_entries,
        report_csv,
        report_figure,
        report_latex,
        report_page,
    )

    entries, anchor = read_entries(results, anchors, labels, options.size, options.fps)
    content = build_report(
        *(entries, anchor, options.metric, options.method or "pchip", options.title or "")
    )
    if kind == "html":
        sets, no_pictures = _details(content, options)
        data = report_page(content, sets, no_pictures).encode()
    elif kind == "csv":
        data = report_csv(content).encode()
    elif kind == "latex":
        data = report_latex(content).encode()
    else:
        data = report_figure(content, kind, options.width or FIGURE_WIDTH, not options.linear_rate)
    try:
        write_atomically(options.output, data)
    except OSError as error:
        raise KodecError(f"cannot write {options.output}: {error.strerror}") from error
    if not options.quiet:
        print("\n".join([*_summary(content), f"{options.output}: {len(data):,} bytes"]))


def _check_usage(options: argparse.Namespace, kind: Format) -> None:
    """Refuse options that would change nothing."""
    groups = (
        (kind == "html", "goes with a page (html)", ("pictures", "title")),
        (options.pictures is not None, "goes with --pictures", ("dataset", "bpp", "model")),
        (kind in FIGURES, "goes with a figure (png, svg, pdf)", ("width", "linear_rate")),
        (options.anchor is not None, "goes with --anchor", ("method",)),
    )
    for wanted, words, names in groups:
        given = [name for name in names if getattr(options, name) not in (None, False)]
        if given and not wanted:
            raise usage.UsageError(f"--{given[0].replace('_', '-')} {words}; leave it out")
    if options.device != "cpu" and options.pictures is None:
        raise usage.UsageError("--device goes with --pictures; leave it out")


def _labelled(argument: Path, labels: dict[Path, str]) -> list[Path]:
    """The files of an argument; if it is LABEL=FILES, `labels` takes the label of each."""
    label, equals, rest = str(argument).partition("=")
    if argument.exists() or not (equals and label and rest):
        return files(argument)
    found = files(Path(rest))
    labels.update(dict.fromkeys(found, label))
    return found


def _details(content: "Report", options: argparse.Namespace) -> "tuple[list[CropSet], str]":
    """The details to embed, or none and why."""
    from kodec.eval import DatasetError
    from kodec.eval.report import show_crops

    if options.pictures is None:
        return [], "No pictures were asked for (--pictures)."
    try:
        pictures = _pictures(options.pictures, options.dataset)
    except DatasetError as error:
        _log.warning("the report shows no pictures: %s", error)
        return [], f"The pictures are not at hand: {error}."
    codecs = _Codecs(options.model or [], options.device, options.trust)
    with progress(options.quiet) as show:
        sets = show_crops(content.entries, pictures, options.bpp or TARGET_BPP, codecs.find, show)
    if not sets:
        reason = "none of the results names a codec that can be run here and these pictures"
        _log.warning("the report shows no pictures: %s", reason)
        return [], f"There is nothing to show: {reason}."
    return sets, ""


def _pictures(asked: str, dataset: str | None) -> "list[PictureChoice]":
    """The pictures of `--pictures`. Raises DatasetError where they are not at hand."""
    from kodec.eval import DatasetError, find_dataset
    from kodec.eval.report import PictureChoice

    known = [] if dataset is None else find_dataset(dataset)
    if asked.isdecimal():
        if dataset is None:
            raise usage.UsageError("a number of --pictures needs a --dataset to take them from")
        count = min(int(asked), len(known))
        if count == 0:
            raise usage.UsageError("--pictures 0 shows nothing: leave it out")
        # Evenly over the set, whose neighbours are often alike.
        return [PictureChoice(known[(2 * i + 1) * len(known) // (2 * count)]) for i in range(count)]
    choices = []
    for part in _names(asked):
        name, _, place = part.partition("@")
        # A whole name wins over a stem, which a.png and a.jpg share.
        found = [path for path in known if path.name == name]
        found = found or [path for path in known if path.stem == name]
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise usage.UsageError(f"--pictures {name} is {names} in {dataset}: say which")
        path = found[0] if found else Path(name)
        if not path.is_file():
            where = f"in {dataset} " if dataset else ""
            raise DatasetError(f"there is no picture {name!r} {where}or file of that name")
        choices.append(PictureChoice(path, _corner(place) if place else None))
    return choices


def _names(asked: str) -> list[str]:
    try:
        return usage.names(asked)
    except argparse.ArgumentTypeError as error:
        raise usage.UsageError(f"argument --pictures: {error}") from None


def _corner(text: str) -> tuple[int, int]:
    parts = text.split("+")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise usage.UsageError(f"a place is LEFT+UPPER in pixels, 120+40, not {text!r}")
    return int(parts[0]), int(parts[1])


class _Codecs:
    """The codecs that can be run here, each opened once."""

    def __init__(self, files: list[str], device: str, trusted: list[str]) -> None:
        from kodec.codecs import load

        self._device = device
        self._codecs: dict[str, CodecLike] = {}
        for file in files:
            codec = load(file, device, trusted)
            self._codecs[codec.name] = codec

    def find(self, entry: "Entry") -> "CodecLike":
        """The codec of an entry. Raises KodecError where it cannot be run as its results say."""
        if entry.results is None or not entry.rows:
            raise UnsupportedError("its results do not say how to run it")
        results = entry.results
        if results.name not in self._codecs:
            self._codecs[results.name] = self._opened(results)
        codec = self._codecs[results.name]
        here = dict(getattr(codec, "settings", {}))
        differing = [key for key, value in results.settings.items() if here.get(key) != value]
        if differing:
            raise UnsupportedError(
                f"run here it would have other settings than its results: {', '.join(differing)}"
            )
        return codec

    def _opened(self, results: "Results") -> "CodecLike":
        from kodec.codecs import embedded_models, load
        from kodec.eval.baselines import BASELINES, EXTERNAL, Baseline

        if results.name in {model.name for model in embedded_models()}:
            return load(results.name, self._device)
        if results.name not in BASELINES:
            raise UnsupportedError(
                "its codec cannot be run here (a model file is named by --model)"
            )
        if results.name in EXTERNAL:
            raise UnsupportedError("kodec brings no encoder of it")
        preset = results.settings.get("preset")
        return Baseline(results.name, None if preset is None else str(preset)).open()


def _summary(content: "Report") -> list[str]:
    """The BD-rates as aligned lines."""
    if not content.comparisons:
        return []
    width = max(len(against.entry.name) for against in content.comparisons)
    lines = []
    for against in content.comparisons:
        found = against.comparison
        words = f"no BD-rate: {against.reason.removeprefix('no BD-rate: ')}"
        if found is not None:
            words = f"{found.value_percent:+9.2f} %"
        lines.append(f"{against.entry.name:<{width}}  {against.metric}  {words}")
    return lines


_REPORT = (
    "One self-contained HTML page of results files: rate-distortion curves, BD-rates and what they "
    "rest on, numbers per picture, settings, and details of pictures side by side; or a figure "
    "(png, svg, pdf) or a table (csv, latex) for papers."
)
