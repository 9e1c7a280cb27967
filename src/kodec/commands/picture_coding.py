"""`kodec encode` and `kodec decode` of pictures: files and pipes, targets, limits, damage."""

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal

from kodec.codecs.freed_memory import share_one_heap
from kodec.native import InvalidInputError, KodecError

from . import refining, usage
from .coded_file import naming
from .figures import FileFigures
from .loading import load_once
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec, Encoded, Found, Picture, PictureHeader
    from kodec.codecs.codec import Lost, Measured
    from kodec.codecs.fitted import Figures, Refined
    from kodec.codecs.pictures.tile_grid import Box

PIPE = Path("-")
LOST_TILES = 3
"""Exit status where tiles were lost and the others written."""
_PICTURES: tuple[Literal["picture"]] = ("picture",)
_MOST_OF_A_PIPE = 1 << 31


def add_encode_options(
    parser: argparse.ArgumentParser, rate: "argparse._MutuallyExclusiveGroup"
) -> None:
    """What `encode` takes for pictures alone; `rate` are the options of which one may be given."""
    rate.add_argument(
        "--target-bpp",
        metavar="B",
        type=usage.positive,
        help="the best quality whose file takes at most B bits per pixel",
    )
    rate.add_argument(
        "--target-bytes",
        metavar="N",
        type=usage.byte_count,
        help="the best quality whose file takes at most N bytes, 200k say",
    )
    pictures = parser.add_argument_group("pictures")
    pictures.add_argument(
        "--convert",
        action="store_true",
        help="take a CMYK picture through its profile to sRGB, which changes its samples",
    )
    _add_memory(pictures, "cut the picture into tiles for")


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """What `decode` takes for pictures alone."""
    pictures = parser.add_argument_group("pictures")
    pictures.add_argument(
        "--crop",
        metavar="X,Y,W,H",
        type=usage.box,
        help="only W x H pixels from column X and row Y on; reads only what that takes",
    )
    _add_memory(pictures, "decode no more tiles at a time than go with")


def _add_memory(group: "argparse._ArgumentGroup", what: str) -> None:
    group.add_argument(
        "--max-memory",
        metavar="M",
        type=usage.byte_count,
        help=f"{what} a process of at most so many bytes, 1.5G say",
    )


def encode(options: argparse.Namespace) -> FileFigures:
    """Encode a picture to a file."""
    from kodec.codecs import read_picture

    refines = refining.wanted(options)
    source = options.input if options.input != PIPE else _from_pipe()
    picture = read_picture(source, convert=options.convert)
    # From here on torch is there.
    codec = load_once(options.model, options.device, options.trust)
    share_one_heap()
    how = _division(codec, picture, options, refines)
    refined: Refined | None = None
    found: Encoded | None = None
    searched = ""
    if (options.target_bpp, options.target_bytes, options.target_psnr) == (None, None, None):
        quality = codec.check_quality(options.quality)
    else:
        quality, found, searched = _search(codec, picture, how, options)
    if refines:
        keeps = _within(options, picture)
        refined = refining.refine(codec, picture, quality, found, keeps, options)
        found = refined.coded
    encoded: Encoded | Measured
    if found is not None:
        encoded = found
    elif options.verify or picture.alpha is not None:
        encoded = codec.encode_picture(picture, quality, **how)
    else:
        encoded = codec.encode_measured(picture, quality, **how)
    decibels = _psnr(picture, encoded)
    if options.verify and not _decodes_to(codec, encoded):
        raise KodecError(
            "the file would not decode to the encoder's own reconstruction, so it was not written; "
            "please report it"
        )
    _write(options.output, encoded.data)
    if refined is not None:
        refining.conclude(refined.run, options.output)
    if not options.quiet:
        parts = _in_words(picture, encoded, decibels, quality) + ([searched] if searched else [])
        parts += [] if refined is None else [refining.gain_in_words(refined)]
        remarks = sys.stderr if options.output == PIPE else sys.stdout
        print(f"{options.output}: {', '.join(parts)}", file=remarks)
    height, width = picture.pixels.shape[:2]
    return FileFigures(len(encoded.data), width, height, psnr=decibels)


def _decodes_to(codec: "Codec", encoded: "Encoded | Measured") -> bool:
    shown = _shown(encoded)
    return shown is not None and codec.decode_picture(encoded.data).same_as(shown)


def _shown(encoded: "Encoded | Measured") -> "Picture | None":
    """What decoding gives, where it was kept."""
    from kodec.codecs import Encoded

    return encoded.reconstruction if isinstance(encoded, Encoded) else None


def _in_words(
    picture: "Picture", encoded: "Encoded | Measured", decibels: float, quality: int | None
) -> list[str]:
    parts = [f"{len(encoded.data):,} bytes", f"{_bpp(encoded.data, picture):.3f} bpp"]
    parts += [] if quality is None else [f"quality {quality}"]
    parts += [f"{decibels:.1f} dB" if math.isfinite(decibels) else "no loss"]
    reconstruction = _shown(encoded)
    shown = None if reconstruction is None else reconstruction.alpha
    if picture.alpha is not None and shown is not None:
        from kodec.eval import psnr

        level = psnr(picture.alpha, shown, (1 << picture.bit_depth) - 1)
        parts += ["alpha without loss" if math.isinf(level) else f"alpha coded, {level:.1f} dB"]
    return parts


def _division(
    codec: "Codec", picture: "Picture", options: argparse.Namespace, refines: bool
) -> dict[str, Any]:
    """How a limit of memory wants the picture cut."""
    if options.max_memory is None:
        return {}
    if refines:
        raise InvalidInputError(
            "refinement has the whole picture in memory: leave --max-memory or --effort out"
        )
    from kodec.codecs.pictures.memory_budget import MemoryBudget

    quality = codec.condition(codec.check_quality(options.quality))
    budget = MemoryBudget(codec.network, quality, options.max_memory)
    height, width = picture.pixels.shape[:2]
    plan = budget.plan(width, height, codec.most_workers, _bytes_of(picture))
    return {"tile": plan.tile, "workers": plan.workers}


def _bytes_of(picture: "Picture") -> int:
    alpha = 0 if picture.alpha is None else picture.alpha.nbytes
    return int(picture.pixels.nbytes + alpha)


def _within(options: argparse.Namespace, picture: "Picture") -> "Callable[[Figures], bool]":
    """Which states of a refinement keep what the options ask for."""
    most = options.target_bpp
    if options.target_bytes is not None:
        height, width = picture.pixels.shape[:2]
        most = 8 * options.target_bytes / (height * width)

    def keeps(figures: "Figures") -> bool:
        if most is not None:
            return bool(figures.bpp <= most)
        return bool(options.target_psnr is None or figures.psnr >= options.target_psnr)

    return keeps


def _search(
    codec: "Codec", picture: "Picture", how: Mapping[str, Any], options: argparse.Namespace
) -> tuple[int, "Encoded", str]:
    """The quality that meets the target, what it gives, and how it was found."""
    from kodec.codecs import MOST_TRIALS, meet_target
    from kodec.codecs.pictures.quality_search import PSNR_RISE, RATE_RISE

    flag = next(
        f"--target-{name}"
        for name in ("bpp", "bytes", "psnr")
        if getattr(options, f"target_{name}") is not None
    )
    if not codec.variable_rate:
        raise InvalidInputError(f"the model {codec.name} has one fixed rate: leave {flag} out")
    found: Found[Any]
    encoded: Encoded | None
    with progress(options.quiet) as show:
        trials = 0

        def note(quality: int) -> int:
            nonlocal trials
            show(trials, MOST_TRIALS, f"quality {quality}")
            trials += 1
            return quality

        if options.target_psnr is not None:
            by_psnr = meet_target(
                lambda quality: codec.encode_picture(picture, note(quality), **how),
                lambda trial: _psnr(picture, trial),
                options.target_psnr,
                "at least",
                PSNR_RISE,
            )
            found, reached = by_psnr, _psnr(picture, by_psnr.trial)
            encoded = by_psnr.trial if by_psnr.reached else None
        else:
            pixels = picture.pixels.shape[0] * picture.pixels.shape[1]
            by_size = meet_target(
                # Only what is written is decoded: of a trial, the bytes tell enough.
                lambda quality: codec.code_picture(picture, note(quality), **how),
                lambda trial: math.log(len(trial.data)),
                math.log(options.target_bytes or options.target_bpp * pixels / 8),
                "at most",
                RATE_RISE,
            )
            found, reached = by_size, float(len(by_size.trial.data))
            encoded = codec.reconstruct(by_size.trial) if by_size.reached else None
    if encoded is None:
        reason = _out_of_reach(picture, found.quality, reached, flag, options)
        raise KodecError(f"{options.input}: {reason}")
    closed = "" if found.closed else ", perhaps not the nearest quality"
    return found.quality, encoded, f"{found.trials} encodes{closed}"


def _out_of_reach(
    picture: "Picture", quality: int, reached: float, flag: str, options: argparse.Namespace
) -> str:
    """That the target is, where that quality, the best one, comes to so many bytes or dB."""
    if flag == "--target-psnr":
        best = math.floor(reached * 100) / 100
        return (
            f"{options.target_psnr:g} dB is out of reach: quality {quality} gives {best:.2f} dB; "
            f"give --target-psnr {best:.2f} or less"
        )
    takes = f"quality {quality} takes {round(reached):,} bytes"
    if flag == "--target-bytes":
        return (
            f"{options.target_bytes:,} bytes are out of reach: {takes}; give --target-bytes "
            f"{round(reached)} or more"
        )
    height, width = picture.pixels.shape[:2]
    least = math.ceil(8000 * reached / (height * width)) / 1000
    given = f"{options.target_bpp:g} bpp is out of reach"
    return f"{given}: {takes}; give --target-bpp {least:.3f} or more"


def decode(options: argparse.Namespace) -> int:
    """Decode a file to a picture; returns the exit status."""
    from kodec.codecs import ChunkReader, Packet, PictureHeader, check_picture_output

    output = Path(options.output)
    with _coded_input(options.input) as file:
        with naming(options.input):
            damaged: Literal["keep", "refuse"] = "keep" if options.partial else "refuse"
            reader = ChunkReader(file, damaged=damaged, kinds=_PICTURES)
            header = reader.header
            assert isinstance(header, PictureHeader)
        if output != PIPE:
            check_picture_output(output, header.components, header.bit_depth, header.planes > 1)
        # From here on torch is there.
        from kodec.codecs.catalogue import model_path

        with naming(options.input):
            crop = _crop(header, options)
            model = model_path(header.model_id) if options.model is None else options.model
            codec = load_once(model, options.device, options.trust)
            share_one_heap()
            needed = codec.packets_for(header, crop)
            workers = _workers(codec, header, crop, options)
            if len(needed) == header.packets or options.partial:
                packets = {item.number: item.data for item in reader if isinstance(item, Packet)}
            else:
                packets = {packet.number: packet.data for packet in reader.only(set(needed))}
            lost: list[Lost] = []
            if options.partial:
                found = codec.decode_partial(header, packets, reader.metadata, crop, workers)
                picture, lost = found
            else:
                picture = codec.decode_packets(header, packets, reader.metadata, crop, workers)
    _write_picture(output, picture)
    remarks = sys.stderr if output == PIPE else sys.stdout
    if not options.quiet:
        height, width = picture.pixels.shape[:2]
        print(f"{output}: {width}x{height}, {picture.kind}, model {codec.name}", file=remarks)
        for tile in lost:
            print(f"lost: {tile.plane} of {_place(tile.box)}", file=remarks)
    gone = [_tiles_in_words(len(lost))] if lost else []
    gone += [f"the {name}" for name in reader.lost_metadata]
    if not gone:
        return 0
    why = f" ({reader.cut})" if reader.cut is not None else ""
    print(f"kodec: {options.input}: damaged{why}; lost: {' and '.join(gone)}", file=sys.stderr)
    return LOST_TILES


def _tiles_in_words(count: int) -> str:
    if count == 1:
        return "1 tile, which is filled in from its neighbours"
    return f"{count} tiles, which are filled in from their neighbours"


def _place(box: "Box") -> str:
    return f"{box.width}x{box.height}+{box.left}+{box.top}"


def _crop(header: "PictureHeader", options: argparse.Namespace) -> "Box | None":
    if options.crop is None:
        return None
    from kodec.codecs.pictures.tile_grid import Box

    left, top, width, height = options.crop
    if left + width > header.width or top + height > header.height:
        raise InvalidInputError(
            f"the picture has {header.width}x{header.height} pixels, and --crop goes up to column "
            f"{left + width} and row {top + height}"
        )
    return Box(left, top, left + width, top + height)


def _workers(
    codec: "Codec", header: "PictureHeader", crop: "Box | None", options: argparse.Namespace
) -> int | None:
    """How many tiles may be at work at a time; None: as usual."""
    if options.max_memory is None:
        return None
    from kodec.codecs.pictures.coded_picture import grid_of
    from kodec.codecs.pictures.memory_budget import MemoryBudget

    grid = grid_of(header)
    shown = crop or grid.whole
    samples = shown.width * shown.height * header.components * header.bit_depth // 8
    # What writes the picture has it once more, when no tile is at work any longer.
    quality = codec.condition(header.quality)
    budget = MemoryBudget(codec.network, quality, options.max_memory, decodes=True)
    return budget.workers(grid, codec.most_workers, samples)


def _from_pipe() -> IO[bytes]:
    """All that comes through the pipe, as a file."""
    data = sys.stdin.buffer.read(_MOST_OF_A_PIPE + 1)
    if len(data) > _MOST_OF_A_PIPE:
        raise InvalidInputError("more than 2 GiB come through the pipe: save them to a file first")
    return _NamedBytes(data)


class _NamedBytes(io.BytesIO):
    name = "the input"


@contextmanager
def _coded_input(path: Path) -> Iterator[BinaryIO]:
    if path == PIPE:
        yield sys.stdin.buffer
        return
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; name a .kdc file in it")
    with path.open("rb") as file:
        yield file


def _write(output: Path, data: bytes) -> None:
    from kodec.codecs import write_atomically

    if output == PIPE:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_atomically(output, data)


def _write_picture(output: Path, picture: "Picture") -> None:
    from kodec.codecs import write_picture
    from kodec.codecs.pictures.picture_file import picture_bytes

    if output == PIPE:
        sys.stdout.buffer.write(picture_bytes(picture, ".png"))
        sys.stdout.buffer.flush()
    else:
        write_picture(output, picture)


def _psnr(picture: "Picture", encoded: "Encoded | Measured") -> float:
    from kodec.codecs.codec import Measured
    from kodec.eval import psnr
    from kodec.eval.metrics.picture_metrics import psnr_of_error

    largest = (1 << picture.bit_depth) - 1
    if isinstance(encoded, Measured):
        return psnr_of_error(encoded.mean_squared_error, largest)
    return psnr(picture.pixels, encoded.reconstruction.pixels, largest)


def _bpp(data: bytes, picture: "Picture") -> float:
    height, width, _ = picture.pixels.shape
    return 8 * len(data) / (height * width)
