"""The inputs of a report: one entry a codec, with its curves and what its sources say of it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from kodec.eval.curves.curve import UNKNOWN, Curve
from kodec.eval.curves.pooling import pool, sequence_key
from kodec.eval.metrics.metric_names import linear_form
from kodec.eval.readers import CurveSet, codec_name, on_shared_pictures, read_curve_sets
from kodec.eval.running.results import ImageRow, Results, read_results
from kodec.native import InvalidInputError

_MEASURED = ("encoding_time", "decoding_time", "macs_per_pixel")


@dataclass(frozen=True)
class Entry:
    """One codec of a report."""

    name: str
    """Different from every other entry's."""
    sources: tuple[str, ...]
    """Names of the files the numbers come from."""
    curves: dict[str, Curve]
    """By exact name of the metric: what is drawn; of several sequences their mean."""
    parts: dict[str, tuple[Curve, ...]]
    """What is compared: the sequences' curves, or the one curve."""
    missing: dict[str, str]
    """Metrics whose numbers make no curve, and why."""
    measured: dict[str, tuple[float, ...]]
    """What was measured besides the metrics, per point, in the order of `rates`: seconds to encode
    and decode, and multiplications a pixel."""
    rates: tuple[float, ...]
    """Of every point, those of curves that lack some (lossless ones) included."""
    rows: tuple[ImageRow, ...]
    """Per picture and quality; empty where the sources have means only."""
    facts: tuple[tuple[str, str], ...]
    """Settings, versions and the machine: pairs of what and value."""
    notes: tuple[str, ...]
    results: Results | None
    """The results file behind it, None for logs and tables."""

    @property
    def source(self) -> str:
        """The files in few words."""
        more = f" and {len(self.sources) - 1} more" if len(self.sources) > 1 else ""
        return f"{self.sources[0]}{more}" if self.sources else ""

    def averaging(self, metric: str) -> str:
        """What a point of a metric's curve is a mean of, in words."""
        how = self.curves[metric].averaging
        pictures = len({row.image for row in self.rows})
        if how == "mean over images" and pictures > 1:
            return f"mean over {pictures} images"
        return "averaging not stated" if how == UNKNOWN else how

    def measured_at(self, rate: float) -> dict[str, float]:
        """What was measured of the point at a rate of one of the curves."""
        at = self.rates.index(rate) if rate in self.rates else None
        return {} if at is None else {key: values[at] for key, values in self.measured.items()}


def read_entries(
    paths: Sequence[Path],
    anchor: Sequence[Path] = (),
    labels: Mapping[Path, str] = MappingProxyType({}),
    size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> tuple[list[Entry], Entry | None]:
    """Read results and the files of an anchor, of any kind that `read_curves` takes; this is the
    only place where a report reads measurements.

    Sequences of one codec and data set make one entry. `labels` are names to use instead of the
    files' own, by path. Entries of the same name are told apart by
    their files' names. `size` (width, height) and `fps` are for rates in kbps. Rates come back in
    bits per pixel wherever all can be brought to them. Beside logs of single pictures results are
    of those pictures alone that all have; see `on_shared_pictures`.

    Raises InvalidInputError for a file that holds no results or no metric, an anchor of several
    codecs or data sets, rates of different units, and as `on_shared_pictures` does.
    """
    of_anchor = {path.resolve() for path in anchor}
    others = [path for path in paths if path.resolve() not in of_anchor]
    sets = read_curve_sets(others, size, fps) if others else []
    of_anchors = read_curve_sets(anchor, size, fps) if anchor else []
    sets, of_anchors = on_shared_pictures(sets, of_anchors)
    sizes = {
        sequence_key(one.sequence): (one.size, one.fps)
        for one in (*sets, *of_anchors)
        if one.sequence is not None and one.size is not None
    }
    groups, anchors = (_groups([_sized(one, sizes) for one in side]) for side in (sets, of_anchors))
    if len(anchors) > 1:
        # An anchor on many data sets serves for the one that is compared.
        datasets = {group[0].dataset for group in groups}
        anchors = [group for group in anchors if group[0].dataset in datasets] or anchors
        known = {sequence_key(one.sequence) for g in groups for one in g if one.sequence}
        anchors = [
            group
            for group in anchors
            if any(one.sequence and sequence_key(one.sequence) in known for one in group)
        ] or anchors
    if len(anchors) > 1:
        named = "; ".join(
            ", ".join(filter(None, (codec_name(group[0]), group[0].dataset)))
            for group in anchors[:4]
        )
        raise InvalidInputError(
            f"the anchor holds {len(anchors)} codecs or data sets ({named}), and there can be one "
            "anchor: name a file of one"
        )
    units = {one.rate_unit for group in [*groups, *anchors] for one in group}
    if len(units) > 1:
        kbps = next(one for g in [*groups, *anchors] for one in g if one.rate_unit == "kbps")
        raise InvalidInputError(
            f"{kbps.name} has rates in kbps, others in bits per pixel: give --size WxH and --fps F"
        )
    by_path = {str(path.resolve()): label for path, label in labels.items()}
    entries = _told_apart([_entry(group, by_path) for group in [*groups, *anchors]])
    return (entries[:-1], entries[-1]) if anchors else (entries, None)


def _sized(
    one: CurveSet, sizes: Mapping[str, tuple[tuple[int, int] | None, float | None]]
) -> CurveSet:
    """A set in bits per pixel where another source says how large its sequence is."""
    if one.rate_unit != "kbps" or one.sequence is None or one.size is not None:
        return one
    size, fps = sizes.get(sequence_key(one.sequence), (None, None))
    if size is None or (one.fps is None and fps is None):
        return one
    return one.sized(size, fps if one.fps is None else None)


def _groups(sets: Sequence[CurveSet]) -> list[list[CurveSet]]:
    """Sequences of one codec on one data set together; whatever is of no sequence alone."""
    groups: list[list[CurveSet]] = []
    places: dict[tuple[str, str | None], list[CurveSet]] = {}
    for one in sets:
        key = (codec_name(one), one.dataset)
        known = places.get(key)
        if one.sequence is None or known is None or _has(known, one.sequence):
            groups.append([one])
            if one.sequence is not None:
                places[key] = groups[-1]
        else:
            known.append(one)
    return groups


def _has(group: Sequence[CurveSet], sequence: str) -> bool:
    return any(one.sequence == sequence for one in group)


def _entry(group: Sequence[CurveSet], labels: Mapping[str, str]) -> Entry:
    first = group[0]
    curves: dict[str, Curve] = {}
    parts: dict[str, tuple[Curve, ...]] = {}
    missing: dict[str, str] = {}
    names = [name for name in first.available() if all(name in g.available() for g in group)]
    decibels = {linear_form(name) for name in names}
    for metric in names:
        # MS-SSIM crowds against 1 where codecs differ most; in decibels it can be read.
        if metric in decibels:
            continue
        try:
            own = tuple(one.curve(metric) for one in group)
            curves[metric] = own[0] if len(own) == 1 else pool(own, codec_name(first))
            parts[metric] = own
        except InvalidInputError as error:
            missing[metric] = str(error)
    sources = tuple(dict.fromkeys(source for one in group for source in one.source))
    if not curves:
        raise InvalidInputError(
            next(iter(missing.values()), f"{first.name} has rates but no quality metric to draw")
        )
    results = _results(sources)
    name = first.name if results is None or first.sequence is None else results.name
    if len(group) > 1:
        name = ", ".join(filter(None, (codec_name(first), first.dataset)))
    given = {labels.get(str(Path(source).resolve()), "") for source in sources}
    name = given.pop() or name if len(given) == 1 else name
    rows = [] if results is None else _rows(results, first)
    cut = results is not None and len(rows) < len(results.per_image)
    return Entry(
        name=name,
        sources=tuple(Path(source).name for source in sources),
        curves=curves,
        parts=parts,
        missing=missing,
        measured={}
        if results is None
        else _measured(rows, first)
        if cut
        else {key: tuple(results.results[key]) for key in _MEASURED if key in results.results},
        rates=next(iter(curves.values())).rates if len(group) > 1 else first.rates,
        rows=tuple(rows),
        facts=tuple(_facts(group, results)),
        notes=tuple(dict.fromkeys(note for one in group for note in one.notes)),
        results=results,
    )


def _results(sources: Sequence[str]) -> Results | None:
    """The results file behind a curve, if that is what it came from."""
    if len(sources) != 1 or not Path(sources[0]).is_file():
        return None  # What came through a pipe is gone.
    try:
        return read_results(Path(sources[0]))
    except InvalidInputError:
        return None


def _rows(results: Results, one: CurveSet) -> list[ImageRow]:
    """The rows of the pictures that a set is of."""
    if one.sequence is not None or not one.members:
        return results.per_image
    images = {member.sequence for member in one.members}
    return [row for row in results.per_image if row.image in images]


def _measured(rows: Sequence[ImageRow], one: CurveSet) -> dict[str, tuple[float, ...]]:
    """The means of what was measured, by the points of a set whose members these rows are of."""
    known = {(row.image, row.bpp): row for row in rows}
    points = [
        [known[member.sequence or "", member.rates[number]] for member in one.members]
        for number in range(len(one.rates))
    ]
    found: dict[str, tuple[float, ...]] = {}
    for key in _MEASURED:
        values = [[getattr(row, key) for row in point] for point in points]
        if all(value is not None for point in values for value in point):
            found[key] = tuple(math.fsum(point) / len(point) for point in values)
    return found


def _facts(group: Sequence[CurveSet], results: Results | None) -> list[tuple[str, str]]:
    first = group[0]
    facts: list[tuple[str, str]] = []
    if results is not None:
        texts = {
            "description": results.description,
            "averaging": results.averaging,
            "timing": results.timing,
        }
        facts += [(key, text) for key, text in texts.items() if text]
        facts += [(key, str(value)) for key, value in results.settings.items()]
        memory = results.peak_memory
        facts += [("peak memory", f"{memory / 2**20:,.0f} MiB")] if memory else []
        facts += [_joined("versions", results.versions), _joined("machine", results.machine)]
    if len(group) > 1:
        facts.append(("sequences", ", ".join(str(one.sequence) for one in group)))
    if first.dataset:
        facts.append(("data set", first.dataset))
    if first.size is not None:
        facts.append(("picture size", f"{first.size[0]}x{first.size[1]}"))
    if first.fps is not None:
        facts.append(("frame rate", f"{first.fps:g} Hz"))
    if first.frames is not None:
        facts.append(("frames", str(first.frames)))
    return [(key, text) for key, text in facts if text]


def _joined(key: str, values: Mapping[str, object]) -> tuple[str, str]:
    return key, ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with names that differ: by their files' names, then by numbers."""
    names = Counter(entry.name for entry in entries)
    seen: Counter[str] = Counter()
    found = []
    for entry in entries:
        name = entry.name
        if names[name] > 1 and entry.sources:
            name = f"{name} ({Path(entry.sources[0]).stem})"
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        found.append(_renamed(entry, name))
    return found


def _renamed(entry: Entry, name: str) -> Entry:
    return replace(
        entry,
        name=name,
        curves={metric: replace(curve, name=name) for metric, curve in entry.curves.items()},
        parts={
            metric: tuple(replace(curve, name=name) for curve in curves)
            if len(curves) == 1
            else curves
            for metric, curves in entry.parts.items()
        },
    )
