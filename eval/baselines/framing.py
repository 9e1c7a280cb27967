"""What a decoder must know of a picture that its coded file does not say.

A file is the codec's own, unchanged, unless the codec had to be given something else than the
picture: gray as colour, or sides padded to what it takes. Then ten bytes go in front of it: "K",
the components, width and height (32 bits each, big-endian). They count as bytes of the file.
"""

import struct

from kodec.native import BitstreamError

_HEAD = struct.Struct(">cBII")


def framed(data: bytes, width: int, height: int, components: int) -> bytes:
    """A codec's file behind the picture's true size and number of components."""
    return _HEAD.pack(b"K", components, width, height) + data


def unframed(data: bytes) -> tuple[bytes, tuple[int, int, int] | None]:
    """The codec's own file, and (width, height, components) where they were put in front of it.

    None of the formats used here begins with a "K". Raises BitstreamError for a cut head.
    """
    if not data.startswith(b"K"):
        return data, None
    if len(data) < _HEAD.size:
        raise BitstreamError("the file ends within its head")
    _, components, width, height = _HEAD.unpack_from(data)
    return data[_HEAD.size :], (width, height, components)
