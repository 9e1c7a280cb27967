"""`kodec encode` and `kodec decode`: pictures to `.kdc` files and back; videos: video_coding."""

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.codecs.fitted_families import is_family
from kodec.native import InvalidInputError, KodecError, UnsupportedError

from . import fitted_coding, many, refining, usage, video_coding
from .figures import FileFigures
from .loading import load_once, load_once_for
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec, Coded, Encoded, Picture
    from kodec.codecs.fitted import Figures, Refined

EXTENSION = ".kdc"


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    encode_ = commands.add_parser(
        "encode", help="a picture or a video to a .kdc file", description=_ENCODE
    )
    many.add_options(encode_, "encode", "OUTPUT.kdc")
    encode_.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="an embedded model or a family that is fitted to each input (see `kodec models`), or "
        "a model file (default, of videos video)",
    )
    rate = encode_.add_mutually_exclusive_group()
    rate.add_argument(
        "--quality", metavar="Q", type=usage.quality, help="0 (smallest) to 63 (best); 32"
    )
    rate.add_argument(
        "--target-bpp",
        metavar="B",
        type=usage.positive,
        help="the best quality whose file takes at most B bits per pixel",
    )
    rate.add_argument(
        "--target-psnr",
        metavar="D",
        type=usage.positive,
        help="the smallest file with a PSNR of at least D dB",
    )
    refining.add_options(encode_)
    encode_.add_argument(
        "--resume",
        action="store_true",
        help="go on with the refinement or the fit of this output that was broken off",
    )
    encode_.add_argument(
        "--verify",
        action="store_true",
        help="decode the file's bytes and compare before writing them",
    )
    fitted_coding.add_options(encode_)
    video_coding.add_encode_options(encode_, rate)
    usage.add_trust(encode_)
    usage.add_device(encode_)
    usage.add_threads(encode_)
    encode_.set_defaults(run=encode)

    decode_ = commands.add_parser(
        "decode", help="a .kdc file to a picture or a video", description=_DECODE
    )
    many.add_options(decode_, "decode", "OUTPUT")
    decode_.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="the model that wrote the file, where it is not an embedded one",
    )
    video_coding.add_decode_options(decode_)
    usage.add_trust(decode_)
    usage.add_device(decode_)
    usage.add_threads(decode_)
    decode_.set_defaults(run=decode)

    for parser in (encode_, decode_):
        usage.add_global_options(parser)


def encode(options: argparse.Namespace) -> None:
    """Encode a picture or a video to a file, or many to as many."""
    if many.wanted(options):
        return many.code_files(options, "encode")
    options.output = Path(options.output)
    usage.use_threads(options)
    encode_file(options)


def encode_file(options: argparse.Namespace) -> FileFigures:
    """Encode one input to one output."""
    video = video_coding.is_video(options.input, options)
    if options.model is None:
        options.model = "video" if video else "default"
    if not (video and options.output == video_coding.PIPE):
        _check_coded_output(options.output, options.input)
    if options.add:
        fitted_coding.name_archive_family(options)
    if is_family(options.model):
        return fitted_coding.encode(options, video)
    fitted_coding.refuse_options(options)
    return video_coding.encode(options) if video else _encode_picture(options)


def _encode_picture(options: argparse.Namespace) -> FileFigures:
    from kodec.codecs import read_picture, write_atomically

    _refuse_video_options(options, _OF_ENCODED_VIDEOS)
    refines = refining.wanted(options)
    picture = read_picture(options.input)
    # From here on torch is there.
    from kodec.eval import psnr

    codec = load_once(options.model, options.device, options.trust)
    refined: Refined | None = None
    if options.target_bpp is None and options.target_psnr is None:
        quality = codec.check_quality(options.quality)
        encoded = None if refines else codec.encode_picture(picture, quality)
    else:
        quality, encoded = _search(codec, picture, options)
    if refines:
        refined = refining.refine(codec, picture, quality, encoded, _within(options), options)
        encoded = refined.coded
    assert encoded is not None
    if options.verify:
        _verify(codec, encoded)
    write_atomically(options.output, encoded.data)
    if refined is not None:
        refining.conclude(refined.run, options.output)
    height, width, _ = picture.pixels.shape
    decibels = psnr(picture.pixels, encoded.reconstruction.pixels)
    if not options.quiet:
        parts = [f"{len(encoded.data):,} bytes", f"{_bpp(encoded.data, picture):.3f} bpp"]
        parts += [] if quality is None else [f"quality {quality}"]
        parts += [f"{decibels:.1f} dB" if math.isfinite(decibels) else "no loss"]
        parts += [] if refined is None else [refining.gain_in_words(refined)]
        print(f"{options.output}: {', '.join(parts)}")
    return FileFigures(len(encoded.data), width, height, psnr=decibels)


def _within(options: argparse.Namespace) -> "Callable[[Figures], bool]":
    """Which states of a refinement keep what the options ask for."""

    def keeps(figures: "Figures") -> bool:
        if options.target_bpp is not None:
            return bool(figures.bpp <= options.target_bpp)
        return bool(options.target_psnr is None or figures.psnr >= options.target_psnr)

    return keeps


def decode(options: argparse.Namespace) -> int:
    """Decode a file to a picture or a video, or many to as many."""
    if many.wanted(options):
        many.code_files(options, "decode")
        return 0
    usage.use_threads(options)
    return decode_file(options)


def decode_file(options: argparse.Namespace) -> int:
    """Decode one input to one output; the exit status."""
    if video_coding.is_coded_video(options.input):
        return video_coding.decode(options)
    if fitted_coding.is_fitted(options.input):
        return fitted_coding.decode(options)
    return _decode_picture(options)


def _decode_picture(options: argparse.Namespace) -> int:
    from kodec.codecs import check_picture_output, write_picture

    from .coded_file import naming, read_coded

    _refuse_video_options(options, _OF_DECODED_VIDEOS)
    output = Path(options.output)
    _, container = read_coded(options.input)
    header = container.header
    check_picture_output(output, header.components)
    # From here on torch is there.
    with naming(options.input):
        if options.model is None:
            codec = load_once_for(container, options.device)
        else:
            codec = load_once(options.model, options.device, options.trust)
        picture = codec.decode_container(container)
    write_picture(output, picture)
    if not options.quiet:
        colour = "gray" if header.components == 1 else "RGB"
        print(f"{output}: {header.width}x{header.height}, {colour}, model {codec.name}")
    return 0


# Options for videos, with what they are where they are not given.
_OF_ENCODED_VIDEOS = {
    "bitrate": None,
    "passes": 1,
    "structure": None,
    "offsets": (0,),
    "intra_period": 0,
    "no_scene_cuts": False,
    "start": 0,
    "frames": None,
    "fps": None,
}
_OF_DECODED_VIDEOS = {"start": 0, "frames": None, "codec": None, "partial": False, "session": None}


def _refuse_video_options(options: argparse.Namespace, unset: Mapping[str, object]) -> None:
    for name, value in unset.items():
        if getattr(options, name) != value:
            flag = f"--{name.replace('_', '-')}"
            raise InvalidInputError(f"{flag} is for videos, and {options.input} is none")


def _check_coded_output(output: Path, source: Path) -> None:
    """Refuse an output before any work is spent on it."""
    from kodec.codecs import check_output_target

    if output.suffix.lower() != EXTENSION:
        raise UnsupportedError(
            f"{output}: encode writes {EXTENSION} files; name it {output.stem or 'x'}{EXTENSION}"
        )
    check_output_target(output)
    if output.exists() and source.exists() and output.samefile(source):
        raise InvalidInputError(f"{output} is the input itself; name another output")


def _search(
    codec: "Codec", picture: "Picture", options: argparse.Namespace
) -> tuple[int, "Encoded"]:
    """The quality that meets the target, and what it gives."""
    if not codec.variable_rate:
        flag = "--target-psnr" if options.target_bpp is None else "--target-bpp"
        raise InvalidInputError(f"the model {codec.name} has one fixed rate: leave {flag} out")
    with progress(options.quiet) as show:
        trials = 0

        def code(quality: int) -> "Coded":
            nonlocal trials
            show(trials, 7, f"quality {quality}")
            trials += 1
            return codec.code_picture(picture, quality)

        if options.target_bpp is not None:
            return _search_rate(codec, picture, code, options)
        return _search_distortion(codec, picture, code, options)


def _search_rate(
    codec: "Codec",
    picture: "Picture",
    code: Callable[[int], "Coded"],
    options: argparse.Namespace,
) -> tuple[int, "Encoded"]:
    """Only what is written is decoded: of a trial, the bytes tell enough."""
    from kodec.codecs import highest_quality

    found = highest_quality(code, lambda coded: _bpp(coded.data, picture) <= options.target_bpp)
    if found.reached:
        return found.quality, codec.reconstruct(found.trial)
    least = math.ceil(_bpp(found.trial.data, picture) * 1000) / 1000
    raise KodecError(
        f"{options.input}: {options.target_bpp:g} bpp is out of reach: quality 0 takes "
        f"{len(found.trial.data):,} bytes; give --target-bpp {least:.3f} or more"
    )


def _search_distortion(
    codec: "Codec",
    picture: "Picture",
    code: Callable[[int], "Coded"],
    options: argparse.Namespace,
) -> tuple[int, "Encoded"]:
    from kodec.codecs import lowest_quality
    from kodec.eval import psnr

    def decibels(encoded: "Encoded") -> float:
        return psnr(picture.pixels, encoded.reconstruction.pixels)

    found = lowest_quality(
        lambda quality: codec.reconstruct(code(quality)),
        lambda encoded: decibels(encoded) >= options.target_psnr,
    )
    if found.reached:
        return found.quality, found.trial
    best = math.floor(decibels(found.trial) * 100) / 100
    raise KodecError(
        f"{options.input}: {options.target_psnr:g} dB is out of reach: quality "
        f"{found.quality} gives {best:.2f} dB; give --target-psnr {best:.2f} or less"
    )


def _verify(codec: "Codec", encoded: "Encoded") -> None:
    decoded, expected = codec.decode_picture(encoded.data), encoded.reconstruction
    same_pixels = decoded.pixels.tobytes() == expected.pixels.tobytes()
    if not (same_pixels and decoded.icc == expected.icc and decoded.exif == expected.exif):
        raise KodecError(
            "the file would not decode to the encoder's own reconstruction, so it was not written; "
            "please report it"
        )


def _bpp(data: bytes, picture: "Picture") -> float:
    height, width, _ = picture.pixels.shape
    return 8 * len(data) / (height * width)


_ENCODE = (
    "Encode an 8-bit RGB or gray picture, or a video (a file, a folder of pictures, or - for a "
    "pipe), of any size, to a .kdc file."
)
_DECODE = (
    "Decode a .kdc file to a .png, .ppm, .pgm, .bmp, .tif or (lossless) .webp picture, or of a "
    "video to an .mkv (lossless), .y4m or .yuv file, a folder (FOLDER/) of PNGs, or - for a pipe. "
    "The model is found by the id in the file, unless --model names one."
)
