"""`kodec report`: results as a page to look at, or as figures and tables for papers."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from kodec.native import InvalidInputError, KodecError, UnsupportedError

from . import usage
from .comparing import files
from .progress import progress
from .report_codecs import ReportCodecs

if TYPE_CHECKING:
    from kodec.eval.report import CropSet, PictureChoice, Report

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
        help="details to look at: so many of the --dataset, or names in it, or files, of video "
        "three frames each; "
        "NAME@LEFT+UPPER places the detail",
    )
    report_.add_argument(
        "--dataset", metavar="NAME|FOLDER", help="where --pictures lie: as for eval"
    )
    report_.add_argument(
        "--bpp",
        metavar="BPP",
        type=usage.positive,
        help=f"the rate that details are matched at ({TARGET_BPP}; of video the middle one of the "
        "first results)",
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
        data = report_page(content, sets, no_pictures, options.bpp).encode()
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
    from kodec.codecs.video_files.video_reading import VIDEO_SUFFIXES
    from kodec.eval import DatasetError
    from kodec.eval.report import show_crops, show_frames

    if options.pictures is None:
        return [], "No pictures were asked for (--pictures)."
    try:
        pictures = _pictures(options.pictures, options.dataset)
    except DatasetError as error:
        _log.warning("the report shows no pictures: %s", error)
        return [], f"The pictures are not at hand: {error}."
    codecs = ReportCodecs(options.model or [], options.device, options.trust)
    videos = [choice for choice in pictures if choice.path.suffix.lower() in VIDEO_SUFFIXES]
    stills = [choice for choice in pictures if choice not in videos]
    with progress(options.quiet) as show:
        entries, bpp = content.entries, options.bpp
        sets = show_crops(entries, stills, bpp or TARGET_BPP, codecs.find, show) if stills else []
        if videos:
            sets += show_frames(entries, videos, bpp, codecs.find_sequence_codec, show)
    if not sets:
        reason = "none of the results names a codec that can be run here and these pictures"
        _log.warning("the report shows no pictures: %s", reason)
        return [], f"There is nothing to show: {reason}."
    return sets, ""


def _pictures(asked: str, dataset: str | None) -> "list[PictureChoice]":
    """The pictures of `--pictures`. Raises DatasetError where they are not at hand."""
    from kodec.eval import DatasetError, find_dataset, kind_of_dataset
    from kodec.eval.report import PictureChoice

    known = [] if dataset is None else find_dataset(dataset, kind=kind_of_dataset(dataset))
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
