"""What the heads of all kinds have in common: limits, classes, the machine's fingerprint."""

from dataclasses import dataclass
from typing import Literal, get_args

from kodec.native import InvalidInputError, UnsupportedError

from .fields import Fields
from .varint import write_varint

MAX_SIDE = 1 << 24
"""Largest width or height in pixels."""
MAX_PIXELS = 1 << 30
"""Largest width x height unless the caller of a reader sets another."""
MODEL_ID_BYTES = 8
MAX_QUALITY = 63
MAX_MACHINE_BYTES = 64
"""Longest fingerprint of a machine."""

Kind = Literal["picture", "sequence", "fitted"]
Portability = Literal["exact", "guarded", "local"]

KINDS: tuple[Kind, ...] = get_args(Kind)
CLASSES: tuple[Portability, ...] = get_args(Portability)

_NO_QUALITY = 0xFF


def check_size(what: str, width: int, height: int) -> None:
    """Raise InvalidInputError unless both sides are 1 to `MAX_SIDE`."""
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= MAX_SIDE:
            raise InvalidInputError(f"a {what}'s {name} is 1 to {MAX_SIDE} pixels, not {value}")


def check_pixels(what: str, width: int, height: int, limit: int) -> None:
    """Raise UnsupportedError if a file claims more pixels than its reader wants."""
    if width * height > limit:
        raise UnsupportedError(
            f"the {what} has {width}x{height} pixels, above the limit of {limit} in all"
        )


def check_quality(quality: int | None) -> None:
    """Raise InvalidInputError unless it is 0 to `MAX_QUALITY` or None."""
    if quality is not None and not 0 <= quality <= MAX_QUALITY:
        raise InvalidInputError(f"quality is 0 to {MAX_QUALITY} or None, not {quality}")


def check_model_id(model_id: bytes) -> None:
    """Raise InvalidInputError unless it has `MODEL_ID_BYTES` bytes."""
    if len(model_id) != MODEL_ID_BYTES:
        raise InvalidInputError(f"a model id has {MODEL_ID_BYTES} bytes, not {len(model_id)}")


def check_machine(portability: str, machine: bytes) -> None:
    """Raise InvalidInputError unless the class is known and the fingerprint is allowed in it."""
    if portability not in CLASSES:
        raise InvalidInputError(f"portability is one of {', '.join(CLASSES)}, not {portability}")
    if machine and portability != "local":
        raise InvalidInputError(
            f"a file of class {portability} decodes anywhere: leave the machine's fingerprint out"
        )
    if len(machine) > MAX_MACHINE_BYTES:
        raise InvalidInputError(
            f"a machine's fingerprint has at most {MAX_MACHINE_BYTES} bytes, not {len(machine)}"
        )


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What the files of pictures and of sequences say alike.

    Raises InvalidInputError if a field is out of its range.
    """

    width: int
    """In pixels, 1 to `MAX_SIDE`."""
    height: int
    """In pixels, 1 to `MAX_SIDE`."""
    components: int
    """1 (gray) or 3."""
    quality: int | None
    """0 (smallest file) to 63 (best picture), or None from a fixed-rate model."""
    model_id: bytes
    """The first 8 bytes of the hash of what the decoder needs."""
    portability: Portability
    """Where the stream decodes: "exact" and "guarded" anywhere, "local" on the same machine."""

    def check(self, kind: Kind, machine: bytes) -> None:
        """Check these fields but the components, and the fingerprint of a file of this kind."""
        check_size(kind, self.width, self.height)
        check_quality(self.quality)
        check_model_id(self.model_id)
        check_machine(self.portability, machine)


def write_class(kind: Kind, portability: Portability, flags: int = 0) -> bytes:
    """A head's first byte: the kind, two flags of the kind's own, the portability class."""
    return bytes([KINDS.index(kind) << 4 | flags << 2 | CLASSES.index(portability)])


def read_class(fields: Fields) -> tuple[Kind, Portability, int]:
    """Kind, portability class and flags; raises UnsupportedError for those of later versions."""
    first = fields.byte()
    kind, flags, portability = first >> 4, first >> 2 & 3, first & 3
    if kind >= len(KINDS) or portability >= len(CLASSES) or flags > (KINDS[kind] == "picture"):
        raise UnsupportedError(
            f"the file is of kind {kind}, portability class {portability}, flags {flags}, which "
            "this version of kodec does not know; update kodec"
        )
    return KINDS[kind], CLASSES[portability], flags


def write_samples(components: int, bit_depth: int) -> bytes:
    """Components in the high four bits, bit depth - 1 in the low ones."""
    return bytes([components << 4 | bit_depth - 1])


def read_samples(fields: Fields) -> tuple[int, int]:
    """Components and bit depth, any that four bits hold."""
    samples = fields.byte()
    return samples >> 4, (samples & 15) + 1


def write_quality(quality: int | None) -> bytes:
    """One byte, 255 for none."""
    return bytes([_NO_QUALITY if quality is None else quality])


def read_quality(fields: Fields) -> int | None:
    """A quality, out of its range perhaps, or None."""
    quality = fields.byte()
    return None if quality == _NO_QUALITY else quality


def write_machine(portability: Portability, machine: bytes) -> bytes:
    """The end of a local file's head; nothing for other classes."""
    return write_varint(len(machine)) + machine if portability == "local" else b""


def read_machine(fields: Fields, portability: Portability) -> bytes:
    """The fingerprint in a local file's head, which ends there."""
    machine = fields.take(fields.varint()) if portability == "local" else b""
    fields.end()
    return machine
