"""The exact names of metrics: what each is, its unit, which way is better, who spells it how.

One name, one computation. Two curves compare only if their metrics have the same name, so names
differ wherever numbers do: three definitions all called "YUV-PSNR" elsewhere are three names here.
How a metric was averaged over pictures or frames is not in its name; a curve says it beside.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kodec.native import InvalidInputError


@dataclass(frozen=True)
class Metric:
    """One metric of quality."""

    name: str
    label: str
    """For axes and tables, without the unit."""
    unit: str
    """`dB`, or empty for a plain number."""
    decimals: int
    """How many are worth printing."""
    meaning: str
    higher_is_better: bool = True

    @property
    def axis(self) -> str:
        """Label and unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def show(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.{self.decimals}f}{' ' if self.unit else ''}{self.unit}"

    def show_range(self, low: float, high: float) -> str:
        """A range of values with its unit."""
        return f"{low:.{self.decimals}f}..{self.show(high)}"


def _psnr(name: str, label: str, meaning: str) -> Metric:
    return Metric(name, f"PSNR-{label}", "dB", 2, meaning)


def _ms_ssim(name: str, label: str, meaning: str) -> Metric:
    decibels = "-db-" in name
    return Metric(name, f"MS-SSIM-{label}", "dB" if decibels else "", 2 if decibels else 4, meaning)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _psnr("psnr-rgb", "RGB", "of the mean squared error over all samples of R, G and B"),
        _psnr("psnr-y", "Y", "of the luma plane"),
        _psnr("psnr-u", "U", "of the Cb plane"),
        _psnr("psnr-v", "V", "of the Cr plane"),
        _psnr("psnr-yuv-611", "YUV 6:1:1", "(6 Y + U + V) / 8 of the planes' dB (DCVC, x265)"),
        _psnr("psnr-yuv-411", "YUV 4:1:1", "(4 Y + U + V) / 6 of the planes' dB (CompressAI)"),
        _psnr(
            "psnr-yuv-mse-411",
            "YUV 4:1:1 MSE",
            "of (4 Y + U + V) / 6 of the planes' MSE (VTM, HM, VVenC, Cool-chic on 4:2:0)",
        ),
        _psnr(
            "psnr-yuv-mse-211",
            "YUV 2:1:1 MSE",
            "of (2 Y + U + V) / 4 of the planes' MSE (VTM, HM, VVenC on 4:2:2)",
        ),
        _psnr(
            "psnr-yuv-mse-111",
            "YUV 1:1:1 MSE",
            "of (Y + U + V) / 3 of the planes' MSE (VTM, HM, VVenC on 4:4:4)",
        ),
        _ms_ssim("ms-ssim-rgb", "RGB", "mean over R, G and B of each channel's MS-SSIM"),
        _ms_ssim("ms-ssim-y", "Y", "of the luma plane"),
        _ms_ssim("ms-ssim-u", "U", "of the Cb plane"),
        _ms_ssim("ms-ssim-v", "V", "of the Cr plane"),
        _ms_ssim("ms-ssim-yuv-611", "YUV 6:1:1", "(6 Y + U + V) / 8 of the planes' (DCVC)"),
        _ms_ssim("ms-ssim-db-rgb", "RGB", "-10 log10(1 - ms-ssim-rgb), of the set's mean"),
        _ms_ssim("ms-ssim-db-y", "Y", "-10 log10(1 - ms-ssim-y), of the set's mean"),
        Metric("ssim-y", "SSIM-Y", "", 4, "single-scale SSIM of the luma plane (x265)"),
        Metric("vmaf", "VMAF", "", 2, "VMAF, 0 to 100"),
        Metric("lpips", "LPIPS", "", 4, "LPIPS, a distance", higher_is_better=False),
    )
}

PREFERENCE = ("psnr-rgb", "psnr-yuv-611", "psnr-y", "psnr-yuv-mse-411", "psnr-yuv-mse-111")
"""What is meant when no metric is named: the first of these that is there, then any other."""

ASSUMED = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "ms-ssim-db": "ms-ssim-db-rgb"}
"""Names that leave open which planes they are of, and what they are taken for."""

AMBIGUOUS = {
    "psnr-yuv": "psnr-yuv-611, psnr-yuv-411 or psnr-yuv-mse-411",
    "psnr-all": "psnr-yuv-611, psnr-yuv-411 or psnr-yuv-mse-411",
}
"""Names that stand for several computations, and which."""

_DECIBELS_OF = {"ms-ssim-db-rgb": "ms-ssim-rgb", "ms-ssim-db-y": "ms-ssim-y"}


def find_metric(name: str) -> Metric:
    """The metric of an exact name. Raises InvalidInputError for any other."""
    if name in AMBIGUOUS:
        raise InvalidInputError(f"{name} is not one metric: say {AMBIGUOUS[name]}")
    if name not in METRICS:
        raise InvalidInputError(f"no metric {name!r}; the names are {', '.join(METRICS)}")
    return METRICS[name]


def normal_spelling(text: str) -> str:
    """A name in lower case, with hyphens, its words in the order of the exact names.

    `Y-PSNR`, `PSNR_Y (dB)` and `psnr y` are all `psnr-y`.
    """
    text = re.sub(r"[(\[][^)\]]*[)\]]", lambda unit: _kept_unit(unit[0]), text.lower())
    text = re.sub(r"(?<=\d):(?=\d)", "", text)
    text = re.sub(r"[\s_./-]+", "-", text.strip()).strip("-")
    text = re.sub(r"\bms-?ssim", "ms-ssim", text).replace("yuv-psnr", "psnr-yuv")
    text = re.sub(r"^(y|u|v|cb|cr|rgb|luma)-(psnr|ms-ssim|ssim)\b", r"\2-\1", text)
    text = re.sub(r"^(psnr|ms-ssim|ssim)(y|u|v|yuv|rgb)$", r"\1-\2", text)
    text = re.sub(r"^(mean|avg|ave|average)-(?=psnr|ms-ssim|ssim|vmaf|lpips)", "", text)
    text = re.sub(r"^(psnr|ms-ssim)-(cb|cr|luma)$", _plane, text)
    if text.startswith("psnr"):
        text = re.sub(r"-db$", "", text)
    return re.sub(r"^ms-ssim-(rgb|y)-db$", r"ms-ssim-db-\1", text)


def exact_name(text: str) -> str | None:
    """The exact name for a foreign spelling; None if it is no metric's or stands for several."""
    name = normal_spelling(text)
    name = ASSUMED.get(name, name)
    return name if name in METRICS else None


def linear_form(name: str) -> str | None:
    """The metric that `name` is the decibels of, if it is one in decibels of another."""
    return _DECIBELS_OF.get(name)


def mean_value(name: str, values: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted mean of a metric's values; of one in decibels of another, by way of that one."""
    if name in _DECIBELS_OF:
        linear = _weighted([10 ** (-value / 10) for value in values], weights)
        return math.inf if linear <= 0 else -10 * math.log10(linear)
    return _weighted(values, weights)


def preferred(names: Iterable[str]) -> str | None:
    """The metric to use when none is asked for; None if there is none."""
    names = list(names)
    return next((name for name in PREFERENCE if name in names), names[0] if names else None)


def _weighted(values: Sequence[float], weights: Sequence[float]) -> float:
    total = math.fsum(w * v for w, v in zip(weights, values, strict=True))
    return total / math.fsum(weights)


def _kept_unit(text: str) -> str:
    inner = text[1:-1].strip()
    return "" if inner in ("db", "%", "") else f"-{inner}"


def _plane(match: re.Match[str]) -> str:
    return f"{match[1]}-{ {'cb': 'u', 'cr': 'v', 'luma': 'y'}[match[2]] }"
