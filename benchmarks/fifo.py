"""A pipe in one thread, for benchmarks and tests of streams."""

import io
from collections.abc import Iterator
from typing import BinaryIO, cast


class Fifo(io.RawIOBase):
    """A file that can't seek and gives what was written to it.

    source: a generator that writes, run while a reader waits; by default one that has ended.
    """

    def __init__(self, data: bytes = b"", source: Iterator[object] = iter(())) -> None:
        self._waiting = bytearray(data)
        self.source = source

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as soon as there are any."""
        while not self._waiting:
            try:
                next(self.source)
            except StopIteration:
                break
        out = bytes(self._waiting[:size])
        del self._waiting[:size]
        return out

    @property
    def file(self) -> BinaryIO:
        """Itself, typed as the file that it can be used as."""
        return cast(BinaryIO, self)
