"""Threads that a library has made real-time, as usual again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_THREADS = "/proc/self/task"


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """What is done inside leaves this thread's scheduling as it was, and new threads the same.

    Where it may, as root, SVT-AV1 makes its own threads and whoever opens it real-time. PyTorch's
    threads, which spin while they wait, would then keep all others from the processor.
    """
    if not os.path.isdir(_THREADS):
        yield
        return
    before = set(os.listdir(_THREADS))
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in (0, *(int(name) for name in set(os.listdir(_THREADS)) - before)):
            # A thread may have ended meanwhile.
            with suppress(OSError):
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)
