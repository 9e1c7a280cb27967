"""Between a picture and what its `.kdc` file says of it besides coded pixels."""

from collections.abc import Mapping

from kodec.codecs.container import PictureHeader

from .picture import Picture, Samples
from .picture_colour import pack_colour, unpack_colour
from .tile_grid import TileGrid


def grid_of(header: PictureHeader) -> TileGrid:
    """The tiles that a file has."""
    return TileGrid(header.width, header.height, header.tile)


def metadata_of(picture: Picture) -> dict[str, bytes]:
    """What the container is to carry beside the pixels, by its names."""
    colour = pack_colour(picture.colour)
    named = {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp, "colour": colour}
    return {name: data for name, data in named.items() if data}


def picture_with(pixels: Samples, alpha: Samples | None, metadata: Mapping[str, bytes]) -> Picture:
    """Decoded pixels with what came with them; raises BitstreamError where that is damaged."""
    return Picture(
        pixels,
        metadata.get("icc"),
        metadata.get("exif"),
        alpha,
        metadata.get("xmp"),
        unpack_colour(metadata.get("colour", b"")),
    )
