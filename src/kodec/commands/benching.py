"""`kodec bench`: how fast the parts are on this machine."""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kodec.native import InvalidInputError

from . import bench_tables, usage
from .demo import sample_picture
from .packaged_configs import packaged_configs
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec
    from kodec.codecs.sequences.video_codec import VideoCodec
    from kodec.eval.bench.bench_report import BenchReport

QUALITIES = (8, 32, 56)
SIMD = ("scalar", "avx2", "avx512")
_FRAMES = 8
_PAN = (352, 288)
"""Width and height of the clip that is measured where none is named."""


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    bench_ = commands.add_parser(
        "bench", help="how fast the parts are on this machine", description=_BENCH
    )
    parts = bench_.add_subparsers(metavar="PART", title="parts", required=True)
    usage.add_global_options(bench_)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    picture_ = parts.add_parser("picture", help="a model on pictures", description=_PICTURE)
    picture_.add_argument("pictures", nargs="*", metavar="FILE", type=usage.path, help=_PICTURES)
    _add_model(picture_, "to measure (default)")
    picture_.add_argument(
        "--peer", action="store_true", help="CompressAI's bmshj2018-hyperprior too"
    )
    _add_common(picture_, bench_picture, repeats=5, threads=cores or 1)

    video_ = parts.add_parser("video", help="a model on a sequence", description=_VIDEO)
    video_.add_argument(
        "--video", metavar="FILE", type=usage.path, help="a clip that pans over the demo's picture"
    )
    _add_model(video_, "to measure, of sequences or pictures (default)")
    video_.add_argument(
        "--structure",
        choices=("intra", "low-delay", "low-delay-2", "hierarchical"),
        help="which frames are coded from which (the model's own)",
    )
    video_.add_argument(
        "--frames",
        metavar="N",
        type=usage.count,
        default=_FRAMES,
        help=f"only the first N ({_FRAMES})",
    )
    video_.add_argument("--size", metavar="WxH", type=usage.size, help="of a raw .yuv file")
    video_.add_argument("--fps", metavar="F", type=usage.frame_rate, help="of a raw .yuv file")
    _add_common(video_, bench_video, repeats=3, threads=cores or 1)

    systems_ = parts.add_parser("systems", help="all packaged configs", description=_SYSTEMS)
    systems_.add_argument(
        "--configs", metavar="NAME,NAME,...", type=usage.names, help="only these; all of them"
    )
    systems_.add_argument(
        "--picture", metavar="FILE", type=usage.path, help="an RGB picture; the demo's"
    )
    _add_common(systems_, bench_systems, repeats=3, threads=1)

    layers_ = parts.add_parser("layers", help="layers of networks", description=_LAYERS)
    _add_common(layers_, bench_layers, repeats=15, threads=1)

    coder_ = parts.add_parser("coder", help="the entropy coder", description=_CODER)
    coder_.add_argument(
        "--symbols", metavar="N", type=usage.count, default=4_000_000, help="drawn; 4 million"
    )
    coder_.add_argument(
        "--simd",
        action="append",
        choices=SIMD,
        help="instruction set, several times for several; all that run here, the best first",
    )
    coder_.add_argument(
        "--picture",
        metavar="FILE",
        dest="pictures",
        action="append",
        type=usage.path,
        help=f"whose latents are coded too, several times for several; {_PICTURES}",
    )
    _add_model(coder_, "whose latents they are (default)")
    _add_common(coder_, bench_coder, repeats=15, threads=1)


def _add_model(parser: argparse.ArgumentParser, help_: str) -> None:
    parser.add_argument("--model", metavar="NAME|FILE", default="default", help=help_)
    parser.add_argument(
        "--qualities",
        metavar="Q,Q,...",
        type=usage.model_qualities,
        help=f"of the pictures, for variable-rate models; {','.join(map(str, QUALITIES))}",
    )
    usage.add_trust(parser)


def _add_common(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    repeats: int,
    threads: int,
) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--repeats",
        metavar="R",
        type=usage.count,
        default=repeats,
        help=f"timed runs of each; {repeats}",
    )
    parser.add_argument(
        "--threads",
        metavar="T",
        type=usage.count,
        default=threads,
        help=f"of kodec's code and torch's ({threads}); with more than one, times are wall-clock "
        "times",
    )
    parser.set_defaults(run=run)
    usage.add_global_options(parser)


def bench_picture(options: argparse.Namespace) -> None:
    """Measure a model on pictures and print tables, or JSON."""
    from kodec.eval import bench_pictures as measure

    pictures = _pictures(options)
    codec, qualities = _model(options)
    with progress(options.quiet) as show:
        report = measure(
            codec,
            pictures,
            qualities,
            options.repeats,
            options.threads,
            options.peer,
            show,
        )
    _print(options, report, bench_tables.describe_pictures)


def bench_video(options: argparse.Namespace) -> None:
    """Measure a model on a sequence and print tables, or JSON."""
    from kodec.codecs.sequences.structures import Structure
    from kodec.codecs.sequences.video_codec import load_video
    from kodec.eval import VideoSource
    from kodec.eval import bench_video as measure

    codec = load_video(options.model, trusted=options.trust)
    structure = None if options.structure is None else Structure(options.structure)
    with tempfile.TemporaryDirectory(prefix="kodec-") as folder:
        path = options.video
        if path is None:
            if options.size is not None or options.fps is not None:
                raise usage.UsageError("--size and --fps are of a raw --video: name it")
            path = _write_pan(Path(folder), options.frames)
        source = VideoSource(path, options.size, options.fps, options.frames)
        with progress(options.quiet) as show:
            report = measure(
                *(codec, source, _qualities_for(codec, options), structure),
                *(options.repeats, options.threads, show),
            )
    _print(options, report, bench_tables.describe_video)


def _write_pan(folder: Path, frames: int) -> Path:
    """A raw clip that pans over the demo's picture, to and fro."""
    from kodec.codecs.video_files.frames import VideoFormat, write_raw
    from kodec.codecs.video_files.rgb_frames import frame_of_rgb

    picture = sample_picture().transpose(2, 0, 1) / 255
    form = VideoFormat(*_PAN)
    room = picture.shape[1] - form.height, picture.shape[2] - form.width
    path = folder / f"pan_{form.width}x{form.height}_{form.fps}.yuv"
    with path.open("wb") as file:
        for number in range(frames):
            top, left = (_there_and_back(speed * number, r) for speed, r in zip((2, 3), room))
            window = picture[:, top : top + form.height, left : left + form.width]
            write_raw(file, frame_of_rgb(window, form))
    return path


def _there_and_back(way: int, room: int) -> int:
    return room - abs(way % (2 * room) - room)


def bench_systems(options: argparse.Namespace) -> None:
    """Measure the packaged configs and print a table, or JSON."""
    import yaml

    from kodec.codecs import read_plain_picture
    from kodec.eval import bench_systems as measure

    models = {
        name: yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
        for name, path in packaged_configs().items()
    }
    # A module of its own trains models of sequences, which `bench video` is for.
    known = {name: model["codec"] for name, model in models.items() if "codec" in model}
    names = options.configs or list(known)
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError(
            f"no config of pictures {unknown[0]!r}: choose from {', '.join(known)}"
        )
    sections = {name: known[name] for name in names}
    picture = ("demo's picture", sample_picture())
    if options.picture is not None:
        picture = (options.picture.name, read_plain_picture(options.picture).pixels)
    with progress(options.quiet) as show:
        report = measure(sections, picture, options.repeats, options.threads, show)
    _print(options, report, bench_tables.describe_systems)


def bench_layers(options: argparse.Namespace) -> None:
    """Measure layers and print a table, or JSON."""
    from kodec.eval import bench_layers as measure

    with progress(options.quiet) as show:
        report = measure(options.repeats, options.threads, progress=show)
    _print(options, report, bench_tables.describe_layers)


def bench_coder(options: argparse.Namespace) -> None:
    """Measure the coder and print a table, or JSON."""
    from kodec.eval import bench_coder as measure

    pictures = _pictures(options)
    codec, qualities = _model(options)
    with progress(options.quiet) as show:
        report = measure(
            symbols=options.symbols,
            repeats=options.repeats,
            threads=options.threads,
            instruction_sets=options.simd,
            pictures=pictures,
            codec=codec,
            qualities=qualities,
            progress=show,
        )
    _print(options, report, bench_tables.describe_coder)


def _print(
    options: argparse.Namespace, report: "BenchReport", describe: Callable[[Any], list[str]]
) -> None:
    if options.json:
        print(json.dumps(report.to_json(), indent=2, allow_nan=False))
    else:
        print("\n".join(describe(report)))


def _pictures(options: argparse.Namespace) -> list[tuple[str, NDArray[np.uint8]]]:
    """Those that were named; else the demo's, and the first of Kodak, if it is there."""
    from kodec.codecs import read_plain_picture
    from kodec.eval import DatasetError, find_dataset

    if options.pictures:
        return [(path.name, read_plain_picture(path).pixels) for path in options.pictures]
    found = [("demo's picture", sample_picture())]
    try:
        first = find_dataset("kodak")[0]
    except DatasetError:
        return found
    return [*found, (first.name, read_plain_picture(first).pixels)]


def _model(options: argparse.Namespace) -> "tuple[Codec, list[int | None]]":
    """The model, and the qualities to measure at."""
    from kodec.codecs import load

    codec = load(options.model, trusted=options.trust)
    return codec, _qualities_for(codec, options)


def _qualities_for(codec: "Codec | VideoCodec", options: argparse.Namespace) -> "list[int | None]":
    if codec.variable_rate:
        return list(options.qualities or QUALITIES)
    if options.qualities:
        codec.check_quality(options.qualities[0])  # Refuses it.
    return [None]


_BENCH = "Measure how fast a part of kodec is on this machine."
_PICTURES = "the demo's picture, and the first of Kodak where KODEC_DATA has it"
_PICTURE = (
    "Encode and decode pictures, from memory to memory, and print seconds, where they go, and the "
    "peak memory."
)
_VIDEO = (
    "Code a sequence from its file to a coded one and back, and print frames a second, whole and "
    "stage by stage."
)
_SYSTEMS = (
    "Code a picture with every packaged training config, random weights set so that there is as "
    "much to code as with trained ones, in both portability classes, and with CompressAI's own "
    "model of the same weights where it has one. Large systems take minutes; --configs chooses."
)
_LAYERS = (
    "Run layers of published systems by the core, by PyTorch alone and by NNPACK, and latents in "
    "raster order beside CompressAI's."
)
_CODER = (
    "Code drawn Gaussian symbols (A: all 64 scales, B: the 21 smallest) and the latents of real "
    "pictures, and print million symbols a second, size against the ideal, and the ratio to "
    "CompressAI's coder in the same run; constriction and torchac take part where installed."
)
