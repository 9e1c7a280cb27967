"""Reading `.kdc` files, with errors that name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kodec.codecs import Container, read_container
from kodec.codecs.container import MAGIC
from kodec.codecs.file_kind import SNIFF_BYTES
from kodec.native import InvalidInputError, KodecError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before the message of any of kodec's errors."""
    try:
        yield
    except KodecError as error:
        raise type(error)(f"{path}: {error}") from error


def read_coded(path: Path) -> tuple[bytes, Container]:
    """A `.kdc` file's bytes and what they hold, every checksum verified.

    Raises BitstreamError, UnsupportedError and InvalidInputError, and OSError from the system.
    """
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; name a .kdc file in it")
    with path.open("rb") as file:
        data = file.read(SNIFF_BYTES)
        # Of a file of another kind, and of an endless device, no more is read than this.
        if data.startswith(MAGIC):
            data += file.read()
    with naming(path):
        return data, read_container(data)
