"""A tile of alpha as it lies in its packet: constant, without loss, or coded by the model."""

import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kodec.native import BitstreamError

from .picture import Samples

CONSTANT, LOSSLESS, CODED = 0, 1, 2
"""A packet's first byte."""
Way = Literal["constant", "without loss", "coded by the model"]
"""How a picture's alpha is coded."""
_FEW_BITS_A_PIXEL, _FEW_OF_COLOURS = 0.1, 0.25

_NONE, _LEFT, _UP = 0, 1, 2


def pack_alpha(alpha: Samples) -> bytes:
    """A tile of alpha (H, W) without loss: the one value that it has, or the shortest of three.

    Samples as bytes, of 16 bits all high ones first, then all low ones; as they are, or as
    differences to the one on the left or above; Deflate.
    """
    first = alpha.flat[0]
    if np.all(alpha == first):
        return bytes([CONSTANT]) + int(first).to_bytes(alpha.dtype.itemsize, "little")
    planes = _planes_of(alpha)
    left, up = planes.copy(), planes.copy()
    left[:, :, 1:] -= planes[:, :, :-1]
    up[:, 1:] -= planes[:, :-1]
    packed = [zlib.compress(x.tobytes(), 9) for x in (planes, left, up)]
    best = min(range(3), key=lambda number: len(packed[number]))
    return bytes([LOSSLESS, best]) + packed[best]


def is_cheap(plain: int, pixels: int, colours: int) -> bool:
    """Whether alpha is worth `plain` bytes without loss, beside as many for the colours."""
    return plain <= max(_FEW_BITS_A_PIXEL * pixels / 8, _FEW_OF_COLOURS * colours)


def form_of(packet: bytes) -> int:
    """How a packet codes its tile of alpha; raises BitstreamError for what no encoder writes."""
    if not packet or packet[0] > CODED:
        raise BitstreamError("a packet of transparency is damaged")
    return packet[0]


def way_of(packets: Sequence[bytes]) -> Way:
    """How the tiles of alpha in these packets are coded, which is one way for all of them.

    Raises BitstreamError for what no encoder writes.
    """
    forms = set(map(form_of, packets))
    if CODED not in forms:
        return "constant" if len(set(packets)) == 1 and CONSTANT in forms else "without loss"
    if len(forms) > 1:
        raise BitstreamError("the file codes transparency in two ways: it is damaged")
    return "coded by the model"


def unpack_alpha(packet: bytes, height: int, width: int, bit_depth: int) -> Samples:
    """The alpha (height, width) of a packet that is not of the form CODED.

    Raises BitstreamError where it is damaged. Makes room for no more than those samples.
    """
    item = bit_depth // 8
    kind = np.uint8 if item == 1 else np.uint16
    if form_of(packet) == CONSTANT:
        if len(packet) != 1 + item:
            raise BitstreamError("a packet of transparency is damaged")
        return np.full((height, width), int.from_bytes(packet[1:], "little"), kind)
    count = height * width * item
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packet[2:], count + 1)
    except zlib.error as error:
        raise BitstreamError(f"a packet of transparency is damaged ({error})") from None
    whole = len(data) == count and unpacker.eof and not unpacker.unused_data
    if not whole or packet[1] > _UP:
        raise BitstreamError("a packet of transparency is damaged")
    planes: Samples = np.frombuffer(data, np.uint8).reshape(item, height, width)
    if packet[1] != _NONE:
        axis = 2 if packet[1] == _LEFT else 1
        planes = np.add.accumulate(planes, axis=axis, dtype=np.uint8)
    if item == 1:
        return np.array(planes[0])
    deep: Samples = planes[0].astype(np.uint16) << 8 | planes[1]
    return deep


def _planes_of(alpha: Samples) -> NDArray[np.uint8]:
    if alpha.dtype == np.uint8:
        return np.ascontiguousarray(alpha, np.uint8)[None]
    planes: NDArray[np.uint8] = np.stack([alpha >> 8, alpha & 255]).astype(np.uint8)
    return planes
