"""Output files that appear whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

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


def write_atomically(
    path: str | os.PathLike[str], data: bytes | bytearray | memoryview, *, sync: bool = False
) -> None:
    """Write `data` to the file at `path`, whole or not at all.

    The bytes go to a new file in the same folder, which then takes the target's name. If anything
    fails, an interrupt included, that file is removed and an existing target stays as it was. A
    symbolic link is followed. A new file gets the permissions of the process's umask; one that
    replaces a file keeps that file's permissions. With `sync` the bytes are on the disk before the
    name changes, so that a power cut leaves the old file or the new one.

    Raises InvalidInputError as `check_output_target` does, OSError if the system refuses.
    """
    check_output_target(path)
    target = Path(os.path.realpath(path))
    # A fixed short name, as the target's own may already be as long as the system allows.
    temporary = target.with_name(f".kodec-{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # The user knows the target's name, not the temporary one.
            error.filename, error.filename2 = os.fspath(path), None
        raise
