"""What came of each file, as JSON lines: for the user, and for a run that goes on."""

import json
from pathlib import Path
from typing import Any

from kodec.codecs import write_atomically
from kodec.native import InvalidInputError

Row = dict[str, Any]


class Manifest:
    """Rows by output; each is on the disk, or with the system, before the next file's comes.

    A line that a kill has cut is passed over. Of an output's rows the last one counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
        for line in lines:
            try:
                row = json.loads(line)
                self.rows[str(row["output"])] = row
            except (ValueError, TypeError, KeyError):
                continue
        self._ragged = bool(lines)

    def add(self, row: Row) -> None:
        """Append a row. Raises OSError."""
        self.rows[row["output"]] = row
        with self.path.open("a", encoding="utf-8") as file:
            # Whatever a kill may have cut stays on a line of its own.
            file.write(("\n" if self._ragged else "") + json.dumps(row) + "\n")
        self._ragged = False

    def tidy(self) -> None:
        """Keep one row of each output. Raises OSError."""
        lines = "".join(json.dumps(row) + "\n" for row in self.rows.values())
        write_atomically(self.path, lines.encode())
