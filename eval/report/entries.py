"""The inputs of a report: one entry a results file, with its curves and what it says of itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kodec.eval.results import Curve, ImageRow, Results, read_results
from kodec.native import InvalidInputError


@dataclass(frozen=True)
class Entry:
    """One codec of a report."""

    name: str
    """Different from every other entry's."""
    source: str
    """Name of the file the numbers come from."""
    description: str
    averaging: str
    """What one point is a mean of, in words."""
    curves: dict[str, Curve]
    """By exact name of the metric. MS-SSIM is in decibels."""
    missing: dict[str, str]
    """Metrics whose numbers make no curve, and why."""
    point_labels: tuple[str, ...]
    """Per point of every curve, `quality 8` for instance; empty where nothing is known."""
    times: dict[str, tuple[float, ...]]
    """`encoding_time` and `decoding_time` per point, in seconds, where they were measured."""
    rows: tuple[ImageRow, ...]
    """Per picture and quality; empty where the file has means only."""
    facts: tuple[tuple[str, str], ...]
    """Settings, versions and the machine: pairs of what and value."""
    notes: tuple[str, ...]
    results: Results | None
    """The results file behind it, None for what has none."""


def read_entries(paths: Sequence[Path]) -> list[Entry]:
    """Read results files; this is the only place where a report reads measurements.

    Entries of the same name are told apart by their files' names. A file named twice counts once.
    Raises InvalidInputError for a file that holds no results or no metric.
    """
    unique = list({path.resolve(): path for path in paths}.values())
    entries = [_entry(path, read_results(path)) for path in unique]
    names = Counter(entry.name for entry in entries)
    told_apart = [
        entry if names[entry.name] == 1 else _renamed(entry, f"{entry.name} ({path.stem})")
        for entry, path in zip(entries, unique, strict=True)
    ]
    seen: Counter[str] = Counter()
    for number, entry in enumerate(told_apart):
        seen[entry.name] += 1
        if seen[entry.name] > 1:
            told_apart[number] = _renamed(entry, f"{entry.name} #{seen[entry.name]}")
    return told_apart


def _entry(path: Path, results: Results) -> Entry:
    curves: dict[str, Curve] = {}
    missing: dict[str, str] = {}
    # MS-SSIM crowds against 1 where codecs differ most; in decibels it can be read and averaged.
    names = dict.fromkeys(
        "ms-ssim-db-rgb" if metric == "ms-ssim-rgb" else metric for metric in results.metrics
    )
    for metric in names:
        try:
            curves[metric] = results.curve(metric)
        except InvalidInputError as error:
            missing[metric] = str(error)
    if not curves:
        raise InvalidInputError(
            next(iter(missing.values()), f"{path} holds rates but no quality metric to draw")
        )
    pictures = len({row.image for row in results.per_image})
    return Entry(
        name=results.name,
        source=path.name,
        description=results.description,
        averaging=f"means over {pictures} pictures" if pictures else "means as in the file",
        curves=curves,
        missing=missing,
        point_labels=_point_labels(results),
        times={
            key: tuple(results.results[key])
            for key in ("encoding_time", "decoding_time")
            if key in results.results
        },
        rows=tuple(results.per_image),
        facts=tuple((key.replace("_", " "), str(value)) for key, value in results.machine.items()),
        notes=tuple(results.notes),
        results=results,
    )


def _point_labels(results: Results) -> tuple[str, ...]:
    if len(results.quality) != len(results.results["bpp"]):
        return ()
    return tuple("" if quality is None else f"quality {quality}" for quality in results.quality)


def _renamed(entry: Entry, name: str) -> Entry:
    curves = {metric: replace(curve, name=name) for metric, curve in entry.curves.items()}
    return replace(entry, name=name, curves=curves)
