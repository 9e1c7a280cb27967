"""The head of a file of any kind."""

from collections.abc import Collection

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .fields import Fields
from .fitted_head import FittedHeader, read_fitted_head, write_fitted_head
from .head_fields import KINDS, Kind, read_class
from .picture_head import PictureHeader, read_picture_head, write_picture_head
from .sequence_head import SequenceHeader, read_sequence_head, write_sequence_head

Header = PictureHeader | SequenceHeader | FittedHeader

_HOLDS: dict[Kind, str] = {
    "picture": "a picture",
    "sequence": "a video",
    "fitted": "a fitted network",
}


def write_head(header: Header) -> bytes:
    """The head's payload."""
    if isinstance(header, PictureHeader):
        return write_picture_head(header)
    if isinstance(header, SequenceHeader):
        return write_sequence_head(header)
    return write_fitted_head(header)


def read_head(payload: bytes, max_pixels: int, kinds: Collection[Kind] = KINDS) -> Header:
    """The header from a head's payload.

    Raises BitstreamError if the payload is damaged, UnsupportedError if it needs a later version
    of kodec, is of a kind not among `kinds` or has more than `max_pixels` pixels.
    """
    fields = Fields(payload, "the file's head")
    kind, portability, flags = read_class(fields)
    if kind not in kinds:
        wanted = " or ".join(_HOLDS[kind] for kind in KINDS if kind in kinds)
        raise UnsupportedError(f"the file holds {_HOLDS[kind]} where {wanted} is asked for")
    try:
        if kind == "picture":
            return read_picture_head(fields, portability, flags, max_pixels)
        if kind == "sequence":
            return read_sequence_head(fields, portability, max_pixels)
        return read_fitted_head(fields, portability, max_pixels)
    except InvalidInputError as error:
        raise BitstreamError(f"the file's head is damaged: {error}") from None


def expected_packets(header: Header) -> int | None:
    """How many packets the file has, where its head tells."""
    return header.packets if isinstance(header, PictureHeader) else None


def ends_with_its_packet(header: Header) -> bool:
    """Whether the file's one packet is its end, and no end chunk follows it."""
    return expected_packets(header) == 1
