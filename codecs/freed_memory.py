"""Memory that was freed and that the C library still holds."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def give_back_freed_memory() -> None:
    """Give what was freed back to the system, where its C library is glibc.

    It keeps that for each thread, a hundred megabytes and more over a picture in tiles. To have it
    give back each piece at once (a lower M_MMAP_THRESHOLD) takes half as much time again: every
    tensor is then made of pages that the system has to clear first.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
