"""What coding takes, codec by codec, and what files consist of, as far as results say it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .entries import Entry


@dataclass(frozen=True)
class Complexity:
    """Of a codec, in words: the range over its points, or "" where nothing is known.

    encoding, decoding: seconds. macs: multiplications of decoding, a pixel. memory: MiB.
    """

    encoding: str
    decoding: str
    macs: str
    memory: str

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        return any((self.encoding, self.decoding, self.macs))


@dataclass(frozen=True)
class Parts:
    """What a codec's files consist of: bytes and their share of the file, point by point.

    points: their labels; cells: of each point, as many as `names`, means over its pictures.
    """

    names: tuple[str, ...]
    points: tuple[str, ...]
    cells: tuple[tuple[tuple[str, str], ...], ...]


def complexity_of(entry: Entry) -> Complexity:
    """The seconds, multiplications and memory that an entry's results state."""
    memory = entry.results.peak_memory if entry.results is not None else None
    return Complexity(
        _span(entry.measured.get("encoding_time", ()), ".3g"),
        _span(entry.measured.get("decoding_time", ()), ".3g"),
        _span(entry.measured.get("macs_per_pixel", ()), ",.0f"),
        f"{memory / 2**20:,.0f}" if memory else "",
    )


def parts_of(entry: Entry) -> Parts | None:
    """The bytes by part of an entry's files; None where its rows do not tell them."""
    rows = [row for row in entry.rows if row.bytes_by_part]
    names = tuple(dict.fromkeys(name for row in rows for name in row.bytes_by_part))
    if not names:
        return None
    points, cells = [], []
    for quality in dict.fromkeys(row.quality for row in rows):
        of_point = [row.bytes_by_part for row in rows if row.quality == quality]
        means = [
            math.fsum(parts.get(name, 0.0) for parts in of_point) / len(of_point) for name in names
        ]
        whole = math.fsum(means)
        points.append("one rate" if quality is None else f"quality {quality}")
        cells.append(tuple((f"{mean:,.0f}", f"{100 * mean / whole:.1f} %") for mean in means))
    return Parts(names, tuple(points), tuple(cells))


def _span(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    least, most = format(min(values), form), format(max(values), form)
    return least if least == most else f"{least} to {most}"
