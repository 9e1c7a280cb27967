"""`kodec encode --model FAMILY`: a network fitted to each input; and decoding of such files."""

import argparse
import itertools
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodec.codecs.fitted_families import family_named, family_of
from kodec.native import InvalidInputError, KodecError

from . import refining, usage
from .figures import FileFigures
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs.fitted import Clip, FittedFile, Reconstruction
    from kodec.eval.running.measured_fit import MeasuredFit

_log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of `encode`, for fitted families alone; the budget is refinement's."""
    fitted = parser.add_argument_group("fitted families")
    fitted.add_argument("--preset", metavar="NAME", help="one of the family's own")
    fitted.add_argument(
        "--add",
        action="store_true",
        help="add a video to OUTPUT.kdc, an archive of pfnr, which keeps those it has bit for bit",
    )
    fitted.add_argument("--seed", metavar="N", type=usage.number, help="of its random numbers (0)")


def refuse_options(options: argparse.Namespace) -> None:
    """Refuse what is for fitted families where the model is none."""
    if options.add:
        raise InvalidInputError(
            f"--add is for archives of fitted families, not for {options.model}"
        )
    for name in ("preset", "seed"):
        if getattr(options, name) is not None:
            raise InvalidInputError(f"--{name} is for fitted families, and {options.model} is none")
    if options.size is not None and not isinstance(options.size, tuple):
        raise InvalidInputError(
            f"--size {options.size} is of a fitted network, and {options.model} is none: raw video "
            "has a size WIDTHxHEIGHT"
        )


def codec_for(family: str, options: argparse.Namespace) -> "MeasuredFit":
    """The family with the budget, size and preset that the options give."""
    from kodec.codecs.fitted import Budget
    from kodec.eval.running.measured_fit import MeasuredFit

    if options.lam is not None or options.schedule is not None:
        raise InvalidInputError(f"--lambda and --schedule are for refinement, not for {family}")
    size = getattr(options, "size", None)
    how: dict[str, Any] = {
        "size": None if isinstance(size, tuple) else size,
        "preset": getattr(options, "preset", None),
        "seed": getattr(options, "seed", None) or 0,
        "device": options.device,
    }
    target = getattr(options, "target_psnr", None)
    kind = family_named(family).model()
    if getattr(options, "target_bpp", None) is not None:
        takes = "--size, as 0.1bpp" if kind.takes_size else "--quality"
        raise InvalidInputError(f"{family} takes no --target-bpp: give {takes}")
    if target is not None and not kind.takes_size:
        raise InvalidInputError(f"{family} takes no --target-psnr: give --quality")
    if options.effort is not None:
        how["effort"] = options.effort
    if options.minutes is not None or options.steps is not None:
        how["budget"] = Budget(options.steps, options.minutes)
    return MeasuredFit(family, until=target, **how)


def encode(options: argparse.Namespace, video: bool) -> FileFigures:
    """Fit a network to a picture or a video, and write its file."""
    from kodec.codecs import write_atomically
    from kodec.eval import psnr

    clip, metadata = _read(options, video)
    codec = codec_for(options.model, options)
    state = refining.state_of(options.output)
    archive = _archive(options, codec) if options.add else None
    with progress(options.quiet) as show:
        if archive is not None:
            fitted = codec.extend(archive, clip, show, state, options.resume)
        else:
            fitted = codec.fit(
                clip, options.quality, show, state=state, resume=options.resume, metadata=metadata
            )
    if options.verify:
        _verify(fitted.data, fitted.reconstruction, options.device)
    write_atomically(options.output, fitted.data)
    refining.conclude(fitted.run, options.output)
    peak = 2**clip.bit_depth - 1
    size, whole = clip.size, fitted.model.size
    before = whole.frames - size.frames
    shown = (fitted.reconstruction.frame(n) for n in range(before, whole.frames))
    decibels = [psnr(source, now, peak) for source, now in zip(clip.pixels, shown, strict=True)]
    mean = math.fsum(min(value, 100.0) for value in decibels) / len(decibels)
    figures = FileFigures(len(fitted.data), size.width, size.height, size.frames, mean)
    if options.quiet:
        return figures
    parts = [f"{size.frames} frames"] if size.frames > 1 else []
    parts += [] if archive is None else [f"behind {before} that it had"]
    parts += [f"{len(fitted.data):,} bytes", f"{8 * len(fitted.data) / whole.pixels:.3f} bpp"]
    parts += [f"{mean:.2f} dB", f"{fitted.model.cost().parameters:,} parameters"]
    parts += [f"{fitted.run.done} steps in {math.ceil(fitted.run.seconds)} s"]
    print(f"{options.output}: {', '.join(parts)}")
    if options.target_psnr is not None and not fitted.reached:
        _log.warning(
            "%g dB was not reached: give the fit longer, or a larger --size", options.target_psnr
        )
    return figures


def name_archive_family(options: argparse.Namespace) -> None:
    """Where `--add` comes without a model, it is the archive's family."""
    from kodec.codecs.container import ChunkReader, FittedHeader

    from .coded_file import naming

    if options.model is not None or not is_fitted(options.output):
        return
    with options.output.open("rb") as file, naming(options.output):
        header = ChunkReader(file).header
    assert isinstance(header, FittedHeader)
    options.model = family_of(header.family, header.version).name


def _archive(options: argparse.Namespace, codec: "MeasuredFit") -> "FittedFile":
    """The file that a video is added to, read whole; and what the options may not be then."""
    from kodec.codecs.fitted import read_fitted

    from .coded_file import naming

    for name, given in (("--size", codec.goal.size), ("--preset", codec.goal.preset)):
        if given is not None:
            raise InvalidInputError(f"{name} is the archive's: leave it out with --add")
    if not options.output.is_file():
        raise InvalidInputError(f"{options.output} is no file to add to: encode the first without")
    with options.output.open("rb") as file, naming(options.output):
        return read_fitted(file, options.device)


def _read(options: argparse.Namespace, video: bool) -> "tuple[Clip, Mapping[str, bytes]]":
    from kodec.codecs import read_plain_picture

    if not video:
        picture = read_plain_picture(options.input)
        from kodec.codecs.fitted import Clip

        found = {"icc": picture.icc, "exif": picture.exif}
        return Clip(picture.pixels[None]), {name: data for name, data in found.items() if data}
    from kodec.codecs.video_files.video_reading import open_video

    raw = options.size if isinstance(options.size, tuple) else None
    opened = open_video(
        options.input, raw, options.fps, options.frames, start=options.start, pixels=options.pixels
    )
    from kodec.codecs.fitted.frame_networks.clip_frames import clip_of

    return clip_of(opened.frames(), opened.form), {}


def _verify(data: bytes, expected: "Reconstruction", device: str) -> None:
    from kodec.codecs.fitted import read_fitted

    decoded = read_fitted(data, device).reconstruction
    for number in range(expected.size.frames):
        if decoded.frame(number).tobytes() != expected.frame(number).tobytes():
            raise KodecError(
                "the file would not decode to the encoder's own reconstruction, so it was not "
                "written; please report it"
            )


def is_fitted(source: Path) -> bool:
    """Whether a `.kdc` file holds a fitted network."""
    from kodec.codecs.container import ChunkReader, FittedHeader

    if not source.is_file():
        return False
    with source.open("rb") as file:
        try:
            return isinstance(ChunkReader(file).header, FittedHeader)
        except KodecError:
            # What is wrong with it, reading it as a picture says.
            return False


def decode(options: argparse.Namespace) -> int:
    """Decode a fitted network's file to a picture or a video."""
    from kodec.codecs import check_picture_output
    from kodec.codecs.container import ChunkReader, FittedHeader

    from .coded_file import naming

    output = Path(options.output)
    with options.input.open("rb") as file, naming(options.input):
        header = ChunkReader(file).header
        assert isinstance(header, FittedHeader)
        picture = header.frames == 1 and header.bit_depth == 8
        if picture:
            for name in ("start", "frames", "codec", "partial", "session"):
                if getattr(options, name) not in (None, False, 0, ""):
                    raise InvalidInputError(f"--{name} is for videos, and this is a picture")
            check_picture_output(output, header.components)
        else:
            from kodec.codecs.video_files.video_writing import check_video_output

            check_video_output(options.output, options.codec)
            if options.partial:
                raise InvalidInputError("--partial is not for fitted networks: they are read whole")
    from kodec.codecs.fitted import read_fitted

    with options.input.open("rb") as file, naming(options.input):
        found = read_fitted(file, options.device, model=options.model)
        if options.session is not None:
            _choose_session(found, options)
        if picture:
            _write_picture(found, output)
        else:
            _write_video(found, options)
    if not options.quiet:
        what = f"{header.width}x{header.height}, fitted network {found.model.family.name}"
        print(f"{options.output}: {what}")
    return 0


def _choose_session(found: "FittedFile", options: argparse.Namespace) -> None:
    """Make a session's frames what is decoded; `--start` and `--frames` count within it."""
    lengths = found.model.sessions
    if options.session >= len(lengths):
        has = f"sessions 0 to {len(lengths) - 1}" if lengths else "no sessions"
        raise InvalidInputError(f"{options.input} has {has}, not {options.session}")
    length = lengths[options.session]
    if options.start >= length:
        raise InvalidInputError(f"the session has no frame {options.start}: give a smaller --start")
    options.frames = min(options.frames or length, length - options.start)
    options.start += sum(lengths[: options.session])


def _write_picture(found: "FittedFile", output: Path) -> None:
    from kodec.codecs import Picture, write_picture

    metadata = found.metadata
    pixels = found.reconstruction.frame(0)
    write_picture(output, Picture(pixels, metadata.get("icc"), metadata.get("exif")))


def _write_video(found: "FittedFile", options: argparse.Namespace) -> None:
    from kodec.codecs.container.sequence_head import Colour
    from kodec.codecs.fitted.frame_networks.clip_frames import frames_of
    from kodec.codecs.video_files.frames import VideoFormat
    from kodec.codecs.video_files.video_writing import VideoWriter

    size, rate = found.reconstruction.size, found.header.rate
    if options.start >= size.frames:
        raise InvalidInputError(f"it has no frame {options.start}: give a smaller --start")
    last = min(size.frames, options.start + (options.frames or size.frames))
    form = VideoFormat(size.width, size.height, "420", size.bit_depth, rate)
    path = Path(options.output)
    if size.components == 1:
        form = replace(form, chroma="400")
    elif options.codec is None and (path.suffix.lower() == ".mkv" or not path.suffix):
        # Lossless files and folders of PNGs keep RGB as it is.
        form = replace(form, chroma="444", colour=Colour(1, 13, 0, full_range=True))
    frames = frames_of(found.reconstruction, form, options.start)
    with (
        progress(options.quiet) as show,
        VideoWriter(options.output, form, codec=options.codec) as out,
    ):
        for frame in itertools.islice(frames, last - options.start):
            out.write(frame)
            show(out.count, last - options.start, "decoding")


def facts_of(path: Path) -> dict[str, Any]:
    """What `kodec info` says of a file: its head, and bits by part."""
    from kodec.codecs.container import FORMAT_VERSION
    from kodec.codecs.fitted import read_fitted

    from .coded_file import naming

    with path.open("rb") as file, naming(path):
        found = read_fitted(file)
    header, size, cost = found.header, path.stat().st_size, found.model.cost()
    parts = found.bytes_by_part(size)
    family = family_named(found.model.family.name)
    return {
        "file": str(path),
        "kind": "fitted network",
        "format_version": FORMAT_VERSION,
        "family": f"{family.name}, version {family.version}",
        "width": header.width,
        "height": header.height,
        "frames": header.frames,
        **({"frames_per_second": str(header.rate)} if header.frames > 1 else {}),
        "components": header.components,
        "bit_depth": header.bit_depth,
        "architecture": list(header.architecture),
        "parameters": cost.parameters,
        "multiplications_per_pixel": cost.macs_per_pixel,
        "portability": header.portability,
        "bytes": size,
        "bytes_per_part": {name: round(taken, 1) for name, taken in parts.items()},
        "bpp": round(8 * size / found.model.size.pixels, 6),
        **_sessions(found),
    }


def _sessions(found: "FittedFile") -> dict[str, Any]:
    """The videos that an archive holds: frames, the first one's number, coded bytes."""
    lengths = found.model.sessions
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    rows = zip(lengths, starts, found.packets, strict=False)
    sessions = {
        str(number): {"frames": frames, "first_frame": start, "bytes": len(packet)}
        for number, (frames, start, packet) in enumerate(rows)
    }
    return {"sessions": sessions} if sessions else {}
