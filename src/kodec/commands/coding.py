"""`kodec encode` and `kodec decode`: pictures to `.kdc` files and back; videos: video_coding."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from kodec.codecs.fitted_families import is_family
from kodec.native import InvalidInputError, UnsupportedError

from . import fitted_coding, many, picture_coding, refining, usage, video_coding
from .figures import FileFigures

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
    picture_coding.add_encode_options(encode_, rate)
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
    decode_.add_argument(
        "--partial",
        action="store_true",
        help="write what can be decoded of a damaged or unfinished file; exits with 3 if tiles or "
        "frames are lost",
    )
    picture_coding.add_decode_options(decode_)
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
    if options.add:
        fitted_coding.name_archive_family(options)
    if options.model is None:
        options.model = "video" if video else "default"
    fitted = is_family(options.model)
    if fitted or options.output != picture_coding.PIPE:
        _check_coded_output(options.output, options.input)
    if fitted or video:
        _refuse(options, _OF_PICTURES, f"pictures coded by a model, and {options.input} is none")
    if fitted:
        return fitted_coding.encode(options, video)
    fitted_coding.refuse_options(options)
    if video:
        return video_coding.encode(options)
    _refuse(options, _OF_ENCODED_VIDEOS, f"videos, and {options.input} is none")
    return picture_coding.encode(options)


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
        _refuse(options, _OF_DECODED_PICTURES, f"pictures, and {options.input} is none")
        return video_coding.decode(options)
    if fitted_coding.is_fitted(options.input):
        _refuse(options, _OF_DECODED_PICTURES, f"pictures, and {options.input} is a fitted network")
        return fitted_coding.decode(options)
    _refuse(options, _OF_DECODED_VIDEOS, f"videos, and {options.input} is none")
    return picture_coding.decode(options)


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
_OF_DECODED_VIDEOS = {"start": 0, "frames": None, "codec": None, "session": None}
# The same for pictures.
_OF_PICTURES = {"target_bytes": None, "convert": False, "max_memory": None}
_OF_DECODED_PICTURES = {"crop": None, "max_memory": None}


def _refuse(options: argparse.Namespace, unset: Mapping[str, object], what: str) -> None:
    """Refuse options that are given and for something else."""
    for name, value in unset.items():
        if getattr(options, name) != value:
            raise InvalidInputError(f"--{name.replace('_', '-')} is for {what}")


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


_ENCODE = (
    "Encode a picture (gray or RGB of 8 or 16 bits, with or without alpha) or a video (a file or a "
    "folder of pictures), of any size, to a .kdc file; - stands for a pipe."
)
_DECODE = (
    "Decode a .kdc file to a .png, .ppm, .pgm, .pam, .bmp, .tif or (lossless) .webp picture, or of "
    "a video to an .mkv (lossless), .y4m or .yuv file, a folder (FOLDER/) of PNGs, or - for a pipe "
    "(of a picture, a PNG). "
    "The model is found by the id in the file, unless --model names one."
)
