"""All pictures of a training checked before its first step: decoded once, and remembered."""

import hashlib
import json
import logging
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import PIL

from kodec.codecs import write_atomically
from kodec.codecs.pictures.picture_check import (
    Checked,
    check_picture,
    command,
    question,
    read_answer,
)

_log = logging.getLogger(__name__)

# Of what is remembered: another number where pictures are checked otherwise.
_VERSION = 1
# In one process, fewer are done before another one has started.
_FEW = 48
_BATCH = 256
# More than so many are not decoded while the heads alone show that the training can't begin.
_MANY = 2000

_Key = tuple[int, int]
_Row = tuple[int, int, int, int, str]
_ROW = [int, int, int, int, str]


def check_pictures(paths: Sequence[Path], labels: bool = False) -> dict[Path, Checked]:
    """What each of the pictures (or label pictures) is, or why it can't be read, in their order.

    Heads are read first. If those are sound, or if the pictures are few, everything is decoded,
    in as many processes as there are processors. What was found sound is remembered in the user's
    cache folder by path, size and time of change, and not read again. Raises nothing.
    """
    stats = {path: _key_of(path) for path in paths}
    found = _remembered(stats, labels)
    waiting = [path for path in paths if path not in found]
    heads = dict(_check(waiting, labels, decode=False))
    sound = [path for path in waiting if not heads[path].trouble]
    found |= heads
    if len(sound) == len(waiting) or len(sound) <= _MANY:
        if len(sound) > _MANY:
            _log.warning("decoding %d pictures once, to check them before training", len(sound))
        fresh: dict[Path, Checked] = {}
        try:
            for path, checked in _check(sound, labels, decode=True):
                fresh[path] = checked
        finally:
            # Also of what an interrupt cuts short.
            _remember({p: c for p, c in fresh.items() if not c.trouble}, stats, labels)
        found |= fresh
    return {path: found[path] for path in paths}


def _check(paths: list[Path], labels: bool, decode: bool) -> Iterator[tuple[Path, Checked]]:
    """Check files in this process or, where they are many, in several."""
    processes = os.cpu_count() or 1
    if len(paths) <= _FEW or processes == 1:
        for path in paths:
            yield path, check_picture(str(path), labels, decode)
        return
    size = max(1, min(_BATCH, -(-len(paths) // processes)))
    batches = [paths[at : at + size] for at in range(0, len(paths), size)]
    with ThreadPoolExecutor(processes) as pool:
        try:
            answers = pool.map(partial(_check_elsewhere, labels=labels, decode=decode), batches)
            for batch, answer in zip(batches, answers, strict=True):
                yield from zip(batch, answer, strict=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_elsewhere(paths: list[Path], labels: bool, decode: bool) -> list[Checked]:
    """Check files in a process of its own; a picture that kills it is met in this one."""
    names = [str(path) for path in paths]
    try:
        done = subprocess.run(
            command(labels, decode), input=question(names), capture_output=True, text=True
        )
        answer = read_answer(done.stdout)
    except (OSError, ValueError, TypeError):
        answer = []
    if len(answer) == len(paths):
        return answer
    return [check_picture(name, labels, decode) for name in names]


def _key_of(path: Path) -> _Key:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return stat.st_size, stat.st_mtime_ns


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    return folders


def _remembered(stats: dict[Path, _Key], labels: bool) -> dict[Path, Checked]:
    found = {}
    for folder, paths in _by_folder(stats).items():
        rows = _rows_of(_memory_of(folder))
        for path in paths:
            row = rows.get(_name(path, labels))
            if row is not None and tuple(row[:2]) == stats[path]:
                found[path] = Checked(*row[2:])
    return found


def _remember(fresh: dict[Path, Checked], stats: dict[Path, _Key], labels: bool) -> None:
    for folder, paths in _by_folder(fresh).items():
        memory = _memory_of(folder)
        rows = _rows_of(memory)
        for path in paths:
            rows[_name(path, labels)] = (*stats[path], *fresh[path][:3])
        try:
            memory.parent.mkdir(parents=True, exist_ok=True)
            content = {"version": _VERSION, "pillow": PIL.__version__, "pictures": rows}
            write_atomically(memory, json.dumps(content).encode())
        except OSError as error:
            # The next start decodes them again.
            _log.debug("can't remember which pictures are sound: %s", error)


def _rows_of(memory: Path) -> dict[str, _Row]:
    """Rows of size, time of change, width, height and remark; none where the file is unfit."""
    try:
        content = json.loads(memory.read_bytes())
        if (content["version"], content["pillow"]) != (_VERSION, PIL.__version__):
            return {}
        rows = content["pictures"]
        return {name: tuple(row) for name, row in rows.items() if [*map(type, row)] == _ROW}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _name(path: Path, labels: bool) -> str:
    return ("labels:" if labels else "") + os.fsencode(path.name).hex()


def _memory_of(folder: Path) -> Path:
    """Where it is remembered which pictures of a folder are sound."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return Path(home) / "kodec" / "pictures" / f"{digest[:32]}.json"
