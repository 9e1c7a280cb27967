"""Tasks for processes that are killed."""

import os
import signal
from pathlib import Path

ALWAYS = "always"


def die_of(task: tuple[int, str]) -> int:
    """Its number; but a task with a marker kills its process, if it is `ALWAYS` or until the file
    that it names is there."""
    number, marker = task
    if marker == ALWAYS or (marker and not Path(marker).exists()):
        if marker != ALWAYS:
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number
