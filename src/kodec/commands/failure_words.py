"""What went wrong, in one line."""

import os

from kodec.native import KodecError

from .usage import UsageError

_EXTRAS = {
    **dict.fromkeys(("lightning", "jsonargparse", "tensorboard"), "train"),
    **dict.fromkeys(("jinja2", "torchmetrics", "compressai"), "eval"),
    **dict.fromkeys(("distributed", "fsspec"), "cluster"),
}
"""Which extra of the package has what not every command needs."""


def in_words(error: BaseException) -> str:
    """The line for an error, without the program's name before it."""
    return " ".join(_words(error).split())


def _words(error: BaseException) -> str:
    if isinstance(error, KodecError | UsageError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, BrokenPipeError):
        return "the reader of the output left before its end"
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        extra = _EXTRAS.get(error.name.partition(".")[0])
        if extra is not None:
            return f"{error.name} is not installed: pip install 'kodec[{extra}]'"
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"internal error, please report it: {type(error).__name__}: {error} (see --debug)"
