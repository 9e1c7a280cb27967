"""Memory that was freed and that the C library, where it is glibc, still holds."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from kodec.native import layers, tokens

# M_ARENA_MAX of malloc.h.
_ARENA_MAX = -8


def give_back_freed_memory() -> None:
    """Give what was freed back to the system.

    To have each piece given back at once (a lower M_MMAP_THRESHOLD) takes half as much time again
    over a picture in tiles: every tensor is then made of pages that the system has to clear.
    """
    trim = _of_library("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def keeping_freed(most: int) -> Iterator[None]:
    """Meanwhile the core keeps at most so many bytes of memory that layers no longer need for the
    next ones: over a picture in tiles it holds 120 MB otherwise.

    Their pages need not be cleared anew: with none kept an encoding takes 8 % more CPU time.
    """
    limits = [module.keep_freed(most) for module in (layers, tokens)]
    try:
        yield
    finally:
        for module, limit in zip((layers, tokens), limits, strict=True):
            module.keep_freed(limit)


def share_one_heap() -> None:
    """Have all threads that begin from here on take memory from the same heap, for good.

    Heaps of their own hold back some 70 MB more for two threads over a picture in tiles. It is the
    process's, so for commands to call, not for libraries.
    """
    set_option = _of_library("mallopt")
    if set_option is not None:
        set_option(_ARENA_MAX, 1)


@cache
def _of_library(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
