"""Rows of a measurement that is not finished, kept beside its output so that it can go on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kodec.native import InvalidInputError

from .results import ImageRow, portable, row_from


class PartialRows:
    """A file of finished rows, one JSON object a line, each with the key of what it measured.

    The key is a hash of all that the row depends on, so rows of other settings, another codec or
    changed pictures are never taken. A line cut by a kill is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = _rows_in(path)

    def add(self, key: str, row: ImageRow) -> None:
        """Append a row; it survives a kill from then on."""
        self.rows[key] = row
        line = json.dumps({"key": key, "row": portable(asdict(row), row.image)})
        with self.path.open("a", encoding="utf-8") as file:
            # Whatever a kill may have cut stays on a line of its own.
            file.write(f"\n{line}\n")

    def remove(self) -> None:
        """Delete the file, once the results are written."""
        self.path.unlink(missing_ok=True)


def key_of(what: Mapping[str, Any]) -> str:
    """A hash of plain values."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _rows_in(path: Path) -> dict[str, ImageRow]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    rows = {}
    for line in text.splitlines():
        try:
            content = json.loads(line)
            rows[str(content["key"])] = row_from(content["row"])
        except (ValueError, TypeError, KeyError, InvalidInputError):
            continue
    return rows
