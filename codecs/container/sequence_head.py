"""What a sequence's file says about itself, and its bytes in the head of a `.kdc` file."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from kodec.native import InvalidInputError, UnsupportedError

from .fields import Fields
from .head_fields import (
    MODEL_ID_BYTES,
    ModelHeader,
    Portability,
    check_pixels,
    read_machine,
    read_quality,
    read_samples,
    write_class,
    write_machine,
    write_quality,
    write_samples,
)
from .steps import Plan, read_plan, write_plan
from .varint import write_varint

Chroma = Literal["4:4:4", "4:2:2", "4:2:0"]

_CHROMA = get_args(Chroma)

MAX_RATE_TERM = (1 << 31) - 1
MAX_TICKS = 1 << 24


@dataclass(frozen=True, slots=True)
class Colour:
    """How samples are meant, in the code points of ITU-T H.273; 2 is unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False

    def __post_init__(self) -> None:
        for name, value in (
            ("primaries", self.primaries),
            ("transfer", self.transfer),
            ("matrix", self.matrix),
        ):
            if not 0 <= value <= 255:
                raise InvalidInputError(f"colour {name} are 0 to 255, not {value}")


@dataclass(frozen=True, slots=True)
class SequenceHeader(ModelHeader):
    """What a sequence's file says about itself.

    Raises InvalidInputError if a field is out of its range.
    """

    plan: Plan
    """What steps are where they do not say otherwise."""
    rate: Fraction = Fraction(25)
    """Frames a second."""
    ticks: int = 1
    """Ticks of the clock in a frame: `Step.times` are in ticks of 1 / (rate x ticks) seconds."""
    bit_depth: int = 8
    """Bits a sample, 8 to 16."""
    chroma: Chroma = "4:4:4"
    colour: Colour = Colour()
    machine: bytes = b""
    """Of a "local" file: the fingerprint of what it decodes on, up to `MAX_MACHINE_BYTES`."""

    def __post_init__(self) -> None:
        self.check("sequence", self.machine)
        if self.components not in (1, 3):
            raise InvalidInputError(f"components are 1 (gray) or 3, not {self.components}")
        if not 8 <= self.bit_depth <= 16:
            raise InvalidInputError(f"the bit depth is 8 to 16, not {self.bit_depth}")
        if self.chroma not in _CHROMA:
            raise InvalidInputError(f"chroma is one of {', '.join(_CHROMA)}, not {self.chroma}")
        terms = (self.rate.numerator, self.rate.denominator)
        if not all(1 <= term <= MAX_RATE_TERM for term in terms):
            raise InvalidInputError(
                f"the frame rate is a ratio of 1 to {MAX_RATE_TERM}, not {self.rate}"
            )
        if not 1 <= self.ticks <= MAX_TICKS:
            raise InvalidInputError(f"a frame has 1 to {MAX_TICKS} ticks, not {self.ticks}")


def write_sequence_head(header: SequenceHeader) -> bytes:
    """The head's payload."""
    colour = header.colour
    return b"".join(
        (
            write_class("sequence", header.portability),
            write_varint(header.width),
            write_varint(header.height),
            write_samples(header.components, header.bit_depth),
            bytes([_CHROMA.index(header.chroma)]),
            bytes([colour.primaries, colour.transfer, colour.matrix, colour.full_range]),
            write_quality(header.quality),
            header.model_id,
            write_varint(header.rate.numerator),
            write_varint(header.rate.denominator),
            write_varint(header.ticks),
            write_plan(header.plan),
            write_machine(header.portability, header.machine),
        )
    )


def read_sequence_head(fields: Fields, portability: Portability, max_pixels: int) -> SequenceHeader:
    """The header from a head's payload, after its first byte; raises as `read_picture_head`."""
    width, height = fields.varint(), fields.varint()
    components, bit_depth = read_samples(fields)
    chroma = fields.byte()
    primaries, transfer, matrix, full_range = fields.take(4)
    if components not in (1, 3) or chroma >= len(_CHROMA) or full_range > 1:
        raise UnsupportedError(
            f"the file has {components} components, chroma format {chroma}, sample range "
            f"{full_range}, which this version of kodec does not know; update kodec"
        )
    quality = read_quality(fields)
    model_id = fields.take(MODEL_ID_BYTES)
    numerator, denominator, ticks = fields.varint(), fields.varint(), fields.varint()
    if denominator == 0:
        raise InvalidInputError("the frame rate has a denominator of 0")
    rate = Fraction(numerator, denominator)
    if rate.denominator != denominator:
        raise InvalidInputError("the frame rate is not in its lowest terms")
    header = SequenceHeader(
        width,
        height,
        components,
        quality,
        model_id,
        portability,
        read_plan(fields),
        rate,
        ticks,
        bit_depth,
        _CHROMA[chroma],
        Colour(primaries, transfer, matrix, bool(full_range)),
        read_machine(fields, portability),
    )
    check_pixels("sequence", width, height, max_pixels)
    return header
