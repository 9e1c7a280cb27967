import numpy as np
import pytest

from kodec.codecs.video_files.colour_conversion import (
    doubled,
    halved,
    quantised,
    rgb_to_yuv,
    yuv_to_rgb,
)

COLOURS = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)


def test_full_range_bt709_of_pure_colours() -> None:
    y, u, v = np.moveaxis(rgb_to_yuv(COLOURS), 2, 0)[:, 0]
    assert y == pytest.approx([255, 0, 0.2126 * 255, 0.7152 * 255, 0.0722 * 255])
    # Chroma's extremes are half the range to either side of its middle.
    assert u[:2] == pytest.approx([128, 128]) and v[:2] == pytest.approx([128, 128])
    assert u[4] == pytest.approx(128 + 127.5) and v[2] == pytest.approx(128 + 127.5)


def test_limited_range_has_head_and_footroom() -> None:
    yuv = rgb_to_yuv(COLOURS, "bt601", full_range=False)[0]
    assert yuv[:2, 0] == pytest.approx([235, 16])
    assert yuv[4, 1] == pytest.approx(240) and yuv[2, 2] == pytest.approx(240)
    ten = rgb_to_yuv(COLOURS, "bt601", full_range=False, bit_depth=10)[0]
    assert ten == pytest.approx(4 * yuv)


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("full_range", [True, False])
def test_conversion_is_undone(matrix: str, full_range: bool) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (16, 17, 3), dtype=np.uint8)
    yuv = rgb_to_yuv(rgb, matrix, full_range)  # type: ignore[arg-type]
    assert np.array_equal(yuv_to_rgb(yuv, matrix, full_range), rgb)  # type: ignore[arg-type]
    ten = quantised(rgb_to_yuv(rgb, matrix, full_range, 10), 10)  # type: ignore[arg-type]
    assert ten.dtype == np.uint16
    back = yuv_to_rgb(ten, matrix, full_range, 10)  # type: ignore[arg-type]
    assert np.abs(back.astype(int) - rgb).max() <= 1


def test_rounding_clips() -> None:
    assert quantised(np.array([[-3.0, 1.5, 2.5, 300.0]]), 8).tolist() == [[0, 2, 2, 255]]


def test_chroma_is_sited_at_the_centre_both_ways() -> None:
    ramp = np.add.outer(np.arange(8.0), 10 * np.arange(6.0))
    half = halved(ramp)
    assert half[0, 0] == ramp[:2, :2].mean()
    # A ramp comes back where both neighbours exist.
    assert doubled(half)[1:-1, 1:-1] == pytest.approx(ramp[1:-1, 1:-1])
    assert doubled(np.full((2, 3), 7)) == pytest.approx(np.full((4, 6), 7.0))
