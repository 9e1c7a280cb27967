import math

import pytest

from kodec.eval.metrics.metric_names import (
    METRICS,
    PREFERENCE,
    exact_name,
    find_metric,
    linear_form,
    mean_value,
    normal_spelling,
    preferred,
)
from kodec.native import InvalidInputError


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("psnr", "psnr-rgb"),
        ("PSNR (dB)", "psnr-rgb"),
        ("psnr_rgb", "psnr-rgb"),
        ("Y-PSNR", "psnr-y"),
        ("psnr_y[dB]", "psnr-y"),
        ("PSNR-Cb", "psnr-u"),
        ("V PSNR", "psnr-v"),
        ("psnr-yuv-6:1:1", "psnr-yuv-611"),
        ("MS-SSIM", "ms-ssim-rgb"),
        ("msssim_rgb", "ms-ssim-rgb"),
        ("MSSSIM-Y", "ms-ssim-y"),
        ("ms_ssim_db", "ms-ssim-db-rgb"),
        ("ms-ssim-rgb-db", "ms-ssim-db-rgb"),
        ("avg_psnr_y", "psnr-y"),
        ("VMAF", "vmaf"),
        ("LPIPS", "lpips"),
        # Not one metric, or not one known here.
        ("psnr-yuv", None),
        ("YUV-PSNR", None),
        ("Y-WPSNR", None),
        ("Y-WSPSNR", None),
        ("xY-PSNR", None),
        ("SSIM", None),
        ("loss", None),
        ("", None),
    ],
)
def test_spellings(spelling: str, name: str | None) -> None:
    assert exact_name(spelling) == name


@pytest.mark.parametrize("name", METRICS)
def test_exact_names_are_their_own_spelling(name: str) -> None:
    assert normal_spelling(name) == exact_name(name) == name
    assert normal_spelling(name.upper().replace("-", "_")) == name
    metric = find_metric(name)
    assert metric.meaning and metric.axis.startswith(metric.label)


def test_unknown_and_ambiguous_names() -> None:
    with pytest.raises(InvalidInputError, match="say psnr-yuv-611, psnr-yuv-411 or"):
        find_metric("psnr-yuv")
    with pytest.raises(InvalidInputError, match="no metric 'psnr-x'; the names are psnr-rgb"):
        find_metric("psnr-x")


def test_only_distances_are_better_when_lower() -> None:
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["lpips"]
    assert find_metric("psnr-y").show(30) == "30.00 dB"
    assert find_metric("ms-ssim-rgb").show_range(0.9, 0.95) == "0.9000..0.9500"


def test_preference() -> None:
    assert set(PREFERENCE) <= set(METRICS)
    assert preferred(["vmaf", "psnr-y", "psnr-rgb"]) == "psnr-rgb"
    assert preferred(["vmaf", "lpips"]) == "vmaf"
    assert preferred([]) is None


def test_decibels_are_averaged_by_what_they_are_decibels_of() -> None:
    assert linear_form("ms-ssim-db-rgb") == "ms-ssim-rgb" and linear_form("psnr-rgb") is None
    # 0.9 and 0.99: their mean, 0.945, is 12.6 dB, though 10 and 20 dB have the mean 15.
    mean = mean_value("ms-ssim-db-rgb", [10, 20], [1, 1])
    assert mean == pytest.approx(-10 * math.log10(1 - 0.945))
    assert mean_value("psnr-rgb", [30, 40], [3, 1]) == 32.5
