import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator  # type: ignore[import-untyped]

from kodec.eval import Curve, Method, bd_quality, bd_rate, describe, read_results
from kodec.native import InvalidInputError

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)

METHODS: tuple[Method, ...] = ("pchip", "akima", "cubic")
ANCHOR = Curve("anchor", (0.1, 0.22, 0.4, 0.9, 1.3), (28, 30.5, 33, 37, 39), "psnr-rgb")
TEST = Curve("test", (0.13, 0.2, 0.47, 0.8, 1.9, 2.4), (27, 29.5, 32, 34.5, 39.5, 40), "psnr-rgb")


def pchip(
    x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fritsch and Carlson's monotone interpolation, written out: the reference for the library."""
    h, d = np.diff(x), np.diff(y) / np.diff(x)
    m = np.zeros_like(x)
    for k in range(1, len(x) - 1):
        if d[k - 1] * d[k] > 0:
            w1, w2 = 2 * h[k] + h[k - 1], h[k] + 2 * h[k - 1]
            m[k] = (w1 + w2) / (w1 / d[k - 1] + w2 / d[k])

    def end(h0: float, h1: float, d0: float, d1: float) -> float:
        slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
        if slope * d0 <= 0:
            return 0.0
        return 3 * d0 if d0 * d1 <= 0 and abs(slope) > 3 * abs(d0) else slope

    m[0], m[-1] = end(h[0], h[1], d[0], d[1]), end(h[-1], h[-2], d[-1], d[-2])
    i = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    t = (at - x[i]) / h[i]
    return np.asarray(
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + h[i] * m[i] * t * (1 - t) ** 2
        + y[i + 1] * t**2 * (3 - 2 * t)
        + h[i] * m[i + 1] * t**2 * (t - 1)
    )


def reference_bd_rate(test: Curve, anchor: Curve, method: Method) -> float:
    """The mean over 200,001 samples of quality, instead of the library's exact integrals."""
    low = max(min(test.values), min(anchor.values))
    high = min(max(test.values), max(anchor.values))
    at = np.linspace(low, high, 200_001)
    logs = []
    for curve in (test, anchor):
        x, order = np.unique(curve.values, return_index=True)
        y = np.log(np.asarray(curve.rates)[order])
        if method == "pchip":
            logs.append(pchip(x, y, at))
        elif method == "akima":
            logs.append(Akima1DInterpolator(x, y)(at))
        else:
            logs.append(np.vander(at, 4) @ np.linalg.lstsq(np.vander(x, 4), y, rcond=None)[0])
    difference = logs[0] - logs[1]
    mean = (difference.sum() - (difference[0] + difference[-1]) / 2) / (len(at) - 1)
    return 100 * (math.exp(mean) - 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_a_constant_factor_in_rate_is_the_bd_rate(method: Method, factor: float) -> None:
    test = Curve("test", tuple(factor * r for r in ANCHOR.rates), ANCHOR.values, ANCHOR.metric)
    result = bd_rate(test, ANCHOR, method)
    assert result.value_percent == pytest.approx(100 * (factor - 1), abs=1e-6)
    assert result.test_fraction == result.anchor_fraction == 1
    assert result.warnings == ()


@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_an_independent_computation(method: Method) -> None:
    result = bd_rate(TEST, ANCHOR, method)
    assert result.value_percent == pytest.approx(reference_bd_rate(TEST, ANCHOR, method), abs=1e-5)
    assert result.overlap == (28, 39)
    assert result.test_fraction == pytest.approx(11 / 13)
    assert (result.test_points, result.anchor_points) == (6, 5)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_points_does_not_matter(method: Method) -> None:
    order = (3, 0, 5, 1, 4, 2)
    shuffled = Curve(
        "test",
        tuple(TEST.rates[i] for i in order),
        tuple(TEST.values[i] for i in order),
        "psnr-rgb",
    )
    assert bd_rate(shuffled, ANCHOR, method) == bd_rate(TEST, ANCHOR, method)


def test_swapping_the_curves_inverts_the_factor() -> None:
    forth, back = bd_rate(TEST, ANCHOR).value_percent, bd_rate(ANCHOR, TEST).value_percent
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)
    assert forth > 0 > back


def test_errors_say_what_is_wrong() -> None:
    other = Curve("other", TEST.rates, tuple(v / 100 for v in TEST.values), "ms-ssim-rgb")
    with pytest.raises(InvalidInputError, match="ms-ssim-rgb.*psnr-rgb"):
        bd_rate(other, ANCHOR)
    apart = Curve("apart", (1, 2, 3, 4), (39, 40, 41, 42), "psnr-rgb")  # touch in one point
    with pytest.raises(InvalidInputError, match=r"39\.00\.\.42\.00 dB.*28\.00\.\.39\.00 dB"):
        bd_rate(apart, ANCHOR)
    with pytest.raises(InvalidInputError, match="spline.*pchip"):
        bd_rate(TEST, ANCHOR, "spline")  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "fewest"), [("pchip", 2), ("akima", 3), ("cubic", 4)])
def test_fewest_points(method: Method, fewest: int) -> None:
    def first(points: int) -> Curve:
        return Curve("short", ANCHOR.rates[:points], ANCHOR.values[:points], "psnr-rgb")

    assert bd_rate(first(fewest), ANCHOR, method).test_points == fewest
    with pytest.raises(InvalidInputError, match=f"short.*{fewest} points"):
        bd_rate(first(fewest - 1), ANCHOR, method)


def test_warnings_name_the_doubtful() -> None:
    doubtful = Curve("doubtful", (0.1, 0.3, 0.25, 0.25, 0.9), (20, 30, 31, 30, 31.5), "psnr-rgb")
    short = Curve("short", ANCHOR.rates[:3], ANCHOR.values[:3], "psnr-rgb")
    text = "\n".join(bd_rate(doubtful, short).warnings)
    assert "doubtful: two points at 30.00 dB, the dearer left out" in text
    assert "doubtful: the rate does not rise from 30.00 dB to 31.00 dB" in text
    assert "doubtful: only 30 % of its range is compared" in text
    assert "short: 3 points" in text


def test_the_cheaper_of_two_points_of_one_quality_counts() -> None:
    doubled = Curve("test", (*TEST.rates, 3.0), (*TEST.values, 34.5), "psnr-rgb")
    result = bd_rate(doubled, ANCHOR)
    assert result.value_percent == bd_rate(TEST, ANCHOR).value_percent
    assert result.test_points == 6


def test_description() -> None:
    result = bd_rate(TEST, ANCHOR)
    assert describe(result) == (
        f"BD-rate {result.value_percent:+.2f} % (psnr-rgb, pchip; 6 against 5 points; "
        "overlap 28.00..39.00 dB = 85 % of the test's range)"
    )
    short = Curve("short", ANCHOR.rates[:3], ANCHOR.values[:3], "psnr-rgb")
    assert describe(bd_rate(short, ANCHOR)).splitlines()[1].startswith("note: short: 3 points")


def test_description_of_ms_ssim_has_no_unit() -> None:
    curve = Curve("x", (1, 2, 3, 4), (0.9, 0.93, 0.95, 0.96), "ms-ssim-rgb")
    assert "overlap 0.9000..0.9600 = 100 %" in describe(bd_rate(curve, curve))


@needs_data
@pytest.mark.parametrize(
    ("file", "percent"),
    [
        ("compressai-bmshj2018-factorized_mse_cuda", 68.10),
        ("compressai-bmshj2018-hyperprior_mse_cuda", 30.49),
        ("compressai-mbt2018_mse_cuda", 11.02),
        ("paper-elic2022_mse", -7.02),
        ("jpeg", 208.49),
        ("webp", 78.75),
        ("bpg_444_x265_ycbcr", 21.99),
    ],
)
def test_published_results_against_vtm(file: str, percent: float) -> None:
    folder = Path(os.environ["KODEC_DATA"]) / "results/compressai/image/kodak"
    test = read_results(folder / f"{file}.json").curve("psnr-rgb")
    anchor = read_results(folder / "vtm.json").curve("psnr-rgb")
    assert bd_rate(test, anchor).value_percent == pytest.approx(percent, abs=0.01)
    for method in METHODS:
        expected = reference_bd_rate(test, anchor, method)
        assert bd_rate(test, anchor, method).value_percent == pytest.approx(expected, abs=1e-3)


def reference_bd_quality(test: Curve, anchor: Curve) -> float:
    """The mean over 200,001 samples of the logarithm of rate, by the pchip written out above."""
    logs = [np.log(np.asarray(curve.rates)) for curve in (test, anchor)]
    at = np.linspace(max(log.min() for log in logs), min(log.max() for log in logs), 200_001)
    curves = [
        pchip(log, np.asarray(curve.values, dtype=np.float64), at)
        for log, curve in zip(logs, (test, anchor), strict=True)
    ]
    difference = curves[0] - curves[1]
    return float((difference.sum() - (difference[0] + difference[-1]) / 2) / (len(at) - 1))


def test_bd_quality_agrees_with_an_independent_computation() -> None:
    result = bd_quality(TEST, ANCHOR)
    assert result.value == pytest.approx(reference_bd_quality(TEST, ANCHOR), abs=1e-6)
    assert (result.overlap, result.rate_unit) == ((0.13, 1.3), "bpp")


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_gain_is_the_bd_quality(method: Method) -> None:
    better = replace(ANCHOR, values=tuple(value + 1.5 for value in ANCHOR.values))
    assert bd_quality(better, ANCHOR, method).value == pytest.approx(1.5, abs=1e-6)
    worse = replace(
        ANCHOR, metric="lpips", values=tuple(value / 10 for value in ANCHOR.values[::-1])
    )
    lower = replace(worse, values=tuple(value - 0.5 for value in worse.values))
    assert bd_quality(lower, worse, method).value == pytest.approx(-0.5, abs=1e-6)


def test_lower_is_better_for_lpips() -> None:
    values = (0.4, 0.3, 0.25, 0.15, 0.1)
    anchor = replace(ANCHOR, metric="lpips", values=values)
    half = replace(anchor, rates=tuple(rate / 2 for rate in anchor.rates))
    result = bd_rate(half, anchor)
    assert result.value_percent == pytest.approx(-50)
    assert result.overlap == (0.1, 0.4) and result.monotonic and result.warnings == ()


def test_overlap_below_a_fifth_is_refused_unless_forced() -> None:
    high = Curve("high", (1.2, 2, 3, 4), (38, 40, 42, 44), "psnr-rgb")
    with pytest.raises(InvalidInputError, match=r"38\.00\.\.39\.00 dB only, 17 % .*9 %.*--force"):
        bd_rate(high, ANCHOR)
    forced = bd_rate(high, ANCHOR, force=True)
    assert forced.warnings[0].startswith("forced: the curves overlap in 38.00..39.00 dB only")
    # A narrow curve within a wide one overlaps wholly, which is no reason to refuse.
    narrow = Curve("narrow", (0.3, 0.35, 0.4, 0.45), (32, 32.5, 33, 33.5), "psnr-rgb")
    assert bd_rate(narrow, ANCHOR).test_fraction == 1
    assert bd_rate(ANCHOR, narrow).anchor_fraction == 1


def test_rates_of_different_units_and_frame_rates() -> None:
    known = replace(ANCHOR, rate_unit="kbps", size=(100, 50), fps=10.0)
    bpp = replace(ANCHOR, rates=tuple(rate * 1000 / 50_000 for rate in ANCHOR.rates))
    assert bd_rate(known, bpp).value_percent == pytest.approx(0, abs=1e-9)
    unknown = replace(ANCHOR, rate_unit="kbps")
    with pytest.raises(InvalidInputError, match="in kbps, those of anchor in bpp.*--size WxH"):
        bd_rate(unknown, bpp)
    # The one in bpp states what it takes to bring both to kbps.
    stated = replace(bpp, size=(100, 50), fps=10.0)
    assert bd_rate(unknown, stated).value_percent == pytest.approx(0, abs=1e-9)
    assert "taken to be at one frame rate" in bd_rate(unknown, unknown).warnings[0]
    twice = replace(ANCHOR, rate_unit="kbps", fps=20.0)
    once = replace(ANCHOR, rate_unit="kbps", fps=10.0)
    with pytest.raises(
        InvalidInputError, match="20 frames a second.*10: their kbps do not compare"
    ):
        bd_rate(twice, once)


def test_what_differs_beside_the_codec_is_said() -> None:
    test = replace(TEST, frames=48, averaging="mean over frames")
    anchor = replace(ANCHOR, frames=32, averaging="from the mean MSE over frames")
    warnings = "\n".join(bd_rate(test, anchor).warnings)
    assert "differ in frames: 48 and 32" in warnings and "averaged differently" in warnings


def saturated(name: str, rates: tuple[float, ...], values: tuple[float, ...]) -> Curve:
    return Curve(name, rates, values, "vmaf", "kbps", fps=50)


def test_a_fitted_curve_that_turns_between_its_points_is_said() -> None:
    new = saturated("new", (2054.35, 3067.89, 4000, 5096), (97.1181, 99.66744, 99.94996, 99.98146))
    ref = saturated("ref", (2014.65, 3014.7, 4012, 5012), (96.622, 99.51432, 99.91607, 99.97751))
    text = "\n".join(bd_rate(new, ref, "cubic").warnings)
    assert "new: the cubic fitted to its points turns: the rate falls within 98.01..99.79" in text
    assert "ref: the cubic" in text and "Don't trust the BD-rate; pchip does not turn" in text
    assert "new: the akima fitted" in "\n".join(bd_rate(new, ref, "akima").warnings)
    assert bd_rate(new, ref).warnings == ()
    for method in METHODS:
        assert not any("turns" in warning for warning in bd_rate(TEST, ANCHOR, method).warnings)
        assert bd_quality(TEST, ANCHOR, method).warnings == ()
    # Of distances the quality that the curves are fitted to is the negative.
    worse = replace(new, values=tuple(100 - v for v in new.values), metric="lpips")
    text = "\n".join(bd_rate(worse, worse, "cubic").warnings)
    assert "the rate falls within 0.2" in text


def test_a_quality_that_turns_over_rate_is_said() -> None:
    steep = saturated("steep", (100, 101, 102, 4000), (50, 80, 90, 91))
    (warning, *_) = bd_quality(steep, steep, "cubic").warnings
    assert "steep: the cubic fitted to its points over rate turns within 10" in warning
    assert bd_quality(steep, steep).warnings == ()
    falling = replace(steep, metric="lpips", values=(0.5, 0.2, 0.1, 0.09))
    assert bd_quality(falling, falling, "cubic").warnings
