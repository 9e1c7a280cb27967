"""The rate-distortion curve, and what its numbers rest on."""

import math
from dataclasses import dataclass, replace

from kodec.native import InvalidInputError

RATE_UNITS = ("bpp", "kbps")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Curve:
    """A rate-distortion curve of one codec: one point per quality, in any order.

    Raises InvalidInputError when the lengths differ, there is no point, a number is not finite or a
    rate not positive.
    """

    name: str
    rates: tuple[float, ...]
    """In `rate_unit`."""
    values: tuple[float, ...]
    """The metric; higher is better except where `metric_names` says otherwise."""
    metric: str
    """Exact name of the metric, `psnr-rgb` for instance; `metric_names` has them all."""
    rate_unit: str = "bpp"
    """`bpp`, bits per pixel, or `kbps`, 1,000 bits a second."""
    averaging: str = UNKNOWN
    """How values were averaged: `mean over images`, `mean over frames`, `unknown`, ..."""
    sequence: str | None = None
    """The sequence or picture, for a curve of one."""
    dataset: str | None = None
    """The data set or class that the sequence belongs to, where the source says so."""
    source: tuple[str, ...] = ()
    """The files it was read from."""
    settings: tuple[str, ...] = ()
    """What each point was coded with (QP, quality, lambda), or nothing."""
    frames: int | None = None
    """Frames coded."""
    size: tuple[int, int] | None = None
    """Width and height of a picture in pixels."""
    fps: float | None = None
    """Frames a second that a rate in kbps is meant at."""
    notes: tuple[str, ...] = ()
    """One line each: what was taken from where, assumed or left out."""
    members: tuple["Curve", ...] = ()
    """The curves of the single pictures or sequences that this one averages, point by point."""

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.values):
            raise InvalidInputError(
                f"{self.name}: {len(self.rates)} rates but {len(self.values)} values of "
                f"{self.metric}: there must be one of each per point"
            )
        if not self.rates:
            raise InvalidInputError(f"{self.name}: a curve needs at least one point")
        if self.rate_unit not in RATE_UNITS:
            raise InvalidInputError(f"{self.name}: rates are in bpp or kbps, not {self.rate_unit}")
        for rate, value in zip(self.rates, self.values, strict=True):
            if not (math.isfinite(rate) and math.isfinite(value) and rate > 0):
                raise InvalidInputError(
                    f"{self.name}: the point ({rate} {self.rate_unit}, {value} {self.metric}) "
                    "cannot be part of a curve: rates must be positive and all numbers finite; "
                    "leave it out"
                )
        if self.settings and len(self.settings) != len(self.rates):
            raise InvalidInputError(f"{self.name}: one setting per point is needed, or none")
        for member in self.members:
            if len(member.rates) != len(self.rates):
                raise InvalidInputError(
                    f"{self.name}: {member.name} has {len(member.rates)} points, not "
                    f"{len(self.rates)}: a curve and what it averages have points in common"
                )

    def in_bpp(self) -> "Curve":
        """The same curve in bits per pixel; kilobits a second need `size` and `fps` for it.

        Raises InvalidInputError, with a request for what is missing, when it can't be converted.
        """
        if self.rate_unit == "bpp":
            return self
        if self.size is None or self.fps is None:
            missing = [
                request
                for request, known in (
                    ("the picture size (--size WxH)", self.size),
                    ("the frame rate (--fps F)", self.fps),
                )
                if known is None
            ]
            raise InvalidInputError(
                f"{self.name}: its rates are in kbps, and bits per pixel need "
                f"{' and '.join(missing)}, which its source does not state"
            )
        return replace(
            self,
            rates=tuple(bits_per_pixel(rate, self.size, self.fps) for rate in self.rates),
            rate_unit="bpp",
            members=tuple(member.in_bpp() for member in self.members),
        )

    def in_kbps(self) -> "Curve":
        """The same curve in kilobits a second; bits per pixel need `size` and `fps` for it.

        Raises InvalidInputError when they are not known.
        """
        if self.rate_unit == "kbps":
            return self
        if self.size is None or self.fps is None:
            raise InvalidInputError(
                f"{self.name}: its rates are in bits per pixel, and kbps need a picture size and a "
                "frame rate, which its source does not state"
            )
        factor = self.fps * self.size[0] * self.size[1] / 1000
        return replace(
            self,
            rates=tuple(rate * factor for rate in self.rates),
            rate_unit="kbps",
            members=tuple(member.in_kbps() for member in self.members),
        )


def bits_per_pixel(kbps: float, size: tuple[int, int], fps: float) -> float:
    """Kilobits (1,000 bits) a second as bits per pixel of luma."""
    return 1000 * kbps / (fps * size[0] * size[1])
