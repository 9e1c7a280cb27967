"""Output files and folders that appear whole or not at all."""

import os
import secrets
import shutil
import stat
from pathlib import Path
from types import TracebackType
from typing import IO

from kodec.native import InvalidInputError


def check_output_target(path: str | os.PathLike[str]) -> None:
    """Refuse an output path that cannot be written whole, before any work is spent on it.

    Raises InvalidInputError if `path` is empty, a folder, a device or a pipe, or if the folder it
    would lie in does not exist.
    """
    if not os.fspath(path):
        raise InvalidInputError("the output path is empty; name a file")
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InvalidInputError(f"{path} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        # Renaming over /dev/null would replace the device by a file for the whole machine.
        raise InvalidInputError(f"{path} is a device or a pipe; kodec writes to ordinary files")
    if not target.parent.is_dir():
        raise InvalidInputError(f"the folder of {path} does not exist; create it first")


class AtomicFile:
    """A file that is written piece by piece and appears whole or not at all.

    The bytes go to a new file in the same folder, which takes the target's name by `finish` and is
    removed by `abort`, when an existing target stays as it was. As a context it does the one where
    all went well and the other where anything failed, an interrupt included. A symbolic link is
    followed. A new file gets the permissions of the process's umask; one that replaces a file keeps
    that file's permissions. With `sync` the bytes are on the disk before the name changes, so that
    a power cut leaves the old file or the new one. With `visible` the new file is called
    `PATH.part`, so that what a killed process leaves is found; one that lies there is overwritten.

    Raises InvalidInputError as `check_output_target` does, OSError if the system refuses.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, sync: bool = False, visible: bool = False
    ) -> None:
        check_output_target(path)
        self._path, self._sync = path, sync
        self._target = Path(os.path.realpath(path))
        # A fixed short name, as the target's own may already be as long as the system allows.
        hidden = f".kodec-{secrets.token_hex(8)}.part"
        self._part = self._target.with_name(f"{self._target.name}.part" if visible else hidden)
        try:
            self.file: IO[bytes] = open(self._part, "wb" if visible else "xb")
        except OSError as error:
            raise self._renamed(error) from None
        try:
            if self._target.exists():
                os.chmod(self._part, stat.S_IMODE(self._target.stat().st_mode))
        except BaseException as error:
            self.abort()
            raise self._renamed(error) from None

    def finish(self) -> None:
        """Give the file its name; after a failure there is none, as after `abort`."""
        try:
            if self._sync:
                self.file.flush()
                os.fsync(self.file.fileno())
            self.file.close()
            os.replace(self._part, self._target)
        except BaseException as error:
            self.abort()
            raise self._renamed(error) from None

    def abort(self) -> None:
        """Remove what was written."""
        try:
            self.file.close()
        except OSError:
            pass  # What it still held does not fit on the disk, and nobody wants it.
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> "AtomicFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abort()
            self._renamed(error)

    def _renamed(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError):
            # The user knows the target's name, not the temporary one.
            error.filename, error.filename2 = os.fspath(self._path), None
        return error


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder that cannot be written whole, before any work is spent on it.

    Raises InvalidInputError if it holds something, is no folder, or if the one it would lie in does
    not exist.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        if any(target.iterdir()):
            raise InvalidInputError(f"the folder {path} is not empty; name a new one")
    elif os.path.lexists(target):
        raise InvalidInputError(f"{path} is no folder; name a new one")
    elif not target.parent.is_dir():
        raise InvalidInputError(f"the folder that {path} is to lie in does not exist; create it")


class AtomicFolder:
    """A folder that is filled file by file and appears whole or not at all.

    The files go to `PATH.part`, which takes the target's name by `finish` and is removed by
    `abort`. Raises InvalidInputError as `check_output_folder` and where `PATH.part` is there,
    OSError if the system refuses.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_output_folder(path)
        self._target = Path(os.path.realpath(path))
        self.folder = self._target.with_name(f"{self._target.name}.part")
        """Where the files go."""
        try:
            self.folder.mkdir()
        except FileExistsError:
            raise InvalidInputError(
                f"{self.folder} is in the way, perhaps left by a run that was killed: remove it"
            ) from None

    def finish(self) -> None:
        """Give the folder its name."""
        try:
            os.replace(self.folder, self._target)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_atomically(
    path: str | os.PathLike[str], data: bytes | bytearray | memoryview, *, sync: bool = False
) -> None:
    """Write `data` to the file at `path`, whole or not at all, as `AtomicFile`; raises as it."""
    with AtomicFile(path, sync=sync) as out:
        out.file.write(data)
