"""Planes of a picture from packets, whole or as far as they are there, and alpha to packets."""

from collections.abc import Mapping

from kodec.codecs.coded_transform import CodedLatents
from kodec.codecs.container import PictureHeader
from kodec.native import BitstreamError

from .alpha import CODED, form_of, is_cheap, pack_alpha, unpack_alpha, way_of
from .canvas import Canvas
from .picture import Samples
from .plane_coder import PlaneCoder
from .tile_grid import Box


def write_alpha(
    alpha: Samples, coder: PlaneCoder, device: str, colours: int, shown: bool
) -> tuple[list[bytes], Samples]:
    """Packets of alpha, beside so many bytes of colours, and what they decode to if shown."""
    grid = coder.grid
    plain = [pack_alpha(alpha[grid.box(tile).slices]) for tile in range(len(grid))]
    if is_cheap(sum(map(len, plain)), alpha.size, colours):
        return plain, alpha
    canvas = Canvas((*alpha.shape, 1), 8 * alpha.dtype.itemsize)
    packets = coder.encode(alpha[..., None], device, canvas.show if shown else None)
    if sum(map(len, packets)) >= sum(map(len, plain)):
        return plain, alpha
    coded = [bytes([CODED]) + packet for packet in packets]
    return coded, canvas.samples[..., 0]


def show_colours(
    coder: PlaneCoder, packets: Mapping[int, bytes], canvas: Canvas, crop: Box
) -> set[int]:
    """Put on the canvas what can be decoded; the tiles that can't be."""
    lost: set[int] = set()

    def code(tile: int) -> CodedLatents | None:
        try:
            return coder.read(tile, packets[tile])
        except (BitstreamError, KeyError):
            lost.add(tile)
            return None

    coder.run(code, canvas.show, crop)
    return lost


def show_alpha(
    coder: PlaneCoder, packets: Mapping[int, bytes], canvas: Canvas, crop: Box
) -> set[int]:
    """The same of alpha, whose tiles may be coded without loss; in a damaged file some of them."""
    coded: dict[int, bytes] = {}
    shown: set[int] = set()
    wanted = set(coder.grid.meeting(crop))
    for tile in coder.tiles_for(crop):
        box = coder.grid.box(tile)
        try:
            packet = packets[tile]
            if form_of(packet) == CODED:
                coded[tile] = packet[1:]
            elif tile in wanted:
                canvas.put(box, unpack_alpha(packet, box.height, box.width, canvas.bit_depth))
                shown.add(tile)
        except (BitstreamError, KeyError):
            pass
    if coded:
        shown |= wanted - show_colours(coder, coded, canvas, crop)
    return wanted - shown


def read_alpha(
    header: PictureHeader,
    packets: Mapping[int, bytes],
    coder: PlaneCoder,
    crop: Box,
) -> Samples:
    """The alpha in a picture's packets; raises BitstreamError where it is damaged."""
    canvas = Canvas((crop.height, crop.width, 1), header.bit_depth, crop)
    tiles = list(coder.grid.meeting(crop))
    if way_of([packets[2 * tile + 1] for tile in tiles]) == "coded by the model":
        coder.run(lambda tile: coder.read(tile, packets[2 * tile + 1][1:]), canvas.show, crop)
        return canvas.samples[..., 0]
    for tile in tiles:
        box = coder.grid.box(tile)
        packet = packets[2 * tile + 1]
        canvas.put(box, unpack_alpha(packet, box.height, box.width, header.bit_depth))
    return canvas.samples[..., 0]
