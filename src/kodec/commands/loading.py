"""Models that a process loads once, however many files it codes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kodec.codecs import Codec


def load_once(model: str | Path, device: str, trusted: Sequence[str]) -> "Codec":
    """As `kodec.codecs.load`; the last one is kept, until its file changes."""
    from kodec.codecs import find_model, load
    from kodec.codecs.fitted_families import is_family
    from kodec.eval.running.kept_values import Kept

    stamp: object = None
    if not is_family(model):
        path = find_model(model)
        state = path.stat()
        stamp = str(path.resolve()), state.st_size, state.st_mtime_ns
    return Kept(partial(load, model, device, tuple(trusted)), stamp).value()
