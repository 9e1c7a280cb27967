"""What each process makes once and keeps, such as a loaded model, wherever tasks run."""

import atexit
import gc
import pickle
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

_kept: tuple[bytes, Any] | None = None


class Kept(Generic[T]):
    """A value that each process makes for itself, when a task first asks for it.

    A process keeps one, the last that was asked for. `make` survives pickling; its pickle and that
    of `stamp` tell one value from another.
    """

    def __init__(self, make: Callable[[], T], stamp: object = None) -> None:
        self._make = pickle.dumps((make, stamp))

    def value(self) -> T:
        """The value; raises what making it raises, every time."""
        global _kept
        if _kept is None or _kept[0] != self._make:
            _kept = None
            _kept = self._make, pickle.loads(self._make)[0]()
        return cast(T, _kept[1])


def _forget() -> None:
    global _kept
    _kept = None
    gc.collect()


# Before the interpreter ends: what is there then, the core takes for leaked, and says so.
atexit.register(_forget)
