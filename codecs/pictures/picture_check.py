"""Whether picture files can be read: of one, and of many in a process of its own.

Without torch, so that such a process starts quickly.
"""

import json
import os
import sys
from typing import NamedTuple

from kodec.native import KodecError

from .picture_reading import read_head, read_label_size, read_labels, read_pixels


class Checked(NamedTuple):
    """What came of a file: its size, or why it can't be read."""

    width: int = 0
    height: int = 0
    remark: str = ""
    """What it says of its colours and is left out, if anything."""
    trouble: str = ""
    """Why it can't be read, its name included; empty where it can."""


def check_picture(path: str, labels: bool, decode: bool) -> Checked:
    """Read the head of a picture (or label picture), or all of it."""
    try:
        if labels:
            if decode:
                height, width = read_labels(path).shape
                return Checked(width, height)
            return Checked(*read_label_size(path))
        head = read_head(path)
        if decode:
            read_pixels(path)
        return Checked(head.width, head.height, ", ".join(head.remarks))
    except KodecError as error:
        return Checked(trouble=str(error))
    except OSError as error:
        return Checked(trouble=f"{path} can't be read: {error.strerror or error}")


def command(labels: bool, decode: bool) -> list[str]:
    """A command that checks the paths in a JSON list on its input; `read_answer` has its output."""
    call = f"from {__name__} import main; main({labels}, {decode})"
    return [sys.executable, "-c", call]


def main(labels: bool, decode: bool) -> None:
    """What `command` runs."""
    paths = json.load(sys.stdin)
    checked = [check_picture(os.fsdecode(bytes.fromhex(p)), labels, decode) for p in paths]
    json.dump(checked, sys.stdout)


def question(paths: list[str]) -> str:
    """The input of `command`; in hexadecimal, as names of files need not be text."""
    return json.dumps([os.fsencode(path).hex() for path in paths])


def read_answer(output: str) -> list[Checked]:
    """What `command` printed."""
    return [Checked(*row) for row in json.loads(output)]
