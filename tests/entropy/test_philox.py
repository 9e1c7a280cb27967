"""Random numbers that both sides draw: known answers, and nothing else decides a bit."""

import statistics
import zlib

import numpy as np
import pytest

from kodec.entropy.philox import Philox, normal_quantiles, philox
from kodec.native import InvalidInputError


def test_the_known_answers_of_random123() -> None:
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
    answers = [
        ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (*pi, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ]
    for counter, key, answer in answers:
        assert tuple(philox(np.array(counter, np.uint32), key).tolist()) == answer


def test_quantiles_are_the_nearest_float32_to_the_normals() -> None:
    table = normal_quantiles()
    assert table.shape == (65536,) and table.dtype == np.float32
    normal = statistics.NormalDist()
    places = np.arange(0, 65536, 37)
    exact = np.array([normal.inv_cdf((i + 0.5) / 65536) for i in places.tolist()])
    assert np.array_equal(table[places], exact.astype(np.float32))
    assert np.array_equal(table, -table[::-1]) and (np.diff(table) > 0).all()
    # The whole of it: what a file's indexes stand for on every machine.
    assert zlib.crc32(table.astype("<f4").tobytes()) == 0x1296E3AD


def test_a_number_depends_on_its_place_alone() -> None:
    random = Philox(7, 3)
    many = random.normals(np.arange(100), 21)
    assert np.array_equal(random.normals(np.array([63, 5]), 21), many[[63, 5]])
    assert np.array_equal(random.normals(np.arange(100), 8), many[:, :8])
    assert np.array_equal(
        Philox(7, 3).orders(np.array([2]), 9)[0], random.orders(np.arange(4), 9)[2]
    )
    for other in (Philox(8, 3), Philox(7, 4)):
        assert not np.array_equal(other.normals(np.arange(100), 21), many)
    assert abs(float(many.mean())) < 0.1 and abs(float(many.std()) - 1) < 0.05


def test_orders_are_permutations_and_every_one_turns_up() -> None:
    orders = Philox(1, 0).orders(np.arange(3000), 4)
    assert np.array_equal(np.sort(orders, 1), np.tile(np.arange(4), (3000, 1)))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24 and counts.min() > 80 and counts.max() < 175
    assert Philox(1, 0).orders(np.arange(2), 1).tolist() == [[0], [0]]


def test_uniforms_are_inside_of_0_and_1() -> None:
    values = Philox(2, 5).uniforms(np.arange(10), 1000)
    assert 0 < values.min() < 0.01 and 0.99 < values.max() < 1


@pytest.mark.parametrize("place", [(-1, 0), (0, 1 << 32)])
def test_keys_are_words(place: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="2\\^32"):
        Philox(*place)
