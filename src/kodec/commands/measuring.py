"""`kodec eval`: numbers about codecs."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.codecs import storage
from kodec.codecs.fitted_families import is_family
from kodec.native import InvalidInputError, KodecError

from . import refining, usage
from .contestants import LIBAV, OF_PICTURES, PROGRAMS, QUALITIES, STRUCTURES, contestants
from .measured_files import with_speed, write_manifest
from .progress import progress

if TYPE_CHECKING:
    from kodec.eval import Results, Source

    from .contestants import Contestant

_BESIDE = (*OF_PICTURES, *LIBAV)
_CODECS = (*_BESIDE, *PROGRAMS)


_TAKEN_BY = {
    "preset": ("avif", *LIBAV, "vvenc"),
    **dict.fromkeys(("structure", "intra_period"), LIBAV),
    **dict.fromkeys(("binary", "config", "decoder", "bit_depth", "cache"), PROGRAMS),
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
    which.add_argument(
        "--coded",
        metavar="FILE|FOLDER",
        action="append",
        type=usage.path,
        help="a picture's .kdc file, or a folder of NAME.kdc for each picture, coded before; "
        "several make one curve",
    )
    which.add_argument("--codec", metavar="NAME", help=f"a baseline: {', '.join(_CODECS)}")
    eval_.add_argument(
        "--dataset",
        metavar="NAME|FOLDER",
        required=True,
        help="a name in datasets.yaml (kodak, ...), found through KODEC_DATA, or a folder (or one "
        "file) of pictures or of video, or a URL of one (s3://...)",
    )
    eval_.add_argument("--recursive", action="store_true", help="folders within the folder, too")
    eval_.add_argument(
        "--qualities",
        metavar="Q,Q,...",
        type=usage.qualities,
        help=f"on the codec's own scale; for models {','.join(map(str, QUALITIES))}",
    )
    eval_.add_argument("--output", metavar="RESULTS.json", type=usage.path, required=True)
    eval_.add_argument(
        "--beside",
        metavar="NAME,NAME,...",
        type=usage.names,
        help="baselines to measure in the same run, each into RESULTS-NAME.json",
    )
    eval_.add_argument(
        "--metrics",
        metavar="M,M,...",
        type=usage.names,
        help="names as in results files, or all; without it all but vmaf and lpips",
    )
    eval_.add_argument(
        "--jobs", metavar="N", type=usage.count, default=1, help="processes, one thread each (1)"
    )
    usage.add_scheduler(eval_)
    usage.add_threads(eval_)
    eval_.add_argument(
        "--manifest",
        metavar="FILE",
        type=usage.path,
        help="what came of each file at each quality, as JSON lines",
    )
    usage.add_trust(eval_)
    usage.add_device(eval_)
    refining.add_options(eval_)
    of_codecs = eval_.add_argument_group("baselines")
    of_codecs.add_argument(
        "--preset", help="of x264, x265, svt-av1 and vvenc: their own names; of avif: its speed (6)"
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
    of_video.add_argument(
        "--structure",
        choices=STRUCTURES,
        help="which frames are coded from which; models: their own, x264, x265 and svt-av1: "
        "random-access, beside a model: the model's",
    )
    of_video.add_argument(
        "--offsets",
        metavar="O,O,...",
        type=usage.offsets,
        help="of models: added to the quality, by level of the hierarchy or frame by frame in turn",
    )
    of_video.add_argument(
        "--intra-period",
        metavar="N",
        type=usage.count,
        help="a frame that decoding can begin with, every N frames (the first alone)",
    )
    of_video.add_argument(
        "--size",
        metavar="WxH|N",
        type=usage.size_of_video_or_model,
        help="of raw .yuv files; or of a fitted network: 1.5M parameters, 200kB, 0.1bpp",
    )
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
    if options.manifest is not None:
        check_output_target(options.manifest)
    _check_usage(options)
    # From here on torch is there.
    from kodec.eval import PartialRows, check_metrics, join_results, write_results
    from kodec.eval import evaluate_sources as measure

    sources, video = _sources(options)
    asked = contestants(options, [source.path for source in sources], video)
    metrics, absent = check_metrics(options.metrics or _usual_metrics(video), video)
    for one in asked:
        check_output_target(one.output)
    kept = PartialRows(options.output.with_name(f"{options.output.name}.partial"))
    named = {name.replace("ms-ssim-db-", "ms-ssim-") for name in options.metrics or ()}
    needed = [name for name in metrics if name in named]
    left_out: dict[Source, str] = {}
    measured: list[list[Results]] = []
    # All curves are of the same pictures at every point: what a later codec could not code is left
    # out of the earlier ones' points, too, whose other rows are kept.
    while not measured or any(
        len(part.left_out) < len(left_out) for parts in measured for part in parts
    ):
        with progress(options.quiet) as show:
            measured = [
                [
                    measure(
                        *(make, sources, one.qualities, metrics, _described(one, options)),
                        *(with_speed(show), options.jobs, kept, needed, left_out),
                        *(options.scheduler, options.threads),
                    )
                    for _, make in one.codecs
                ]
                for one in asked
            ]
    of = "sequences" if video else "pictures"
    without = f"{len(left_out)} of {len(sources)} {of}"
    notes = [f"{without} could not be measured and are in no number"] if left_out else []
    for one, parts in zip(asked, measured, strict=True):
        results = parts[0]
        if len(parts) > 1:
            name = " + ".join(part.name for part in parts)
            results = join_results(parts, name, _described(one, options))
        results = replace(results, notes=[*results.notes, *absent, *notes])
        write_results(results, one.output)
        if not options.quiet:
            if len(asked) > 1:
                print(results.name)
            print("\n".join([*_table(results), *(f"note: {note}" for note in results.notes)]))
            print(f"{len(sources) - len(left_out)} {of}; {one.output} has each of them")
    if options.manifest is not None:
        write_manifest(options.manifest, [part for parts in measured for part in parts])
    if not left_out:
        kept.remove()
    else:
        reasons = list(left_out.values())[:_NAMED]
        if len(left_out) > _NAMED:
            reasons.append(f"and {len(left_out) - _NAMED} more")
        raise KodecError(
            f"{without} left out: {'; '.join(reasons)}; {options.output} is of the others and "
            "names these; mend or remove them and start again"
        )


def _described(one: "Contestant", options: argparse.Namespace) -> str:
    return f"{', '.join(name for name, _ in one.codecs)} on {options.dataset}"


def _check_usage(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, and those that would change nothing."""
    if options.coded is not None:
        _check_coded(options)
        return
    given = [name for name in _TAKEN_BY if getattr(options, name) is not None]
    _check_beside(options)
    fitted = options.model is not None and any(map(is_family, options.model))
    if options.size is not None and not isinstance(options.size, tuple) and not fitted:
        raise usage.UsageError(
            "--size of a network goes with a fitted family; raw video's is WIDTHxHEIGHT"
        )
    if options.threads is not None and options.codec is not None:
        raise usage.UsageError("--threads goes with --model: baselines have one thread")
    if options.scheduler is not None and options.jobs > 1:
        raise usage.UsageError("--jobs and --scheduler exclude each other")
    if options.codec is None:
        given = [name for name in given if name not in ("structure", "intra_period")]
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
    if options.offsets is not None:
        raise usage.UsageError("--offsets goes with --model: encoders have their own")
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


def _check_beside(options: argparse.Namespace) -> None:
    for name in options.beside or ():
        if name not in _BESIDE:
            raise usage.UsageError(f"--beside takes {', '.join(_BESIDE)}, not {name!r}")
        if name == options.codec or options.beside.count(name) > 1:
            raise usage.UsageError(f"{name} is named twice: name it once")


def _check_coded(options: argparse.Namespace) -> None:
    """Files are as they are: what says how to code means nothing."""
    of_coding = (
        *_TAKEN_BY,
        "qualities",
        "offsets",
        "effort",
        "minutes",
        "steps",
        "lam",
        "schedule",
    )
    given = [name for name in of_coding if getattr(options, name) is not None]
    if given or options.trust:
        name = {"lam": "lambda"}.get(given[0], given[0]) if given else "trust"
        raise usage.UsageError(f"{_flag(name)} goes with --model or --codec, not with --coded")
    if options.recursive or storage.is_url(storage.local(options.dataset)):
        raise usage.UsageError("--coded is of the pictures of one folder, no URL")
    _check_beside(options)


def _check_kind(options: argparse.Namespace, files: list[Path], video: bool) -> None:
    """Refuse options that change nothing of this kind of data set."""
    of_video = ("structure", "offsets", "intra_period", "size", "fps", "frames")
    for name in ("bit_depth",) if video else of_video:
        if getattr(options, name) is not None and not _of_network(options, name):
            of, is_of = ("pictures", "video") if video else ("video", "pictures")
            raise InvalidInputError(
                f"{_flag(name)} is for {of}, and {options.dataset} is of {is_of}: leave it out"
            )
    if isinstance(options.size, tuple) and not any(file.suffix.lower() == ".yuv" for file in files):
        raise InvalidInputError(
            f"--size is for raw .yuv files, and {options.dataset} has none: leave it out"
        )


def _of_network(options: argparse.Namespace, name: str) -> bool:
    """Whether an option is of a fitted network, not of video."""
    return name == "size" and not isinstance(options.size, tuple)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _sources(options: argparse.Namespace) -> "tuple[list[Source], bool]":
    """What to measure, and whether it is video."""
    from kodec.eval import (
        PictureSource,
        VideoSource,
        find_dataset,
        find_urls,
        kind_of_dataset,
        known_datasets,
    )

    dataset, recursive = storage.local(options.dataset), options.recursive
    if storage.is_url(dataset):
        urls, kind = find_urls(dataset, recursive)
        found = [(Path(name), name, url) for url, name in urls]
    else:
        folder = Path(dataset)
        if recursive and (dataset in known_datasets() or not folder.is_dir()):
            raise InvalidInputError(
                f"--recursive is for folders, and {dataset} is none: leave it out"
            )
        kind = kind_of_dataset(dataset, recursive)
        files = find_dataset(dataset, kind=kind, recursive=recursive)
        found = [(p, p.relative_to(folder).as_posix() if recursive else "", "") for p in files]
    _check_kind(options, [path for path, _, _ in found], kind == "video")
    if kind == "video":
        how = None if _of_network(options, "size") else options.size, options.fps, options.frames
        return [VideoSource(path, *how, *named) for path, *named in found], True
    return [PictureSource(*source) for source in found], False


def _usual_metrics(video: bool) -> list[str]:
    from kodec.eval import usual_metrics

    return usual_metrics(video)


def _table(results: "Results") -> list[str]:
    """The points of a curve as aligned lines."""
    of_yuv = {
        "psnr-y": ("PSNR-Y dB", 1.0, 3),
        "psnr-yuv-611": ("6:1:1 dB", 1.0, 3),
        "ms-ssim-y": ("MS-SSIM-Y", 1.0, 5),
    }
    in_time = {
        "encoding_time": ("encode ms", 1e3, 0),
        "decoding_time": ("decode ms", 1e3, 0),
    }
    in_frames = {
        "encoding_fps": ("encode f/s", 1.0, 2),
        "decoding_fps": ("decode f/s", 1.0, 2),
    }
    titles = {
        "bpp": ("bpp", 1.0, 4),
        "psnr-rgb": ("PSNR dB", 1.0, 3),
        "ms-ssim-rgb": ("MS-SSIM", 1.0, 5),
        **({} if "psnr-rgb" in results.results else of_yuv),
        "vmaf": ("VMAF", 1.0, 2),
        "lpips": ("LPIPS", 1.0, 4),
        **(in_time if "encoding_fps" not in results.results else in_frames),
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
