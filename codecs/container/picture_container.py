"""A picture's whole `.kdc` file in memory."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kodec.native import InvalidInputError

from .head_fields import MAX_PIXELS, Kind
from .picture_head import PictureHeader
from .reader import ChunkReader, Packet
from .writer import ChunkWriter

_PICTURES: tuple[Kind, ...] = ("picture",)


@dataclass(frozen=True, slots=True)
class Container:
    """The contents of a picture's `.kdc` file, every checksum verified."""

    header: PictureHeader
    packets: tuple[bytes, ...]
    """The coded data, `header.packets` in number and in the order of `header.place`."""
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    """"icc", "exif", "colour" and "xmp" where the file has them, byte for byte."""


def write_container(
    header: PictureHeader, packets: Sequence[bytes], metadata: Mapping[str, bytes] | None = None
) -> bytes:
    """Return the `.kdc` file of a picture: 35 bytes more than its packet where one packet of
    128 to 16,383 bytes codes a picture with sides in that range.

    `metadata` may hold "icc", "exif", "colour" and "xmp". Raises InvalidInputError if the packets
    are not as many as the header says, or if metadata have another name or exceed
    `MAX_METADATA_BYTES`.
    """
    if len(packets) != header.packets:
        raise InvalidInputError(
            f"a picture of {header.packets} planes and tiles has as many packets, not "
            f"{len(packets)}"
        )
    file = io.BytesIO()
    with ChunkWriter(file, header, metadata) as writer:
        for packet in packets:
            writer.write(packet)
    return file.getvalue()


def read_container(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Read a picture's `.kdc` file held in memory and verify all of it.

    Nothing is allocated beyond copies of parts of `data`. A caller about to allocate
    width x height pixels is protected by `max_pixels`.

    Raises BitstreamError if the data are no `.kdc` file, are damaged or truncated or go on after
    their end, and UnsupportedError, naming what is missing, if they are sound but hold no picture,
    need a later version of kodec or exceed `max_pixels`.
    """
    reader = ChunkReader(data, max_pixels=max_pixels, kinds=_PICTURES)
    assert isinstance(reader.header, PictureHeader)  # the only kind asked for
    packets = tuple(item.data for item in reader if isinstance(item, Packet))
    return Container(reader.header, packets, reader.metadata)
