"""The command line as a whole: its arguments, its dispatch, and how every failure ends."""

import argparse
import contextlib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence

from kodec import __version__

from . import (
    benching,
    coding,
    comparing,
    completing,
    demo,
    importing,
    inspection,
    measuring,
    reporting,
    training,
)
from .failure_words import in_words
from .usage import Parser, UsageError, add_global_options, path_text

SUCCESS, FAILURE, WRONG_USAGE = 0, 1, 2

_DESCRIPTION = "Train learned picture and video codecs, code real files with them, compute BD-rate."


def run(arguments: Sequence[str]) -> int:
    """Run a command; return the exit status: 0, 2 for wrong usage, 1 for any other failure, 3 where
    a damaged file was decoded in part.

    A failure is one line on stderr; with --debug a traceback goes before it.
    """
    try:
        options = parse(arguments)
        with _calm(options):
            ended: int | None = options.run(options)
            sys.stdout.flush()
            return SUCCESS if ended is None else ended
    except SystemExit as stop:
        # argparse after --help; Lightning after an interrupt, which it has cleaned up after.
        if isinstance(stop.__context__, KeyboardInterrupt):
            return _fail("interrupted", FAILURE)
        if stop.code is None or stop.code == SUCCESS:
            return SUCCESS
        if "--debug" in arguments:
            traceback.print_exc()
        # A library's, which as Python has it may be a message or a status of its own.
        message = "" if isinstance(stop.code, int) else str(stop.code).strip()
        status = f" with status {stop.code}" if isinstance(stop.code, int) else ""
        return _fail(message or f"a library ended the program{status} (see --debug)", FAILURE)
    except BaseException as error:
        if "--debug" in arguments:
            traceback.print_exc()
        if isinstance(error, BrokenPipeError):
            # Whatever reads the output has left; the interpreter must not fail on flushing it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(in_words(error), WRONG_USAGE if isinstance(error, UsageError) else FAILURE)


def build_parser() -> Parser:
    """What knows all commands and options."""
    parser = Parser(prog="kodec", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"kodec {__version__}")
    parser.set_defaults(debug=False, quiet=False)
    add_global_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for module in (
        coding,
        inspection,
        measuring,
        comparing,
        reporting,
        benching,
        training,
        importing,
        demo,
        completing,
    ):
        module.add_to(commands)
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; its `run` takes them. Raises `UsageError`."""
    parser = build_parser()
    own, passed_on = training.split_arguments(arguments)
    options, more = parser.parse_known_args(own)
    if more:
        # Files that stand behind an option: the parser takes those in a row only.
        if not hasattr(options, "paths") or any(re.match("-.", text) for text in more):
            parser.error(f"unrecognized arguments: {' '.join(more)}")
        options.paths += map(path_text, more)
    options.passed_on = passed_on
    return options


@contextlib.contextmanager
def _calm(options: argparse.Namespace) -> Iterator[None]:
    """Keep libraries' remarks off stderr; kodec's own remarks are lines like its errors."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # Read when torch is loaded. Spinning threads make everything several times slower where another
    # process holds a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logger, handler = logging.getLogger("kodec"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("kodec: note: %(message)s"))
    handler.setLevel(logging.ERROR if options.quiet else logging.WARNING)
    logger.addHandler(handler)
    with warnings.catch_warnings():
        if not options.debug:
            warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.removeHandler(handler)


def _fail(message: str, status: int) -> int:
    print("kodec:", " ".join(message.split()), file=sys.stderr)
    return status
