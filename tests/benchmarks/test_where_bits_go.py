"""What the tables of bits and errors are made of."""

import io

import numpy as np
import pytest
from PIL import Image

from bit_tables import at_payload, entropy, folded, grouped
from kodec.native import InvalidInputError
from where_bits_go import bands, payload, places


def test_entropy_of_frequencies() -> None:
    counts = np.array([[500.0, 0, 500], [0, 1000, 0], [250, 500, 250]])
    found = entropy(counts)
    # And half a nat a free entry, for having been fitted.
    fitted = np.array([1, 0, 2]) / (2 * np.log(2))
    assert found == pytest.approx(np.array([1000, 0, 1500]) + fitted)
    assert folded(np.array([3.0, 5, 1])).tolist() == [2, 5, 2]


def test_bands_keep_the_energy_and_know_frequencies() -> None:
    x = np.random.default_rng(0).normal(size=(32, 48, 3))
    assert bands(x).sum() == pytest.approx(np.square(x).sum())
    wave = np.cos(np.pi * (2 * np.arange(32) + 1) * 3 / 32)
    found = grouped(bands(np.broadcast_to(wave[:, None, None], (32, 48, 3)).copy()))
    assert found[0, 3] == pytest.approx(found.sum())


def test_kinds_of_place() -> None:
    pixels = np.full((64, 64, 3), 40.0)
    pixels[:, :16] = 200
    kinds = places(pixels)
    assert (kinds[:, 16] == 3).all() and (kinds[:, 22] == 1).all() and (kinds[:, 40:] == 0).all()


def test_figures_between_two_payloads() -> None:
    points = [{"bits": 100, "error": 64.0}, {"bits": 400, "error": 16.0}]
    assert at_payload(points, 200, lambda p: np.asarray(p["error"])) == pytest.approx(32)
    assert at_payload(points, 99, lambda p: np.asarray(p["error"])) is None


def test_payload_of_boxes() -> None:
    assert payload(b"\0\0\0\x0cftypavif\0\0\0\x0bmdatabc") == 3
    with pytest.raises(InvalidInputError, match="a box of another kind"):
        payload(b"\0\0\0\x01ftypavif")
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "AVIF")
    assert 0 < payload(file.getvalue()) < len(file.getvalue())
