"""Whether a PNG holds all of its rows: its reader shows those that are missing in black."""

import zlib
from typing import IO

import numpy as np
from PIL import Image

from .png_chunks import chunks_of

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row, and steps, of Adam7's passes.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE = 1 << 20


def rows_are_missing(file: IO[bytes], image: Image.Image) -> bool:
    """Whether fewer bytes are packed in a PNG than its loaded image takes.

    They are unpacked once more only where they could be: where it is interlaced or its last row is
    all black. Leaves the file's position anywhere.
    """
    width, height = image.size
    file.seek(0)
    head = file.read(29)
    bits, colour, interlaced = head[24], head[25], head[28]
    if not interlaced and np.asarray(image.crop((0, height - 1, width, height))).any():
        return False
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES]
    row_bits = bits * _CHANNELS[colour]
    needed = sum(rows * (1 + -(-w * row_bits // 8)) for w, rows in sizes if w > 0 and rows > 0)
    return _unpacked_bytes(file, needed) < needed


def _unpacked_bytes(file: IO[bytes], enough: int) -> int:
    """How many bytes the chunks of pixels unpack to, or `enough` of them."""
    unpacker, count = zlib.decompressobj(), 0
    for kind, length in chunks_of(file):
        part = file.read(length) if kind == b"IDAT" else b""
        while part and count < enough:
            count += len(unpacker.decompress(part, _PIECE))
            part = unpacker.unconsumed_tail
    return count
