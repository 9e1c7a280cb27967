"""What a command takes for one file or for many."""

import argparse
from pathlib import Path

from kodec.commands import usage

_OF_MANY = ("recursive", "jobs", "scheduler", "manifest", "format")


def add_options(parser: argparse.ArgumentParser, verb: str, output: str) -> None:
    """The files' names, and the options for many. `output`: what one file's is called."""
    parser.usage = (
        f"kodec {verb} INPUT {output} [options]\n"
        f"       kodec {verb} INPUT... --output-dir FOLDER [options]"
    )
    # As text: a Path would take a slash from URLs, and from a folder's end.
    parser.add_argument(
        "paths",
        metavar="INPUT",
        nargs="+",
        type=usage.path_text,
        help=f"the input, and {output}; or with --output-dir files, folders and URLs",
    )
    many = parser.add_argument_group("many files")
    many.add_argument(
        "--output-dir",
        metavar="FOLDER",
        type=usage.path_text,
        help="each input to a file of its own in here, a folder or a URL (s3://...)",
    )
    many.add_argument("--recursive", action="store_true", help="folders within folders, too")
    many.add_argument(
        "--jobs", metavar="N", type=usage.count, help="processes, one thread each (1: this one)"
    )
    usage.add_scheduler(many)
    many.add_argument(
        "--manifest",
        metavar="FILE",
        type=usage.path,
        help="what came of each file, as JSON lines (FOLDER/manifest.jsonl)",
    )
    if verb == "decode":
        many.add_argument(
            "--format", metavar="NAME", help="of the outputs: png, ppm, tif, mkv, ... (png)"
        )


def wanted(options: argparse.Namespace) -> bool:
    """Whether it is many files; of one the options then have `input`, a path, and `output`.

    Raises `UsageError` where the files or options do not go together.
    """
    if options.output_dir is not None:
        if options.scheduler is not None and options.jobs is not None:
            raise usage.UsageError("--jobs and --scheduler exclude each other")
        return True
    for name in _OF_MANY:
        if getattr(options, name, None):
            raise usage.UsageError(f"--{name} goes with --output-dir")
    if len(options.paths) == 1:
        raise usage.UsageError("the output is missing: name it, or give --output-dir FOLDER")
    if len(options.paths) > 2:
        raise usage.UsageError(
            f"{len(options.paths)} files are named: give --output-dir FOLDER where all are inputs"
        )
    options.input, options.output = Path(options.paths[0]), options.paths[1]
    return False
