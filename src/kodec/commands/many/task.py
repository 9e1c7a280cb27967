"""One file of many, in whatever process: never an exception, always a row of the manifest."""

import argparse
import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kodec.codecs import storage
from kodec.commands.failure_words import in_words
from kodec.commands.figures import FileFigures
from kodec.native import KodecError

from .manifest import Row
from .plan import FileTask


def code_file(options: argparse.Namespace, verb: str, threads: int | None, task: FileTask) -> Row:
    """Code the file of `task` as the command for one file would; what came of it.

    threads: of this process from now on; None leaves them. The row has what `docs/cli.md` lists.
    """
    from kodec.eval.running.executors import refuse_when_leaving, use_threads

    refuse_when_leaving()
    if threads is not None:
        use_threads(threads)
    began = time.perf_counter()
    row: Row = {"input": task.input, "output": task.output}
    notes: list[str] = []
    names: list[tuple[Path, str]] = []
    try:
        with (
            _noted(notes),
            storage.fetched(task.input) as source,
            storage.stored(task.output) as target,
        ):
            names = [(source, task.input), (target, task.output)]
            figures = _code(options, verb, source, target)
        row |= _described(figures)
        row["state"] = storage.state_of(task.output)
        error = None
    except Exception as caught:
        error = in_words(caught)
    row["seconds"] = round(time.perf_counter() - began, 4)
    row["error"] = None if error is None else _renamed(error, names)
    if notes:
        row["notes"] = [_renamed(note, names) for note in notes]
    return row


def _code(options: argparse.Namespace, verb: str, source: Path, target: Path) -> FileFigures:
    from kodec.commands import coding

    mine = argparse.Namespace(**vars(options))
    mine.input, mine.output, mine.quiet = source, target, True
    if verb == "encode":
        from kodec.commands.refining import state_of

        mine.resume = options.resume and state_of(target).exists()
        return coding.encode_file(mine)
    mine.output = str(target)
    status = coding.decode_file(mine)
    if status:
        raise KodecError(f"{source}: frames are lost; the others are in {target}")
    return _of_coded(source)


def _of_coded(path: Path) -> FileFigures:
    from kodec.codecs.container import ChunkReader

    with path.open("rb") as file:
        header: Any = ChunkReader(file).header
    frames = getattr(header, "frames", 1)
    return FileFigures(path.stat().st_size, header.width, header.height, frames)


def _described(figures: FileFigures) -> Row:
    lossless = figures.psnr is not None and math.isinf(figures.psnr)
    psnr = None if figures.psnr is None or lossless else round(figures.psnr, 4)
    return {
        "bytes": figures.bytes,
        "width": figures.width,
        "height": figures.height,
        "frames": figures.frames,
        "bpp": round(figures.bpp, 6),
        "psnr": psnr,
        **({"lossless": True} if lossless else {}),
    }


def _renamed(words: str, names: list[tuple[Path, str]]) -> str:
    """Words about copies, of what the user named."""
    for copy, name in names:
        words = words.replace(str(copy), name)
    return words


class _Collector(logging.Handler):
    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(record.getMessage())


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Take kodec's remarks into a list, in place of showing them; libraries' warnings go."""
    logger, collector = logging.getLogger("kodec"), _Collector(notes)
    handlers, passed_on = logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [collector], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.handlers, logger.propagate = handlers, passed_on
