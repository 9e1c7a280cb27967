"""Many files: planned, coded wherever there is room, counted, and gone on with after a stop."""

import argparse
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from kodec import __version__
from kodec.codecs import embedded_models, find_model, storage
from kodec.codecs.fitted_families import is_family
from kodec.commands import usage
from kodec.commands.failure_words import in_words
from kodec.commands.progress import progress, speed
from kodec.native import KodecError, UnsupportedError

from .manifest import Manifest, Row
from .plan import FileTask, plan
from .task import code_file

_SHOWN = 20
"""So many files that failed are named on stderr; the manifest has them all."""

_NO_SETTINGS = frozenset(
    "paths output_dir recursive jobs scheduler manifest quiet debug run passed_on resume".split()
)
"""Options that change nothing of a file."""


def code_files(options: argparse.Namespace, verb: str) -> None:
    """Encode or decode (`verb`) what the options name, each to a file of its own.

    Raises KodecError where any of them failed, once the others are done.
    """
    folder = storage.local(options.output_dir)
    taken, suffix = _suffixes(options, verb)
    tasks = plan(options.paths, folder, options.recursive, taken, suffix)
    path = _manifest_path(options, folder)
    settings = _settings_key(options, verb)
    manifest = Manifest(path)
    storage.make_folder(folder)
    there = _states_in(folder)
    tally = Tally(len(tasks))
    todo = []
    for task in tasks:
        row = manifest.rows.get(task.output)
        if row is not None and _is_done(row, task, settings, there):
            tally.add(row, before=True)
        else:
            todo.append(task)
    try:
        with _terminated_as_interrupted():
            _code_all(options, verb, todo, settings, manifest, tally)
    except KeyboardInterrupt:
        raise KodecError(
            f"interrupted: {tally.done} of {len(tasks)} files are done; the same command goes on "
            "from there"
        ) from None
    manifest.tidy()
    if not options.quiet:
        print(f"{options.output_dir}: {tally.in_words()}")
    if tally.failed:
        raise KodecError(
            f"{tally.failed} of {len(tasks)} files failed, as {path} says; mend or remove them and "
            "start the same command again: what is done is not done again"
        )


def _code_all(
    options: argparse.Namespace,
    verb: str,
    todo: list[FileTask],
    settings: str,
    manifest: Manifest,
    tally: "Tally",
) -> None:
    if not todo:
        return
    from kodec.eval.running.executors import open_executor
    from kodec.eval.running.task_loop import outcomes

    alone = (options.jobs or 1) == 1 and options.scheduler is None
    threads = options.threads or (None if alone else 1)
    function = partial(code_file, _plain(options), verb, threads)
    with (
        progress(options.quiet) as show,
        open_executor(options.jobs or 1, options.scheduler, threads) as (executor, at_once),
        closing(outcomes(executor, function, todo, at_once)) as found,
    ):
        show(tally.done, tally.total, todo[0].input)
        for task, outcome in found:
            row = outcome if isinstance(outcome, dict) else _given_up(task, outcome)
            row["key"] = _key(settings, task)
            manifest.add(row)
            tally.add(row)
            if row["error"] is not None and tally.failed <= _SHOWN:
                words = str(row["error"])
                named = words if words.startswith(task.input) else f"{task.input}: {words}"
                print(f"kodec: {named}", file=sys.stderr)
            show(tally.done + tally.failed, tally.total, tally.speed())


class Tally:
    """What was done so far, of `total` files."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.failed = self.before = 0
        self._began = time.monotonic()
        self._pixels = self._fresh_pixels = self._bytes = 0
        self._decibels: list[float] = []

    def add(self, row: Row, before: bool = False) -> None:
        """Count a file; `before`: done by an earlier run."""
        if row["error"] is not None:
            self.failed += 1
            return
        pixels = row["width"] * row["height"] * row["frames"]
        self.done += 1
        self.before += before
        self._pixels += pixels
        self._fresh_pixels += 0 if before else pixels
        self._bytes += row["bytes"]
        if row["psnr"] is not None:
            self._decibels.append(row["psnr"])

    def speed(self) -> str:
        """Of this run."""
        seconds = time.monotonic() - self._began
        return speed(self.done - self.before, self._fresh_pixels, seconds)

    def in_words(self) -> str:
        """One line."""
        parts = [f"{self.done:,} files", f"{self._bytes:,} bytes"]
        if self._pixels:
            parts.append(f"{8 * self._bytes / self._pixels:.3f} bpp")
        if self._decibels:
            mean = sum(self._decibels) / len(self._decibels)
            parts.append(f"{mean:.1f} dB in the mean")
        if self.done > self.before:
            parts.append(self.speed())
        if self.before:
            parts.append(f"{self.before:,} of them done before")
        return ", ".join(parts)


def _suffixes(options: argparse.Namespace, verb: str) -> tuple[frozenset[str], str]:
    """What is taken from folders, and what outputs end in."""
    from kodec.codecs.video_files.picture_folder import PICTURE_SUFFIXES
    from kodec.codecs.video_files.video_reading import VIDEO_SUFFIXES

    if verb == "encode":
        return PICTURE_SUFFIXES | VIDEO_SUFFIXES, ".kdc"
    suffix = f".{(options.format or 'png').lstrip('.').lower()}"
    if "/" in suffix or suffix == ".":
        raise usage.UsageError(f"--format is a name such as png, not {options.format!r}")
    return frozenset({".kdc"}), suffix


def _manifest_path(options: argparse.Namespace, folder: str) -> Path:
    path: Path | None = options.manifest
    if path is not None:
        return path
    if storage.is_url(folder):
        raise UnsupportedError(
            f"the manifest is a file that grows, and {folder} may have none: give --manifest FILE"
        )
    return Path(folder) / "manifest.jsonl"


def _settings_key(options: argparse.Namespace, verb: str) -> str:
    """A hash of all that files depend on besides their inputs."""
    given = {name: value for name, value in vars(options).items() if name not in _NO_SETTINGS}
    facts: dict[str, Any] = {"verb": verb, "version": __version__}
    for name, value in sorted(given.items()):
        if isinstance(value, Path) and value.is_file():
            facts[name] = _digest(value)
        else:
            facts[name] = repr(value)
    model = given.get("model")
    if model is None:
        facts["model"] = [entry.model_id.hex() for entry in embedded_models()]
    elif not is_family(model):
        facts["model"] = _digest(find_model(model))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(settings: str, task: FileTask) -> str:
    return hashlib.sha256(f"{settings} {task.input} {task.state}".encode()).hexdigest()[:32]


def _states_in(folder: str) -> dict[str, str] | None:
    """Of a URL, all that lies there, asked for once; of a path None: files are looked at."""
    if not storage.is_url(folder):
        return None
    return {
        storage.join(folder, relative): state
        for relative, state in storage.files_in(folder, recursive=True)
    }


def _is_done(row: Row, task: FileTask, settings: str, there: dict[str, str] | None) -> bool:
    """Whether a row is of the same settings and input, and its output is as it was written."""
    if row.get("error") is not None or row.get("key") != _key(settings, task):
        return False
    state = storage.state_of(task.output) if there is None else there.get(task.output)
    return state is not None and row.get("state") == state


def _given_up(task: FileTask, error: Exception) -> Row:
    words = in_words(error)
    return {"input": task.input, "output": task.output, "seconds": None, "error": words}


def _plain(options: argparse.Namespace) -> argparse.Namespace:
    """The options as they can be sent to another process."""
    kept = {k: v for k, v in vars(options).items() if k not in ("run", "paths", "passed_on")}
    return argparse.Namespace(**kept)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, a job scheduler's, end the work as Ctrl+C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
