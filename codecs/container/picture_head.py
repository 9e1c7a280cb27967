"""What a picture's file says about itself, and its bytes in the head of a `.kdc` file."""

from dataclasses import dataclass

from kodec.native import InvalidInputError, UnsupportedError

from .fields import Fields
from .head_fields import (
    MODEL_ID_BYTES,
    ModelHeader,
    Portability,
    check_pixels,
    check_size,
    read_machine,
    read_quality,
    read_samples,
    write_class,
    write_machine,
    write_quality,
    write_samples,
)
from .varint import write_varint

MAX_PICTURE_PACKETS = 1 << 20
"""Most planes x tiles in a picture."""
MAX_PLANES = 16
BIT_DEPTHS = (8, 16)

_COLOUR_SRGB = 0
_DIVIDED = 1


@dataclass(frozen=True, slots=True)
class PictureHeader(ModelHeader):
    """What a picture's file says about itself.

    Raises InvalidInputError if a field is out of its range.
    """

    bit_depth: int = 8
    """Bits a sample: 8 or 16."""
    planes: int = 1
    """Planes that are coded apart, 1 to `MAX_PLANES`: colours, then alpha where there are two."""
    tile: tuple[int, int] | None = None
    """Width and height in pixels of the tiles that the picture is cut into from its upper left
    corner, each 1 to `MAX_SIDE`; None for a picture in one piece."""
    machine: bytes = b""
    """Of a "local" file: the fingerprint of what it decodes on, up to `MAX_MACHINE_BYTES`."""

    def __post_init__(self) -> None:
        self.check("picture", self.machine)
        if self.components not in (1, 3):
            raise InvalidInputError(f"components are 1 (gray) or 3 (RGB), not {self.components}")
        if self.bit_depth not in BIT_DEPTHS:
            raise InvalidInputError(f"the bit depth is 8 or 16, not {self.bit_depth}")
        if not 1 <= self.planes <= MAX_PLANES:
            raise InvalidInputError(f"a picture has 1 to {MAX_PLANES} planes, not {self.planes}")
        if self.tile is not None:
            check_size("tile", *self.tile)
        if self.packets > MAX_PICTURE_PACKETS:
            raise InvalidInputError(
                f"a picture has at most {MAX_PICTURE_PACKETS} tiles and planes in all, not "
                f"{self.packets}; take larger tiles"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        if self.tile is None:
            return 1, 1
        return -(-self.width // self.tile[0]), -(-self.height // self.tile[1])

    @property
    def packets(self) -> int:
        """How many packets the file has: planes x tiles."""
        columns, rows = self.grid
        return self.planes * columns * rows

    def place(self, packet: int) -> tuple[int, int, int]:
        """Plane, column and row of the tile that packet number `packet` codes.

        All planes of a tile come together; tiles come row by row.
        """
        if not 0 <= packet < self.packets:
            raise InvalidInputError(f"the picture has {self.packets} packets, and none {packet}")
        tile, plane = divmod(packet, self.planes)
        row, column = divmod(tile, self.grid[0])
        return plane, column, row


def write_picture_head(header: PictureHeader) -> bytes:
    """The head's payload."""
    parts = [
        write_class("picture", header.portability, _DIVIDED if header.tile else 0),
        write_varint(header.width),
        write_varint(header.height),
        write_samples(header.components, header.bit_depth),
        bytes([_COLOUR_SRGB]),
        write_quality(header.quality),
        header.model_id,
        bytes([header.planes]),
    ]
    if header.tile:
        parts += map(write_varint, header.tile)
    return b"".join((*parts, write_machine(header.portability, header.machine)))


def read_picture_head(
    fields: Fields, portability: Portability, flags: int, max_pixels: int
) -> PictureHeader:
    """The header from a head's payload, after its first byte.

    Raises BitstreamError if the payload is too short or long, InvalidInputError if a field is out
    of range, UnsupportedError if it needs a later version of kodec or has too many pixels.
    """
    width, height = fields.varint(), fields.varint()
    components, bit_depth = read_samples(fields)
    colour = fields.byte()
    if components not in (1, 3) or bit_depth not in BIT_DEPTHS or colour != _COLOUR_SRGB:
        raise UnsupportedError(
            f"the file has {components} components of {bit_depth} bits in colour system {colour}; "
            "this version of kodec decodes gray and RGB of 8 and 16 bits only"
        )
    quality = read_quality(fields)
    model_id = fields.take(MODEL_ID_BYTES)
    planes = fields.byte()
    tile = (fields.varint(), fields.varint()) if flags & _DIVIDED else None
    machine = read_machine(fields, portability)
    header = PictureHeader(
        width,
        height,
        components,
        quality,
        model_id,
        portability,
        bit_depth,
        planes,
        tile,
        machine,
    )
    check_pixels("picture", width, height, max_pixels)
    return header
