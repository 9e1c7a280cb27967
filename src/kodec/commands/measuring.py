"""`kodec eval`: numbers about codecs."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.native import InvalidInputError, KodecError

from . import refining, usage
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec
    from kodec.eval import CodecMaker, Results, Source

QUALITIES = (8, 16, 24, 32, 40, 48, 56)

# kodec.eval.baselines has them too, but takes seconds to import.
_LIBAV, _PROGRAMS = ("x264", "x265", "svt-av1"), ("vtm", "hm", "vvenc")
_CODECS = ("jpeg", "jpeg2000", "webp", "avif", *_LIBAV, *_PROGRAMS)


_TAKEN_BY = {
    "preset": (*_LIBAV, "vvenc"),
    "structure": _LIBAV,
    **dict.fromkeys(("binary", "config", "decoder", "bit_depth", "cache"), _PROGRAMS),
}
"""The options of baselines, and which have them."""

_NAMED = 5
"""So many files that are left out are named on the command line."""


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    eval_ = commands.add_parser(
        "eval", help="measure a codec over a data set, from file bytes", description=_EVAL
    )
    which = eval_.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--model",
        metavar="NAME|FILE",
        action="append",
        help="a model; several fixed-rate ones, each with its own --model, make one curve",
    )
    which.add_argument("--codec", metavar="NAME", help=f"a baseline: {', '.join(_CODECS)}")
    eval_.add_argument(
        "--dataset",
        metavar="NAME|FOLDER",
        required=True,
        help="a name in datasets.yaml (kodak, ...), found through KODEC_DATA, or a folder (or one "
        "file) of pictures or of video",
    )
    eval_.add_argument(
        "--qualities",
        metavar="Q,Q,...",
        type=usage.qualities,
        help=f"on the codec's own scale; for models {','.join(map(str, QUALITIES))}",
    )
    eval_.add_argument("--output", metavar="RESULTS.json", type=usage.path, required=True)
    eval_.add_argument(
        "--metrics",
        metavar="M,M,...",
        type=usage.names,
        help="names as in results files, or all; without it all but vmaf and lpips",
    )
    eval_.add_argument(
        "--jobs", metavar="N", type=usage.count, default=1, help="processes, one thread each (1)"
    )
    usage.add_trust(eval_)
    usage.add_device(eval_)
    refining.add_options(eval_)
    of_codecs = eval_.add_argument_group("baselines")
    of_codecs.add_argument("--preset", help="of x264, x265, svt-av1 and vvenc: their own names")
    of_codecs.add_argument(
        "--structure",
        choices=("random-access", "low-delay", "intra"),
        help="how x264, x265 and svt-av1 code video (random-access)",
    )
    path = usage.path
    of_codecs.add_argument("--binary", metavar="PATH", type=path, help="encoder of vtm, hm, vvenc")
    of_codecs.add_argument(
        "--config", metavar="CFG", type=path, action="append", help="its configuration file(s)"
    )
    of_codecs.add_argument(
        "--decoder", metavar="PATH", type=path, help="its decoder; else its own reconstruction"
    )
    of_codecs.add_argument(
        "--bit-depth", type=int, choices=(8, 10), help="of the YUV it gets for a picture (8)"
    )
    of_codecs.add_argument(
        "--cache", metavar="FOLDER", type=path, help="where its streams are kept"
    )
    of_video = eval_.add_argument_group("video")
    of_video.add_argument("--size", metavar="WxH", type=usage.size, help="of raw .yuv files")
    of_video.add_argument("--fps", metavar="F", type=usage.frame_rate, help="of raw .yuv files")
    of_video.add_argument("--frames", metavar="N", type=usage.count, help="only the first N")
    eval_.set_defaults(run=evaluate)
    usage.add_global_options(eval_)


def evaluate(options: argparse.Namespace) -> None:
    """Measure models or a baseline and write a results file."""
    from kodec.codecs import check_output_target

    if options.output.suffix.lower() != ".json":
        raise InvalidInputError(f"{options.output}: results files are JSON; name it *.json")
    check_output_target(options.output)
    _check_usage(options)
    # From here on torch is there.
    from kodec.eval import PartialRows, check_metrics, join_results, write_results
    from kodec.eval import evaluate_sources as measure

    sources, video = _sources(options)
    codecs, qualities = _codecs(options, video)
    metrics, absent = check_metrics(options.metrics or _usual_metrics(video), video)
    names = ", ".join(name for name, _ in codecs)
    description = f"{names} on {options.dataset}"
    kept = PartialRows(options.output.with_name(f"{options.output.name}.partial"))
    named = {name.replace("ms-ssim-db-", "ms-ssim-") for name in options.metrics or ()}
    needed = [name for name in metrics if name in named]
    left_out: dict[Source, str] = {}
    parts: list[Results] = []
    # One curve is of the same pictures at every point: what a later model could not code is left
    # out of the earlier ones' points, too, whose other rows are kept.
    while not parts or any(len(part.left_out) < len(left_out) for part in parts):
        with progress(options.quiet) as show:
            more = (description, show, options.jobs, kept, needed, left_out)
            parts = [measure(make, sources, qualities, metrics, *more) for _, make in codecs]
    results = parts[0]
    if len(parts) > 1:
        results = join_results(parts, " + ".join(part.name for part in parts), description)
    of = "sequences" if video else "pictures"
    without = f"{len(left_out)} of {len(sources)} {of}"
    notes = [f"{without} could not be measured and are in no number"] if left_out else []
    results = replace(results, notes=[*results.notes, *absent, *notes])
    write_results(results, options.output)
    if not left_out:
        kept.remove()
    if not options.quiet:
        print("\n".join([*_table(results), *(f"note: {note}" for note in results.notes)]))
        print(f"{len(sources) - len(left_out)} {of}; {options.output} has each of them")
    if left_out:
        reasons = list(left_out.values())[:_NAMED]
        if len(left_out) > _NAMED:
            reasons.append(f"and {len(left_out) - _NAMED} more")
        raise KodecError(
            f"{without} left out: {'; '.join(reasons)}; {options.output} is of the others and "
            "names these; mend or remove them and start again"
        )


def _check_usage(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, and those that would change nothing."""
    given = [name for name in _TAKEN_BY if getattr(options, name) is not None]
    if options.codec is None:
        if given:
            raise usage.UsageError(f"{_flag(given[0])} goes with --codec; see `kodec eval --help`")
        beyond = [q for q in options.qualities or () if not 0 <= q <= usage.HIGHEST_QUALITY]
        if beyond:
            raise usage.UsageError(
                f"a model's quality goes from 0 to {usage.HIGHEST_QUALITY}, not {beyond[0]}"
            )
        return
    if options.codec not in _CODECS:
        raise usage.UsageError(f"no codec {options.codec!r}: choose from {', '.join(_CODECS)}")
    if options.trust:
        raise usage.UsageError("--trust goes with --model")
    if refining.wanted(options):
        raise usage.UsageError("--effort and --minutes go with --model")
    if options.device != "cpu":
        raise usage.UsageError("--device goes with --model: baselines run on the processor")
    for name in given:
        if options.codec not in _TAKEN_BY[name]:
            raise InvalidInputError(
                f"{_flag(name)} is for {', '.join(_TAKEN_BY[name])}, {options.codec} has no such "
                "thing: leave it out"
            )


def _check_kind(options: argparse.Namespace, files: list[Path], video: bool) -> None:
    """Refuse options that change nothing of this kind of data set."""
    for name in ("bit_depth",) if video else ("structure", "size", "fps", "frames"):
        if getattr(options, name) is not None:
            of, is_of = ("pictures", "video") if video else ("video", "pictures")
            raise InvalidInputError(
                f"{_flag(name)} is for {of}, and {options.dataset} is of {is_of}: leave it out"
            )
    if options.size is not None and not any(file.suffix.lower() == ".yuv" for file in files):
        raise InvalidInputError(
            f"--size is for raw .yuv files, and {options.dataset} has none: leave it out"
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _sources(options: argparse.Namespace) -> "tuple[list[Source], bool]":
    """What to measure, and whether it is video."""
    from kodec.eval import PictureSource, VideoSource, find_dataset, kind_of_dataset

    kind = kind_of_dataset(options.dataset)
    files = find_dataset(options.dataset, kind=kind)
    _check_kind(options, files, kind == "video")
    if kind == "video":
        how = options.size, options.fps, options.frames
        return [VideoSource(path, *how) for path in files], True
    return [PictureSource(path) for path in files], False


def _codecs(
    options: argparse.Namespace, video: bool
) -> "tuple[list[tuple[str, CodecMaker]], list[int | None]]":
    """The name of each codec with what makes it, and the qualities to measure at."""
    if options.codec is None:
        from kodec.codecs import load

        if video:
            raise InvalidInputError("models code pictures, and this data set is of video")
        codecs = [load(model, options.device, options.trust) for model in options.model]
        qualities = _qualities(codecs, options.qualities)
        if refining.wanted(options):
            names = [refining.refining_codec(codec, options).name for codec in codecs]
            makers = [partial(refining.load_refining, model, options) for model in options.model]
            return list(zip(names, makers, strict=True)), qualities
        loads = [partial(load, model, options.device, options.trust) for model in options.model]
        return [(codec.name, make) for codec, make in zip(codecs, loads, strict=True)], qualities
    from kodec.eval.baselines import SCALES, Baseline

    baseline = Baseline(
        options.codec,
        options.preset,
        options.structure or "random-access",
        options.binary,
        tuple(options.config or ()),
        options.decoder,
        options.bit_depth or 8,
        options.cache,
    )
    scale = SCALES[options.codec]
    if video and scale.usual_video is None:
        raise InvalidInputError(f"{options.codec} codes pictures, and this data set is of video")
    beyond = [q for q in options.qualities or () if not scale.lowest <= q <= scale.highest]
    if beyond:
        takes = f"{options.codec} takes {scale.unit}, {scale.lowest} to {scale.highest}"
        raise usage.UsageError(f"{takes}, not {beyond[0]}")
    return [(options.codec, baseline.open)], [*(options.qualities or baseline.qualities(video))]


def _usual_metrics(video: bool) -> list[str]:
    from kodec.eval import usual_metrics

    return usual_metrics(video)


def _qualities(codecs: "list[Codec]", asked: list[int] | None) -> list[int | None]:
    variable = [codec for codec in codecs if codec.variable_rate]
    if variable and len(codecs) > 1:
        raise InvalidInputError(
            f"several models make one curve if each has a fixed rate, but {variable[0].name} has a "
            "variable one: measure it alone"
        )
    if variable:
        return [variable[0].check_quality(quality) for quality in asked or QUALITIES]
    if asked is not None:
        raise InvalidInputError(
            f"the model {codecs[0].name} has one fixed rate: leave --qualities out"
        )
    return [None]


def _table(results: "Results") -> list[str]:
    """The points of a curve as aligned lines."""
    of_yuv = {
        "psnr-y": ("PSNR-Y dB", 1.0, 3),
        "psnr-yuv-611": ("6:1:1 dB", 1.0, 3),
        "ms-ssim-y": ("MS-SSIM-Y", 1.0, 5),
    }
    titles = {
        "bpp": ("bpp", 1.0, 4),
        "psnr-rgb": ("PSNR dB", 1.0, 3),
        "ms-ssim-rgb": ("MS-SSIM", 1.0, 5),
        **({} if "psnr-rgb" in results.results else of_yuv),
        "vmaf": ("VMAF", 1.0, 2),
        "lpips": ("LPIPS", 1.0, 4),
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
    "Encode and decode every picture or sequence of a data set, and write bits per pixel (of whole "
    "files), PSNR, MS-SSIM, times and memory to a results file in CompressAI's JSON schema. What "
    "is finished is kept in RESULTS.json.partial: stopped and started again, it goes on from there."
)
