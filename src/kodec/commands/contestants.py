"""What `kodec eval` measures: models or a baseline, and the baselines beside them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.codecs.fitted_families import is_family
from kodec.native import InvalidInputError

from . import fitted_coding, refining, usage

if TYPE_CHECKING:
    from kodec.codecs import Codec
    from kodec.codecs.fitted import FittedCodec
    from kodec.eval import CodecMaker
    from kodec.eval.baselines import Baseline
    from kodec.eval.running.checked_video import CheckedVideoCodec

QUALITIES = (8, 16, 24, 32, 40, 48, 56)
STRUCTURES = ("intra", "low-delay", "low-delay-2", "hierarchical", "random-access")

# kodec.eval.baselines has them too, but takes seconds to import.
LIBAV, PROGRAMS = ("x264", "x265", "svt-av1"), ("vtm", "hm", "vvenc")
OF_PICTURES = ("jpeg", "jpeg2000", "webp", "avif")


@dataclass(frozen=True)
class Contestant:
    """One curve: the names of its codecs with what makes them, its qualities, where it goes."""

    codecs: "Sequence[tuple[str, CodecMaker]]"
    qualities: list[int | None]
    output: Path


def contestants(
    options: argparse.Namespace, files: Sequence[Path], video: bool
) -> list[Contestant]:
    """What was asked for of these files, first the one of --model, --coded or --codec.

    Baselines beside it code in its structure. Raises InvalidInputError and UsageError.
    """
    if options.codec is not None:
        structure = options.structure or "random-access"
        found = [_of_baseline(options, options.codec, structure, options.output, video)]
    elif options.coded is not None:
        found, structure = [_of_coded(options, files, video)], "intra"
    elif video:
        main, structure = _of_videos(options)
        found = [main]
    else:
        found, structure = [_of_pictures(options)], "intra"
    # Encoders take more references than one anyway, as many as their presets say.
    structure = {"low-delay-2": "low-delay"}.get(structure, structure)
    for name in options.beside or ():
        output = options.output.with_name(f"{options.output.stem}-{name}{options.output.suffix}")
        found.append(_of_baseline(options, name, structure, output, video))
    return found


def _of_pictures(options: argparse.Namespace) -> Contestant:
    from kodec.codecs import load

    if any(map(is_family, options.model)):
        return _of_families(options)
    codecs = [load(model, options.device, options.trust) for model in options.model]
    qualities = _qualities(codecs, options.qualities)
    if refining.wanted(options):
        names = [refining.refining_codec(codec, options).name for codec in codecs]
        makers = [partial(refining.load_refining, model, options) for model in options.model]
        return Contestant(list(zip(names, makers, strict=True)), qualities, options.output)
    loads = [partial(load, model, options.device, options.trust) for model in options.model]
    named = [(codec.name, make) for codec, make in zip(codecs, loads, strict=True)]
    return Contestant(named, qualities, options.output)


def _of_coded(options: argparse.Namespace, files: Sequence[Path], video: bool) -> Contestant:
    """Files that are there already, which make one curve."""
    from kodec.eval.running.coded_files import CodedFiles, files_of

    if video:
        raise InvalidInputError(f"--coded is of pictures, and {options.dataset} is of video")
    codecs = []
    for coded in options.coded:
        how = coded.name.removesuffix(".kdc"), files_of(coded, files), options.device
        codecs.append((how[0], partial(CodedFiles, *how)))
    return Contestant(codecs, [None], options.output)


def _of_families(options: argparse.Namespace) -> Contestant:
    """A family that is fitted to each picture, within the budget of the options."""
    if len(options.model) > 1:
        raise InvalidInputError("a fitted family makes a curve by itself: name one --model alone")
    make = partial(fitted_coding.codec_for, options.model[0], options)
    codec = make()
    return Contestant([(codec.name, make)], _qualities([codec], options.qualities), options.output)


def _of_videos(options: argparse.Namespace) -> tuple[Contestant, str]:
    """The models, and the structure that they code in."""
    from kodec.eval.running.checked_video import load_checked_video

    if any(map(is_family, options.model)):
        if options.structure or options.offsets or options.intra_period:
            raise InvalidInputError(
                "--structure, --offsets and --intra-period mean nothing to a fitted network: leave "
                "them out"
            )
        return _of_families(options), "random-access"
    if refining.wanted(options):
        raise InvalidInputError(
            f"--effort and --minutes are for pictures, and {options.dataset} is of video: leave "
            "them out"
        )
    structure = _structure(options)
    how = options.device, options.trust, structure, options.intra_period or 0, options.offsets
    makers = [partial(load_checked_video, model, *how) for model in options.model]
    codecs = [make() for make in makers]
    if len(used := {codec.structure.name for codec in codecs}) > 1:
        raise InvalidInputError(
            f"the models code in different structures ({', '.join(sorted(used))}): name one by "
            "--structure"
        )
    name = codecs[0].structure.name
    _check_period(options, name)
    qualities = _qualities(codecs, options.qualities)
    named = [(codec.name, make) for codec, make in zip(codecs, makers, strict=True)]
    return Contestant(named, qualities, options.output), name


def _structure(options: argparse.Namespace) -> str | None:
    """The one that was named, None: the model's own."""
    if options.structure == "random-access":
        raise InvalidInputError(
            "random-access is how x264, x265 and svt-av1 code of themselves: of models say "
            "--structure hierarchical, and --intra-period N"
        )
    name: str | None = options.structure
    return name


def _check_period(options: argparse.Namespace, structure: str) -> None:
    if options.intra_period is not None and structure == "intra":
        raise InvalidInputError(
            "--intra-period changes nothing where every frame is coded by itself: leave it out"
        )


def _of_baseline(
    options: argparse.Namespace, name: str, structure: str, output: Path, video: bool
) -> Contestant:
    from kodec.eval.baselines import SCALES

    scale = SCALES[name]
    main = name == options.codec
    if video and scale.usual_video is None:
        raise InvalidInputError(f"{name} codes pictures, and this data set is of video")
    asked = options.qualities if main else None
    beyond = [q for q in asked or () if not scale.lowest <= q <= scale.highest]
    if beyond:
        takes = f"{name} takes {scale.unit}, {scale.lowest} to {scale.highest}"
        raise usage.UsageError(f"{takes}, not {beyond[0]}")
    baseline = _baseline(options, name, structure, main)
    if name in LIBAV:
        _check_period(options, structure)
    qualities = [*(asked or baseline.qualities(video))]
    return Contestant([(name, baseline.open)], qualities, output)


def _baseline(options: argparse.Namespace, name: str, structure: str, main: bool) -> "Baseline":
    from kodec.eval.baselines import Baseline
    from kodec.eval.baselines.libav_streams import STRUCTURES as THEIRS

    of_theirs = next((known for known in THEIRS if known == structure), None)
    if of_theirs is None:
        raise InvalidInputError(
            f"{name} has no structure {structure}: choose from {', '.join(THEIRS)}"
        )
    period = options.intra_period or 0
    if not main:
        return Baseline(name, structure=of_theirs, intra_period=period)
    return Baseline(
        name,
        options.preset,
        of_theirs,
        period,
        options.binary,
        tuple(options.config or ()),
        options.decoder,
        options.bit_depth or 8,
        options.cache,
    )


def _qualities(
    codecs: "Sequence[Codec | CheckedVideoCodec | FittedCodec]", asked: list[int] | None
) -> list[int | None]:
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
