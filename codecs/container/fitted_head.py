"""What the file of a fitted network says about itself, and its bytes in the head of a file."""

from dataclasses import dataclass
from fractions import Fraction

from kodec.native import InvalidInputError, UnsupportedError

from .fields import Fields
from .head_fields import (
    MODEL_ID_BYTES,
    Portability,
    check_machine,
    check_model_id,
    check_pixels,
    check_size,
    read_machine,
    read_samples,
    write_class,
    write_machine,
    write_samples,
)
from .varint import MAX_VARINT, write_varint

MAX_FAMILY = 255
MAX_ARCHITECTURE = 64
MAX_FITTED_FRAMES = 1 << 24


@dataclass(frozen=True, slots=True)
class FittedHeader:
    """What the file of a network that was fitted to one picture or sequence says about itself.

    Everything that must be checked before the network is built stands here, so that a file can be
    refused by its first few bytes. Raises InvalidInputError if a field is out of its range.
    """

    family: int
    """Number of the kind of network, 0 to 255."""
    version: int
    """Version of the family's format, 0 to 255."""
    width: int
    """In pixels, 1 to `MAX_SIDE`."""
    height: int
    """In pixels, 1 to `MAX_SIDE`."""
    frames: int
    """1 for a picture, up to `MAX_FITTED_FRAMES`."""
    components: int
    """1 (gray) or 3 (RGB)."""
    architecture: tuple[int, ...]
    """The integers that the network is built from, at most 64 of 0 to `MAX_VARINT`."""
    portability: Portability
    """Where the file decodes: "exact" and "guarded" anywhere, "local" on the same machine."""
    model_id: bytes | None = None
    """Of shared weights, where the family has such: 8 bytes."""
    bit_depth: int = 8
    """Bits a sample, 8 to 16."""
    machine: bytes = b""
    """Of a "local" file: the fingerprint of what it decodes on, up to `MAX_MACHINE_BYTES`."""
    rate: Fraction = Fraction(25)
    """Frames a second, of a sequence; numerator and denominator up to `MAX_VARINT`."""

    def __post_init__(self) -> None:
        for name, value in (("family", self.family), ("version", self.version)):
            if not 0 <= value <= MAX_FAMILY:
                raise InvalidInputError(
                    f"a fitted network's {name} is 0 to {MAX_FAMILY}, not {value}"
                )
        check_size("fitted picture", self.width, self.height)
        if not 1 <= self.frames <= MAX_FITTED_FRAMES:
            raise InvalidInputError(f"frames are 1 to {MAX_FITTED_FRAMES}, not {self.frames}")
        terms = (self.rate.numerator, self.rate.denominator)
        if not all(1 <= term <= MAX_VARINT for term in terms):
            raise InvalidInputError(f"frames a second are above 0, not {self.rate}")
        if self.components not in (1, 3):
            raise InvalidInputError(f"components are 1 (gray) or 3 (RGB), not {self.components}")
        if not 8 <= self.bit_depth <= 16:
            raise InvalidInputError(f"the bit depth is 8 to 16, not {self.bit_depth}")
        if len(self.architecture) > MAX_ARCHITECTURE:
            raise InvalidInputError(
                f"an architecture has at most {MAX_ARCHITECTURE} integers, not "
                f"{len(self.architecture)}"
            )
        for value in self.architecture:
            if not 0 <= value <= MAX_VARINT:
                raise InvalidInputError(f"an architecture's integers are 0 to {MAX_VARINT}")
        if self.model_id is not None:
            check_model_id(self.model_id)
        check_machine(self.portability, self.machine)


def write_fitted_head(header: FittedHeader) -> bytes:
    """The head's payload."""
    return b"".join(
        (
            write_class("fitted", header.portability),
            bytes([header.family, header.version]),
            write_varint(header.width),
            write_varint(header.height),
            write_varint(header.frames),
            _write_rate(header),
            write_samples(header.components, header.bit_depth),
            bytes([header.model_id is not None]),
            header.model_id or b"",
            bytes([len(header.architecture)]),
            *map(write_varint, header.architecture),
            write_machine(header.portability, header.machine),
        )
    )


def _write_rate(header: FittedHeader) -> bytes:
    if header.frames == 1:
        return b""
    return write_varint(header.rate.numerator) + write_varint(header.rate.denominator)


def read_fitted_head(fields: Fields, portability: Portability, max_pixels: int) -> FittedHeader:
    """The header from a head's payload, after its first byte; raises as `read_picture_head`."""
    family, version = fields.byte(), fields.byte()
    width, height, frames = fields.varint(), fields.varint(), fields.varint()
    above, below = (fields.varint(), fields.varint()) if frames > 1 else (25, 1)
    if not below:
        raise InvalidInputError("frames a second are no number")
    components, bit_depth = read_samples(fields)
    shared = fields.byte()
    if components not in (1, 3) or shared > 1:
        raise UnsupportedError(
            f"the file has {components} components, shared weights {shared}, which this version of "
            "kodec does not know; update kodec"
        )
    model_id = fields.take(MODEL_ID_BYTES) if shared else None
    count = fields.byte()
    if count > MAX_ARCHITECTURE:
        raise InvalidInputError(f"the architecture has {count} integers")
    architecture = tuple(fields.varint() for _ in range(count))
    machine = read_machine(fields, portability)
    header = FittedHeader(
        family,
        version,
        width,
        height,
        frames,
        components,
        architecture,
        portability,
        model_id,
        bit_depth,
        machine,
        Fraction(above, below),
    )
    check_pixels("fitted picture", width, height, max_pixels)
    return header
