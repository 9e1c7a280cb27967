"""How a text file is opened: any usual encoding, any line ends, files and pipes alike."""

import os
import re
import stat
from pathlib import Path

from kodec.codecs.file_kind import SNIFF_BYTES, identify_file
from kodec.native import InvalidInputError, KodecError

_LARGEST = 1 << 28
"""Bytes; no log or table is larger, but a bitstream or a clip in the folder may be."""
# UTF-32's mark begins with UTF-16's.
_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
_ESCAPE = r"(?:\x1b|\^\[)"
# Escapes that move the cursor to another line or column begin a line, as carriage returns do.
_MOVES = re.compile(rf"{_ESCAPE}\[[\d;]*[ABEFGHdf]|\x08+")
_ESCAPES = re.compile(
    rf"{_ESCAPE}(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][A-Z0-9])|\x1b[@-_=>78]"
)
_TIME = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_PREFIX = re.compile(
    r"\s*\d+: |"  # srun --label
    r"\S+ +\| |"  # docker compose
    r"\[[^\]\n]{1,80}\](?:<\w+>)?:? ?|"  # mpirun --tag-output, CI systems
    r"\([^)\n]{1,80}\) |"  # ray
    rf"\d{{4}}-\d\d-\d\d[T ]{_TIME}(?:Z|[+-]\d\d:?\d\d)? ?(?:std(?:out|err) [FP] )?|"
    rf"(?:[A-Z][a-z]{{2}} +\d+ )?{_TIME} (?:\S+ \S+\[\d+\]: )?"  # ts, syslog
)
_CONTROLS = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")


class UnknownFormatError(InvalidInputError):
    """A file is none that curves are read from."""


def read_text(path: Path) -> str:
    """The text of a file or pipe, without terminal escapes, its lines ended by `\\n` alone.

    UTF-8, UTF-16 and UTF-32, with a byte order mark or (the first two) without, and what is none of
    them as Windows-1252 or Latin-1. Progress that overwrites its line becomes lines.

    Raises UnknownFormatError for what is no text, compressed or too large, InvalidInputError for
    what can't be read.
    """
    data = _read(path)
    kind = identify_file(data[:SNIFF_BYTES])
    if kind is not None and kind.family == "packed":
        raise UnknownFormatError(f"{path} is {kind.title}: unpack it first")
    text = _ESCAPES.sub("", _MOVES.sub("\n", _decoded(data))).rstrip("\x1a")
    head = text[: 1 << 16]
    if "\0" in head or len(_CONTROLS.findall(head)) > len(head) / 50:
        raise UnknownFormatError(f"{path} is not a results file: it is binary, not text")
    return re.sub(r"\r+\n|\r", "\n", text)


def without_prefixes(text: str) -> str | None:
    """The text without what `srun --label`, `docker compose`, timestamps and the like put before
    each line; None where there is nothing of the kind before every line.
    """
    plain = None
    for _ in range(3):
        lines = text.splitlines()
        matches = [_PREFIX.match(line) for line in lines]
        starts = [m.end() for m in matches if m is not None]
        whole = [m is not None or not line.strip() for m, line in zip(matches, lines, strict=True)]
        if not all(whole) or len(starts) < 2:
            break
        text = plain = "\n".join(
            line[m.end() :] if m is not None else "" for m, line in zip(matches, lines, strict=True)
        )
    return plain


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            # A pipe has no size to ask for.
            status = os.fstat(file.fileno())
            large = stat.S_ISREG(status.st_mode) and status.st_size > _LARGEST
            data = b"" if large else file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise KodecError(f"cannot read {path}: {error}") from error
    if large or len(data) > _LARGEST:
        raise UnknownFormatError(f"{path} is too large for a log or table")
    return data


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    head = data[: 1 << 16]
    for zeros, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Of text in Latin letters and digits, every second byte is 0 and hardly any other.
        if head[zeros::2].count(0) > 0.8 * (len(head) // 2) > 0 == head[1 - zeros :: 2].count(0):
            return data.decode(encoding, errors="replace")
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
