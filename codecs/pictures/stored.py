"""How a picture file stores its samples, as far as its head tells."""

from typing import NamedTuple


class Stored(NamedTuple):
    """What a file's own head says of its samples."""

    trouble: str | None = None
    """Why kodec does not read it, to follow its name; None where it may."""
    unusual: str | None = None
    """What it is, to follow its name, where not every reader knows such files."""
    wide: str | None = None
    """What it has beyond 8-bit gray and RGB, to follow its name: for `read_picture` alone."""
    bits: int = 8
    """Bits a sample, as far as it matters here."""
