"""What the estimate of window switching is made of."""

import numpy as np
import pytest
import torch

from window_switching import by_area, code_lengths, map_bits, quantised, shifted, spectra


def test_spectra_keep_the_energy_and_smaller_blocks_the_place() -> None:
    x = torch.full((1, 3, 64, 64), 0.5)
    x[..., 21, 27] = 1.0
    energy = 3 * 127.5**2
    for window, block in ((16, 16), (8, 8), (16, 8), (16, 4)):
        y = spectra(x, window, block)
        assert y.shape == (1, 3, 64 // block, 64 // block, block, block)
        assert np.square(y).sum() == pytest.approx(energy)
        assert by_area(np.square(y), block).shape == (1, 4, 4)


def test_dead_zone_and_neighbours() -> None:
    assert quantised(np.array([6.9, 7.1, -7.1, 17.1]), 10.0).tolist() == [0, 1, -1, 2]
    assert shifted(np.array([[1.0, 2, 3]]), 1).tolist() == [[0, 1, 2]]


def test_code_lengths_are_those_of_what_is_counted() -> None:
    symbols = np.array([0, 0, 0, 1, 5, 5])
    kind = np.array([0, 0, 0, 0, 1, 1])
    bits = code_lengths(symbols, kind, np.array([True, True, True, True, False, False]))
    assert bits[0] == pytest.approx(-np.log2(3 / 4), abs=0.3)
    assert bits[3] == pytest.approx(-np.log2(1 / 4) + 1, abs=0.3)
    assert bits[4] > 4


def test_a_map_of_one_choice_costs_little() -> None:
    one = np.zeros((1, 16, 16), dtype=np.int64)
    assert map_bits(one, 2).sum() < 10
    noise = np.random.default_rng(0).integers(0, 2, (1, 16, 16))
    assert map_bits(noise, 2).mean() > 0.9
