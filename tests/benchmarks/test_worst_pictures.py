"""Ranking of pictures, and where their details are cut."""

import numpy as np

from kodec.eval import ImageRow, Results
from worst_pictures import avif_of, most_above, worst


def results(name: str, rates: dict[str, float]) -> Results:
    """PSNR rises with the rate alike for all; a picture takes `rates` times as many bits."""
    rows = [
        ImageRow(
            image, 8, 64, 64, int(512 * bpp * more), bpp * more, {"psnr-rgb": 30 + 5 * at}, 0, 0
        )
        for image, more in rates.items()
        for at, bpp in enumerate((0.1, 0.2, 0.4, 0.8))
    ]
    return Results(name, "", {"bpp": [], "psnr-rgb": []}, per_image=rows)


def test_the_worst_picture_comes_first() -> None:
    ours, theirs = {"a": 1.0, "b": 1.2, "c": 0.9}, {"a": 1.0, "b": 1.0, "c": 1.0}
    ranked = worst(results("ours", ours), results("theirs", theirs))
    assert [name for _, name in ranked] == ["b", "a", "c"]
    assert np.allclose([rate for rate, _ in ranked], [20, 0, -10], atol=1e-6)


def test_details_are_where_errors_are_above() -> None:
    errors = np.zeros((96, 128))
    errors[50:60, 70:90] = 2.0
    errors[0:16, 0:16] = -9.0
    y, x = most_above(errors, 48)
    assert y <= 50 and y + 48 >= 60 and x <= 70 and x + 48 >= 90


def test_the_other_file_is_not_larger() -> None:
    """What AVIF decodes of at most so many bytes is better with more of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    made = [avif_of(pixels, most).astype(float) for most in (1000, 4000)]
    few, many = (float(np.square(picture - pixels).mean()) for picture in made)
    assert many < 0.9 * few
