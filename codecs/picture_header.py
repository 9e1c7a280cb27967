"""What a picture's file says about itself, and its bytes in the head of a `.kdc` file."""

from dataclasses import dataclass
from typing import Literal, get_args

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .varint import read_varint, write_varint

MAX_SIDE = 1 << 24
"""Largest width or height in pixels."""
MAX_PIXELS = 1 << 30
"""Largest width x height unless the caller of a reader sets another."""
MAX_PACKETS = 1 << 20
"""Most packets in a picture."""
MODEL_ID_BYTES = 8
MAX_QUALITY = 63

Portability = Literal["exact", "guarded", "local"]

_NO_QUALITY = 0xFF
_KIND_PICTURE = 0
_KIND_SEQUENCE = 1
_COLOUR_SRGB = 0


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture's file says about itself.

    Raises InvalidInputError if a field is out of its range.
    """

    width: int
    """In pixels, 1 to `MAX_SIDE`."""
    height: int
    """In pixels, 1 to `MAX_SIDE`."""
    components: int
    """1 (gray) or 3 (RGB)."""
    quality: int | None
    """0 (smallest file) to 63 (best picture), or None from a fixed-rate model."""
    model_id: bytes
    """The first 8 bytes of the hash of what the decoder needs."""
    portability: Portability
    """Where the stream decodes: "exact" and "guarded" anywhere, "local" on the same machine."""
    bit_depth: int = 8
    """Bits a sample: 8 in this version."""

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not 1 <= value <= MAX_SIDE:
                raise InvalidInputError(
                    f"a picture's {name} is 1 to {MAX_SIDE} pixels, not {value}"
                )
        if self.components not in (1, 3):
            raise InvalidInputError(f"components are 1 (gray) or 3 (RGB), not {self.components}")
        if self.quality is not None and not 0 <= self.quality <= MAX_QUALITY:
            raise InvalidInputError(f"quality is 0 to {MAX_QUALITY} or None, not {self.quality}")
        if len(self.model_id) != MODEL_ID_BYTES:
            raise InvalidInputError(
                f"a model id has {MODEL_ID_BYTES} bytes, not {len(self.model_id)}"
            )
        if self.portability not in get_args(Portability):
            raise InvalidInputError(
                f"portability is one of {', '.join(get_args(Portability))}, not {self.portability}"
            )
        if self.bit_depth != 8:
            raise InvalidInputError(f"the bit depth is 8 in this version, not {self.bit_depth}")


def write_head(header: PictureHeader, packets: int) -> bytes:
    """Return the head's payload for a picture of `packets` packets (1 to `MAX_PACKETS`).

    Raises InvalidInputError if the number of packets is out of range.
    """
    if not 1 <= packets <= MAX_PACKETS:
        raise InvalidInputError(f"a picture has 1 to {MAX_PACKETS} packets, not {packets}")
    return b"".join(
        (
            bytes([_KIND_PICTURE << 4 | get_args(Portability).index(header.portability)]),
            write_varint(header.width),
            write_varint(header.height),
            bytes([header.components << 4 | header.bit_depth - 1, _COLOUR_SRGB]),
            bytes([_NO_QUALITY if header.quality is None else header.quality]),
            header.model_id,
            write_varint(packets),
        )
    )


def read_head(payload: bytes, max_pixels: int) -> tuple[PictureHeader, int]:
    """Return the header and the number of packets from a head's payload.

    Raises BitstreamError if the payload is damaged, UnsupportedError if it needs a later version
    of kodec or if the picture has more than `max_pixels` pixels.
    """
    kind, portability = _byte(payload, 0) >> 4, _byte(payload, 0) & 15
    if kind == _KIND_SEQUENCE:
        raise UnsupportedError("the file holds a video, which this version of kodec cannot decode")
    if kind != _KIND_PICTURE or portability >= len(get_args(Portability)):
        raise UnsupportedError(
            f"the file is of kind {kind}, portability class {portability}, which this version of "
            "kodec does not know; update kodec"
        )
    width, position = read_varint(payload, 1)
    height, position = read_varint(payload, position)
    samples, colour = _byte(payload, position), _byte(payload, position + 1)
    components, bit_depth = samples >> 4, (samples & 15) + 1
    if components not in (1, 3) or bit_depth != 8 or colour != _COLOUR_SRGB:
        raise UnsupportedError(
            f"the file has {components} components of {bit_depth} bits in colour system {colour}; "
            "this version of kodec decodes 8-bit gray and RGB only"
        )
    quality = _byte(payload, position + 2)
    if quality > MAX_QUALITY and quality != _NO_QUALITY:
        raise BitstreamError(f"the file claims quality {quality}, above {MAX_QUALITY}; damaged")
    position += 3
    model_id = payload[position : position + MODEL_ID_BYTES]
    if len(model_id) < MODEL_ID_BYTES:
        raise BitstreamError("the file's head is too short; it is damaged")
    packets, position = read_varint(payload, position + MODEL_ID_BYTES)
    if position != len(payload):
        raise BitstreamError("the file's head is longer than it should be; it is damaged")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and 1 <= packets <= MAX_PACKETS):
        raise BitstreamError(
            f"the file claims {width}x{height} pixels in {packets} packets, beyond the format's "
            "limits; it is damaged"
        )
    if width * height > max_pixels:
        raise UnsupportedError(
            f"the picture has {width}x{height} pixels, above the limit of {max_pixels} in all"
        )
    quality_step = None if quality == _NO_QUALITY else quality
    return (
        PictureHeader(
            width=width,
            height=height,
            components=components,
            quality=quality_step,
            model_id=model_id,
            portability=get_args(Portability)[portability],
            bit_depth=bit_depth,
        ),
        packets,
    )


def _byte(payload: bytes, position: int) -> int:
    if position >= len(payload):
        raise BitstreamError("the file's head is too short; it is damaged")
    return payload[position]
