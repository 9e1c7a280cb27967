"""The chunks of a PNG, one after another."""

from collections.abc import Iterator
from typing import IO


def chunks_of(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The kind of each chunk and its length, `file` standing at its content.

    Ends behind IEND, or where the file is cut within a chunk's head.
    """
    position = 8
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[:4])
        yield head[4:], length
        if head[4:] == b"IEND":
            return
        position += 12 + length
