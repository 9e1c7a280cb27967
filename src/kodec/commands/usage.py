"""An argument parser that reports wrong usage in one line, and the types of its arguments."""

import argparse
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kodec.native import InvalidInputError

if TYPE_CHECKING:
    from kodec.codecs.model_size import ModelSize

HIGHEST_QUALITY = 63


class UsageError(Exception):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` instead of printing the usage and leaving."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation that works today would be ambiguous once another option is added.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def add_global_options(parser: argparse.ArgumentParser) -> None:
    """`--debug` and `--quiet`, which go before the command or after it."""
    options = (("--quiet", "no progress, no remarks"), ("--debug", "on failure, a traceback too"))
    for name, help_ in options:
        # Suppressed: a command's parser would reset what stood before the command.
        parser.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=help_)


def quality(text: str) -> int:
    """A quality, 0 to 63."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a quality is a whole number, 0 to {HIGHEST_QUALITY}, not {text!r}"
        ) from None
    if not 0 <= value <= HIGHEST_QUALITY:
        raise argparse.ArgumentTypeError(f"quality goes from 0 to {HIGHEST_QUALITY}, not {value}")
    return value


def qualities(text: str) -> list[int]:
    """Qualities on whatever scale, with commas between them, each once."""
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"qualities are whole numbers with commas between them, not {text!r}"
        ) from None
    if len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"a quality is named twice in {text}")
    return values


def names(text: str) -> list[str]:
    """Names with commas between them, with or without spaces around."""
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"names with commas between them are needed, not {text!r}")
    return found


def model_qualities(text: str) -> list[int]:
    """Qualities of a variable-rate model, with commas between them, each once."""
    return [quality(str(value)) for value in qualities(text)]


def count(text: str) -> int:
    """A whole number, 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on is needed, not {text!r}")
    return value


def number(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isdecimal() and text.isascii()) or len(text) > 12:
        raise argparse.ArgumentTypeError(f"a whole number from 0 on is needed, not {text!r}")
    return int(text)


def offsets(text: str) -> tuple[int, ...]:
    """Offsets of qualities, with commas between them: 0,-2,-4."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"offsets are whole numbers with commas between them, 0,-2,-4 say, not {text!r}"
        ) from None


def byte_count(text: str) -> int:
    """Bytes: 200000, 200k, 1.5G (of 1000)."""
    scale = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text.upper().removesuffix("B")[-1:].lower(), 1.0)
    digits = text.upper().removesuffix("B")
    try:
        count = scale * float(digits if scale == 1.0 else digits[:-1])
    except ValueError:
        count = 0.0
    if not (math.isfinite(count) and count >= 1):
        raise argparse.ArgumentTypeError(f"bytes are a number, 200k or 1.5G say, not {text!r}")
    return int(count)


def box(text: str) -> tuple[int, int, int, int]:
    """A part of a picture, as X,Y,W,H in pixels."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(
            f"a part is X,Y,WIDTH,HEIGHT in pixels, 0,0,640,480 say, not {text!r}"
        )
    left, top, width, height = (int(part) for part in parts)
    if not (width and height) or max(left, top, width, height) >= 1 << 24:
        raise argparse.ArgumentTypeError(f"a part has at least one pixel, and {text!r} has none")
    return left, top, width, height


def bitrate(text: str) -> float:
    """Bits a second: 800000, 800k or 0.8M."""
    scale = {"k": 1e3, "m": 1e6}.get(text[-1:].lower(), 1.0)
    try:
        rate = scale * float(text if scale == 1.0 else text[:-1])
    except ValueError:
        rate = 0.0
    if not (math.isfinite(rate) and rate > 0):
        raise argparse.ArgumentTypeError(f"a rate is in bits a second, 500k say, not {text!r}")
    return rate


def frame_rate(text: str) -> Fraction:
    """Frames a second: 25, 29.97 or 30000/1001."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"a frame rate is above 0, as in 30000/1001, not {text!r}")
    return rate


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not {text!r}")
    return value


def not_negative(text: str) -> float:
    """A finite number, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"a number from 0 on is needed, not {text!r}")
    return value


def effort(text: str) -> int:
    """A whole number, 0 to 9."""
    if len(text) != 1 or not text.isdecimal() or not text.isascii():
        raise argparse.ArgumentTypeError(f"an effort is a whole number, 0 to 9, not {text!r}")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Width and height in pixels, as `1920x1080`."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, 1920x1080 say, not {text!r}")
    return int(width), int(height)


def size_of_video_or_model(text: str) -> "tuple[int, int] | ModelSize":
    """Width and height, or the size of a network that is fitted."""
    from kodec.codecs.model_size import parse_model_size

    if "x" in text.lower():
        return size(text)
    try:
        return parse_model_size(text)
    except InvalidInputError as error:
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, or {error}") from None


def path(text: str) -> Path:
    """A path that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("no path has a null character in it")
    return Path(text)


def path_text(text: str) -> str:
    """A path that is not empty, as it was written."""
    path(text)
    return text


def package(text: str) -> str:
    """The name of a top-level package."""
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(
            f"a package is named by its first name alone, mypackage say, not {text!r}"
        )
    return text


def device(text: str) -> str:
    """Where networks run: cpu, cuda or cuda:N."""
    if not re.fullmatch("cpu|cuda(:[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"a device is cpu, cuda or cuda:N, not {text!r}")
    return text


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--trust`, for commands that load models."""
    parser.add_argument(
        "--trust",
        metavar="PACKAGE",
        action="append",
        default=[],
        type=package,
        help="a package of your own whose classes the model has, several times for several; its "
        "code runs",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device",
        metavar="cpu|cuda|cuda:N",
        type=device,
        default="cpu",
        help="where networks run (cpu); N counts from 0",
    )


def add_scheduler(parser: "argparse._ActionsContainer") -> None:
    """`--scheduler`, for work on many files."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask cluster's, whose workers do the work (tcp://HOST:8786)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """`--threads`."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=count,
        help="of each process (all cores; with --jobs or --scheduler 1)",
    )


def use_threads(options: argparse.Namespace) -> None:
    """Have as many threads in this process as were asked for."""
    if options.threads is not None:
        from kodec.eval.running.executors import use_threads as use

        use(options.threads)
