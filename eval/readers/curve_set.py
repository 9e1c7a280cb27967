"""What every reader returns: one codec on one sequence or data set, with all its metrics."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kodec.eval.curves.curve import UNKNOWN, Curve, bits_per_pixel
from kodec.eval.metrics.metric_names import (
    AMBIGUOUS,
    ASSUMED,
    find_metric,
    linear_form,
    normal_spelling,
)
from kodec.native import InvalidInputError

LOSSLESS = 999.0
"""Encoders print 999.99 dB, or inf, for a plane that came back identical."""

_LUMA_WEIGHTS = {"psnr-yuv-611": 6, "psnr-yuv-411": 4}
"""Of combinations of the planes' decibels that a set gives where it has the planes alone."""


@dataclass(frozen=True)
class CurveSet:
    """The rates of one codec's points and every metric of them. Fields as in `Curve`."""

    name: str
    rates: tuple[float, ...]
    metrics: Mapping[str, tuple[float, ...]]
    """Per exact name one value per point; infinite where lossless, NaN where nothing was measured.
    """
    rate_unit: str = "bpp"
    averaging: Mapping[str, str] = field(default_factory=dict)
    """Per metric; the entry `""` is for all others."""
    sequence: str | None = None
    dataset: str | None = None
    source: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    """Where in its file each point stands (`line 3`), for messages; or nothing."""
    frames: int | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    notes: tuple[str, ...] = ()
    members: tuple["CurveSet", ...] = ()

    def available(self) -> tuple[str, ...]:
        """Exact names of the metrics that `curve` gives, derived ones too."""
        derived = [name for name in ("ms-ssim-db-rgb", "ms-ssim-db-y") if linear_form(name)]
        names = [*self.metrics, *(n for n in derived if linear_form(n) in self.metrics)]
        return tuple(dict.fromkeys(names))

    def curve(self, metric: str) -> Curve:
        """The curve of one metric.

        Points at which a plane was lossless are left out, with a note: their PSNR is infinite.
        Raises InvalidInputError when the metric is missing, NaN at a point, infinite without being
        one in decibels, or no point is left.
        """
        metric = ASSUMED.get(normal_spelling(metric), normal_spelling(metric))
        values = self._values(metric)
        if values is None:
            held = ", ".join(self.available()) or "no metric"
            also = f" ({metric} stands for {AMBIGUOUS[metric]})" if metric in AMBIGUOUS else ""
            raise InvalidInputError(f"results of {self.name} hold no {metric}{also}, only {held}")
        kept = [i for i, value in enumerate(values) if not _is_lossless(metric, value)]
        notes = list(self.notes)
        if len(kept) < len(values):
            lost = ", ".join(self._label(i) for i in range(len(values)) if i not in kept)
            if not kept:
                raise InvalidInputError(
                    f"{self.name}: {metric} is infinite (lossless) at every point: {lost}"
                )
            notes.append(f"lossless, so {metric} is infinite: left out {lost}")
        members = tuple(member for member in self.members if member._values(metric) is not None)
        complete = len(members) == len(self.members)
        return Curve(
            name=self.name,
            rates=tuple(self.rates[i] for i in kept),
            values=tuple(values[i] for i in kept),
            metric=metric,
            rate_unit=self.rate_unit,
            averaging=self._averaging(metric),
            sequence=self.sequence,
            dataset=self.dataset,
            source=self.source,
            settings=tuple(self.settings[i] for i in kept) if self.settings else (),
            frames=self.frames,
            size=self.size,
            fps=self.fps,
            notes=tuple(notes),
            members=tuple(member.points(kept).curve(metric) for member in members)
            if complete
            else (),
        )

    def points(self, kept: Sequence[int]) -> "CurveSet":
        """Some of the points."""
        return replace(
            self,
            rates=tuple(self.rates[i] for i in kept),
            metrics={name: tuple(v[i] for i in kept) for name, v in self.metrics.items()},
            settings=tuple(self.settings[i] for i in kept) if self.settings else (),
            places=tuple(self.places[i] for i in kept) if self.places else (),
            members=tuple(member.points(kept) for member in self.members),
        )

    def sized(self, size: tuple[int, int] | None, fps: float | None) -> "CurveSet":
        """With rates in bits per pixel where the size and the frame rate are known.

        `size` (width, height) and `fps` are the user's; they win over what the source states, with
        a note where the two differ. Raises InvalidInputError when one of the two is given and the
        other not known.
        """
        notes = list(self.notes)
        if size is not None and self.size is not None and size != self.size:
            notes.append(
                f"{self.name}: --size {size[0]}x{size[1]} taken, though its source says "
                f"{self.size[0]}x{self.size[1]}"
            )
        if fps is not None and self.fps is not None and abs(fps / self.fps - 1) > 1e-3:
            notes.append(f"{self.name}: --fps {fps:g} taken, though its source says {self.fps:g}")
        if self.rate_unit == "bpp":
            # Rates stay as they are; only what the source says of itself may be overruled.
            return replace(
                self,
                size=self.size and (size or self.size),
                fps=self.fps and (fps or self.fps),
                notes=tuple(notes),
            )
        known = replace(self, size=size or self.size, fps=fps or self.fps, notes=tuple(notes))
        if known.size is None or known.fps is None:
            if size is None and fps is None:
                return known
            missing = (
                "picture size: give --size WxH" if size is None else "frame rate: give --fps F"
            )
            raise InvalidInputError(
                f"{self.name}: bits per pixel need the {missing} (its source does not state it)"
            )
        rates = tuple(bits_per_pixel(rate, known.size, known.fps) for rate in self.rates)
        how = f"bpp from kbps at {known.size[0]}x{known.size[1]}, {known.fps:g} frames a second"
        return replace(
            known,
            rates=rates,
            rate_unit="bpp",
            notes=(*known.notes, how),
            members=tuple(member.sized(size, fps) for member in self.members),
        )

    def _values(self, metric: str) -> tuple[float, ...] | None:
        values = self.metrics.get(metric)
        linear = self.metrics.get(linear_form(metric) or "")
        if values is None and linear is not None:
            self._check_values(linear_form(metric) or "", linear)
            values = tuple(-10 * math.log10(1 - v) if v < 1 else math.inf for v in linear)
        if values is None:
            values = self._of_planes(metric)
        if values is not None and metric not in AMBIGUOUS:
            find_metric(metric)
            self._check_values(metric, values)
        return values

    def _of_planes(self, metric: str) -> tuple[float, ...] | None:
        """A weighted sum of the planes' decibels: its mean over frames is that of their means."""
        planes = [self.metrics.get(f"psnr-{plane}") for plane in "yuv"]
        if metric not in _LUMA_WEIGHTS or any(plane is None for plane in planes):
            return None
        if len({self._averaging(f"psnr-{plane}") for plane in "yuv"}) > 1:
            return None
        weight = _LUMA_WEIGHTS[metric]
        rows = zip(*(plane for plane in planes if plane is not None), strict=True)
        return tuple((weight * y + u + v) / (weight + 2) for y, u, v in rows)

    def _averaging(self, metric: str) -> str:
        known = metric in self.metrics or metric not in _LUMA_WEIGHTS
        how = metric if known else "psnr-y"
        return self.averaging.get(how, self.averaging.get("", UNKNOWN))

    def _check_values(self, metric: str, values: Sequence[float]) -> None:
        """Raises InvalidInputError for NaN, an infinity that no lossless picture explains, and an
        MS-SSIM or SSIM outside of [0, 1]: decibels, perhaps.
        """
        bad = [
            i
            for i, value in enumerate(values)
            if not math.isfinite(value) and not _is_lossless(metric, value)
        ]
        if bad:
            shown = ", ".join(self._label(i) for i in bad[:5])
            more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
            every = " every point:" if len(bad) == len(values) else ""
            kinds = sorted({_infinity(values[i]) for i in bad})
            raise InvalidInputError(
                f"{self.name}: {metric} is {' or '.join(kinds)} at{every} {shown}{more}: measure "
                "again, or take the point out of the file"
            )
        if "ssim" not in metric or "-db-" in metric:
            return
        for value in values:
            if not 0 <= value <= 1:
                raise InvalidInputError(
                    f"{self.name}: {metric} lies in [0, 1], not {value}: if it is in dB, call it "
                    "ms-ssim-db"
                )

    def _label(self, point: int) -> str:
        if self.settings:
            return self.settings[point]
        place = f" ({self.places[point]})" if self.places else ""
        return f"the point at {self.rates[point]:g} {self.rate_unit}{place}"


def codec_name(one: CurveSet) -> str:
    """A set's name without its sequence, which readers put into it."""
    if one.sequence is None or one.sequence not in one.name:
        return one.name
    before, _, after = one.name.rpartition(one.sequence)
    rest = re.sub(r"^\.\w{3,4}$", "", after)
    return re.sub(r"[\s,_/-]+$", "", before) + rest or one.name


def _is_lossless(metric: str, value: float) -> bool:
    """Whether a value is what identical pictures get: no other metric than decibels is infinite."""
    return find_metric(metric).unit == "dB" and value >= LOSSLESS


def _infinity(value: float) -> str:
    if math.isnan(value):
        return "NaN (not a number, or missing)"
    return "infinite" if value > 0 else "minus infinity"


def joined(sets: Sequence[CurveSet], name: str, settings: Sequence[str]) -> CurveSet:
    """Sets of one point each as one of several points, in order of rate.

    Keeps the metrics that all have, and the members if all have the same. Raises InvalidInputError
    for different rate units, frames, picture sizes or frame rates.
    """
    if len({one.rate_unit for one in sets}) > 1:
        raise InvalidInputError(f"{name}: its files have rates in different units")
    for what, stated in (
        ("frames", [one.frames for one in sets]),
        ("picture sizes", [one.size for one in sets]),
        ("frame rates", [one.fps for one in sets]),
    ):
        if len(known := {value for value in stated if value is not None}) > 1:
            raise InvalidInputError(
                f"{name}: its files have different {what} "
                f"({', '.join(str(value) for value in sorted(known))}): compare equal runs only"
            )
    order = sorted(range(len(sets)), key=lambda i: sets[i].rates[0])
    parts = [sets[i] for i in order]
    first = parts[0]
    keys = [key for key in first.metrics if all(key in part.metrics for part in parts)]
    names = [[member.sequence for member in part.members] for part in parts]
    alike = all(sorted(map(str, own)) == sorted(map(str, names[0])) for own in names)
    members = []
    for sequence in names[0] if alike and len(set(names[0])) == len(names[0]) else []:
        own = [next(m for m in part.members if m.sequence == sequence) for part in parts]
        both = [key for key in own[0].metrics if all(key in one.metrics for one in own)]
        members.append(
            replace(
                own[0],
                rates=tuple(one.rates[0] for one in own),
                metrics={key: tuple(one.metrics[key][0] for one in own) for key in both},
                settings=(),
                places=(),
            )
        )
    return replace(
        first,
        name=name,
        rates=tuple(part.rates[0] for part in parts),
        metrics={key: tuple(part.metrics[key][0] for part in parts) for key in keys},
        source=tuple(dict.fromkeys(source for part in parts for source in part.source)),
        settings=tuple(settings[i] for i in order),
        places=(),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        members=tuple(members),
    )
