"""The `.kdc` container, format version 0: a stream of chunks, written and read one by one.

docs/bitstream.md gives its layout byte by byte.
"""

from .chunks import FORMAT_VERSION, MAGIC, MAX_METADATA_BYTES, MAX_PACKET_BYTES, MAX_PACKETS
from .fitted_head import FittedHeader
from .head_fields import MAX_MACHINE_BYTES, MAX_PIXELS, MAX_SIDE, Kind, Portability
from .heads import Header
from .picture_container import Container, read_container, write_container
from .picture_head import PictureHeader
from .reader import ChunkReader, Damaged, Lost, Packet
from .sequence_head import Chroma, Colour, SequenceHeader
from .steps import Plan, PlannedStep, Step
from .writer import ChunkWriter

__all__ = [
    "FORMAT_VERSION",
    "MAGIC",
    "MAX_MACHINE_BYTES",
    "MAX_METADATA_BYTES",
    "MAX_PACKETS",
    "MAX_PACKET_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Chroma",
    "ChunkReader",
    "ChunkWriter",
    "Colour",
    "Container",
    "Damaged",
    "FittedHeader",
    "Header",
    "Kind",
    "Lost",
    "Packet",
    "PictureHeader",
    "Plan",
    "PlannedStep",
    "Portability",
    "SequenceHeader",
    "Step",
    "read_container",
    "write_container",
]
