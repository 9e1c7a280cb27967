"""The command line: `kodec` and `python -m kodec`."""

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from kodec.commands import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default); return the exit status."""
    return run(sys.argv[1:] if arguments is None else arguments)


def program() -> NoReturn:
    """`main` as the process's last act: ends it with the exit status.

    As Python does, but without taking every module and library down one by one, which with PyTorch
    takes more than half a second and 130 MB.
    """
    status = main()
    if any(t is not threading.main_thread() and not t.daemon for t in threading.enumerate()):
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # What Python says then.
            status = 120
    os._exit(status)


if __name__ == "__main__":
    program()
