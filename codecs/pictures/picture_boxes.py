"""What the boxes of AVIF and HEIC files (ISO/IEC 23008-12) say of their pictures' samples."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_MOST_OF_META = 1 << 20
_MOST_BOXES = 4096
_MOST_OUTER_BOXES = 64
_APPLE_GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
_CONTAINERS = {b"iprp": 0, b"ipco": 0}


@dataclass
class Properties:
    """Of all pictures in a file taken together."""

    bits: int = 8
    """The most bits that a sample has."""
    gain_map: bool = False
    """Whether a picture is made of two by a gain map."""
    cicp: bytes | None = None
    """Primaries, transfer, matrix and range (ITU-T H.273), a byte each; None where not told."""


def properties_of(file: IO[bytes]) -> Properties:
    """Read the `meta` box. What is damaged or missing says nothing; leaves the position anywhere.

    No more than a megabyte is read.
    """
    found = Properties()
    for kind, length in boxes_of(file):
        if kind == b"ftyp":
            found.gain_map = b"tmap" in file.read(min(length, 512))
        if kind == b"meta":
            content = file.read(min(length, _MOST_OF_META))
            for inner, data in _boxes(content[4:]):
                _take(found, inner, data)
            break
    return found


def boxes_of(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The first boxes of a file: the kind of each and its length, `file` standing at its content.

    Ends where one is damaged.
    """
    # A seek far behind the end is an error of the system's.
    end, position = file.seek(0, io.SEEK_END), 0
    for _ in range(_MOST_OUTER_BOXES):
        if position >= end:
            return
        file.seek(position)
        head = file.read(16)
        length, front = int.from_bytes(head[:4]), 8
        if length == 1:
            length, front = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = end - position
        if len(head) < front or length < front:
            return
        file.seek(position + front)
        yield head[4:8], length - front
        position += length


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in `data`, those within property containers in place of these."""
    pending, count = [data], 0
    while pending:
        data, at = pending.pop(), 0
        while at + 8 <= len(data) and count < _MOST_BOXES:
            length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
            if length < 8:
                break
            content = data[at + 8 : at + length]
            if kind in _CONTAINERS:
                pending.append(content)
            yield kind, content
            at, count = at + length, count + 1


def _take(found: Properties, kind: bytes, data: bytes) -> None:
    if kind == b"pixi" and len(data) > 5:
        found.bits = max(found.bits, *data[5 : 5 + data[4]])
    elif kind == b"av1C" and len(data) > 2:
        high, twelve = data[2] >> 6 & 1, data[2] >> 5 & 1
        found.bits = max(found.bits, 8 + 2 * high + 2 * twelve)
    elif kind == b"hvcC" and len(data) > 18:
        found.bits = max(found.bits, 8 + (data[17] & 7), 8 + (data[18] & 7))
    elif kind == b"auxC" and _APPLE_GAIN_MAP in data:
        found.gain_map = True
    elif kind == b"colr" and data[:4] == b"nclx" and len(data) >= 11:
        codes = [int.from_bytes(data[at : at + 2]) & 255 for at in (4, 6, 8)]
        found.cicp = bytes([*codes, data[10] >> 7])
