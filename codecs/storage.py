"""Files by path or by URL: what is there, and copies to work on.

URLs are fsspec's (s3://, gs://, memory://, ...); `file://` is a path. Object stores show an object
when it is whole; elsewhere outputs are renamed into place.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kodec.native import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss"})
"""Protocols whose files are never seen in part."""

_TOLD_BY = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")


def is_url(name: str) -> bool:
    """Whether it is fsspec's to open."""
    return "://" in name


def local(name: str) -> str:
    """A path for what is named by `file://`; anything else as it is."""
    return name.removeprefix("file://") if name.startswith("file://") else name


def join(folder: str, relative: str) -> str:
    """The name of a file in a folder."""
    if is_url(folder):
        return f"{folder.rstrip('/')}/{relative}"
    return os.path.join(folder, *PurePosixPath(relative).parts)


def state_of(name: str) -> str | None:
    """What changes when a file does, its size first; None where there is none."""
    if not is_url(name):
        try:
            found = os.stat(name)
        except OSError:
            return None
        return f"{found.st_size} {found.st_mtime_ns}"
    system, path = _system_of(name)
    try:
        return _state_from(system.info(path))
    except OSError:
        return None


def is_folder(name: str) -> bool:
    """Whether files lie in it. Raises UnsupportedError for a URL whose protocol is not installed,
    InvalidInputError where it can't be asked."""
    if not is_url(name):
        return os.path.isdir(name)
    system, path = _system_of(name)
    with _words_for(name):
        return bool(system.isdir(path))


def files_in(folder: str, recursive: bool) -> Iterator[tuple[str, str]]:
    """Names of the files in a folder, relative to it with slashes, and their states; hidden ones
    are left out. In order of their names."""
    if is_url(folder):
        yield from _files_of_system(folder, recursive)
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            about = entry.stat()
            yield entry.name, f"{about.st_size} {about.st_mtime_ns}"
        elif recursive and entry.is_dir(follow_symlinks=False):
            for relative, state in files_in(entry.path, recursive):
                yield f"{entry.name}/{relative}", state


def _files_of_system(folder: str, recursive: bool) -> Iterator[tuple[str, str]]:
    system, root = _system_of(folder)
    with _words_for(folder):
        found: Mapping[str, Any] = system.find(root, maxdepth=None if recursive else 1, detail=True)
    start = root.strip("/")
    for path in sorted(found):
        relative = path.strip("/").removeprefix(start).strip("/")
        if not any(part.startswith(".") for part in relative.split("/")):
            yield relative, _state_from(found[path])


def make_folder(name: str) -> None:
    """Make a folder, and those above it. Raises OSError."""
    if not is_url(name):
        os.makedirs(name, exist_ok=True)
        return
    system, path = _system_of(name)
    if _protocol(name) not in _WHOLE:
        system.makedirs(path, exist_ok=True)


@contextmanager
def fetched(name: str) -> Iterator[Path]:
    """A file to read: itself, or a copy of what a URL names, for as long as it is needed."""
    if not is_url(name):
        yield Path(name)
        return
    system, path = _system_of(name)
    with _scratch() as folder:
        copy = folder / (PurePosixPath(path).name or "input")
        with _words_for(name):
            system.get_file(path, str(copy))
        yield copy


def kept(name: str) -> Path:
    """As `fetched`; the copy stays until this thread asks for another one, or the process ends."""
    if not is_url(name):
        return Path(name)
    if getattr(_last, "name", None) != name:
        system, path = _system_of(name)
        if hasattr(_last, "folder"):
            _last.folder.cleanup()
        _last.name, _last.folder = None, tempfile.TemporaryDirectory(prefix="kodec-")
        _last.copy = Path(_last.folder.name) / (PurePosixPath(path).name or "input")
        with _words_for(name):
            system.get_file(path, str(_last.copy))
        _last.name = name
    copy: Path = _last.copy
    return copy


_last = threading.local()


@contextmanager
def stored(name: str) -> Iterator[Path]:
    """Where to write a file; it gets its name when all went well. Raises OSError."""
    if not is_url(name):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        yield Path(name)
        return
    system, path = _system_of(name)
    with _scratch() as folder:
        copy = folder / PurePosixPath(path).name
        yield copy
        with _words_for(name):
            if _protocol(name) in _WHOLE:
                system.put_file(str(copy), path)
                return
            parent = str(PurePosixPath(path).parent)
            system.makedirs(parent, exist_ok=True)
            part = f"{parent}/.kodec-{folder.name}.part"
            try:
                system.put_file(str(copy), part)
                system.mv(part, path)
            except BaseException:
                if system.exists(part):
                    system.rm(part)
                raise


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="kodec-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _system_of(url: str) -> "tuple[AbstractFileSystem, str]":
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UnsupportedError(f"{url}: URLs need fsspec: pip install 'kodec[cluster]'") from None
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise UnsupportedError(f"{url}: {error}") from error
    except ValueError as error:
        raise InvalidInputError(f"{url}: {error}") from error
    return system, str(path)


def _protocol(url: str) -> str:
    return url.partition("://")[0]


def _state_from(info: Mapping[str, Any]) -> str:
    told = next((info[key] for key in _TOLD_BY if info.get(key) is not None), "")
    # A listing may give seconds where a question for one file gives a date.
    when = told.timestamp() if isinstance(told, datetime) else told
    return f"{info.get('size')} {when}"


@contextmanager
def _words_for(url: str) -> Iterator[None]:
    """Errors of a store, which are of all kinds, with the name of what was asked for."""
    try:
        yield
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = "No such file"
        raise InvalidInputError(f"{url}: {' '.join(reason.split())}") from error
