from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.eval import psnr
from kodec.eval.report import Entry, PictureChoice, read_entries, show_crops
from kodec.native import InvalidInputError, UnsupportedError
from reported_results import write_curve

SIDE = 64


class Doubling:
    """A codec whose files double with every 10 steps of quality, as the results' rates do, and are
    `factor` times as large."""

    def __init__(self, factor: float = 1, falling: bool = False) -> None:
        self.name = "doubling"
        self.factor, self.falling = factor, falling
        self._picture: NDArray[np.uint8] = np.zeros((1, 1, 3), np.uint8)

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        assert quality is not None
        self._picture = image
        steps = 50 - quality if self.falling else quality
        return bytes([quality]) * round(51.2 * self.factor * 2 ** (steps / 10))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        # The better the quality, the fewer dark pixels are lost.
        return np.maximum(self._picture, 250 - data[0])


@pytest.fixture
def picture(save_picture: Callable[..., Path]) -> Path:
    return save_picture("a.png", SIDE, SIDE)


def entries(tmp_path: Path) -> list[Entry]:
    folder = tmp_path / "results"
    folder.mkdir()
    found, _ = read_entries(
        [
            write_curve(folder, "first", pictures=("a.png",)),
            write_curve(folder, "second", pictures=("a.png",)),
            write_curve(folder, "absent", pictures=("a.png",)),
            write_curve(folder, "other", pictures=("b.png",)),
        ]
    )
    return found


def test_codecs_are_matched_to_the_first_ones_rate(picture: Path, tmp_path: Path) -> None:
    first, second = Doubling(), Doubling(0.7)

    def find(entry: Entry) -> Doubling:
        if entry.name == "absent":
            raise UnsupportedError("not on this machine")
        return first if entry.name == "first" else second

    (shown,) = show_crops(entries(tmp_path), [PictureChoice(picture)], 0.75, find)
    # The measured rate nearest to 0.75, as a ratio, is 0.8.
    assert shown.target_bpp == 0.8
    assert shown.place == (0, 0, SIDE, SIDE)
    one, two = shown.crops
    # 0.8 bpp of 64x64 pixels are 410 bytes.
    assert (one.quality, one.bpp) == (30, 8 * 410 / SIDE**2)
    # The second has become smaller since its results were written: 35 comes nearest.
    assert (two.quality, two.bpp) == (35, 8 * 405 / SIDE**2)
    assert one.psnr == pytest.approx(psnr(shown.original, one.pixels))
    assert dict(shown.left_out) == {
        "absent": "not on this machine",
        "other": "its results have no row of a.png",
    }


def test_quality_that_falls_with_rate_is_matched_too(picture: Path, tmp_path: Path) -> None:
    steady, chosen = entries(tmp_path)[:2]
    rows = tuple(
        replace(row, quality=50 - row.quality) for row in chosen.rows if row.quality is not None
    )
    falling = replace(chosen, rows=rows)
    shown = show_crops(
        [steady, falling],
        [PictureChoice(picture)],
        0.8,
        lambda entry: Doubling(0.7, falling=True) if entry is falling else Doubling(),
    )
    # 410 bytes of the steady one; of the other, 51.2 * 0.7 * 2 ** 3.5.
    assert shown[0].crops[1].quality == 15
    assert shown[0].crops[1].bpp == pytest.approx(8 * 405 / SIDE**2)


def test_details_that_leave_the_picture_are_refused(picture: Path, tmp_path: Path) -> None:
    choice = PictureChoice(picture, (1, 0))
    with pytest.raises(InvalidInputError, match="leaves the picture of 64x64"):
        show_crops(entries(tmp_path), [choice], 0.3, lambda _: Doubling())


def test_a_file_that_differs_from_the_results_is_remarked_on(picture: Path, tmp_path: Path) -> None:
    chosen = entries(tmp_path)[:1]
    # At the lowest rate nothing encloses the target, so the measured quality is taken.
    (shown,) = show_crops(chosen, [PictureChoice(picture)], 0.01, lambda _: Doubling(2))
    assert shown.crops[0].quality == 10
    assert shown.crops[0].remark == "205 bytes now, 102 in the results"
