"""Block motion: what moved is found, predictions are as they should be, and the same everywhere."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.native import InvalidInputError, simd
from kodec.native.motion import average, compensate, luma, search

Plane = NDArray[np.uint8]
TAPS = [
    [0, 0, 0, 64, 0, 0, 0, 0],
    [-1, 4, -10, 58, 17, -5, 1, 0],
    [-1, 4, -11, 40, 40, -11, 4, -1],
    [0, 1, -5, 17, 58, -10, 4, -1],
]
SIZES = [(1, 1), (3, 50), (17, 16), (33, 71)]


def smooth(height: int, width: int, down: float = 0, right: float = 0) -> Plane:
    """Waves that no two places share, seen from so many pixels further down and right."""
    y, x = np.mgrid[:height, :width] + np.array([down, right])[:, None, None]
    waves = [(0.31, 0.05, 0.3), (-0.11, 0.27, 1.1), (0.06, -0.09, 2.0), (0.19, 0.23, 0.0)]
    total = sum(np.sin(a * y + b * x + c) for a, b, c in waves)
    return np.asarray(np.rint(128 + 28 * total), np.uint8)


def random_planes(*shape: int, seed: int = 0) -> Plane:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def cells(height: int, width: int, cell: int = 8) -> tuple[int, int, int]:
    return -(-height // 16) * (16 // cell), -(-width // 16) * (16 // cell), 2


def uniform(height: int, width: int, down: int, right: int, cell: int = 8) -> NDArray[np.int16]:
    return np.full(cells(height, width, cell), (down, right), np.int16)


def shifted(plane: Plane, down: int, right: int) -> Plane:
    """By quarters of a pixel: filtered along rows and columns, rounded once, with a long border."""
    sums = plane.astype(np.int64)
    for axis, quarters in ((1, right), (0, down)):
        places = np.arange(sums.shape[axis]) + (quarters >> 2) - 3
        parts = [
            tap * sums.take((places + k).clip(0, sums.shape[axis] - 1), axis)
            for k, tap in enumerate(TAPS[quarters & 3])
        ]
        sums = np.add.reduce(parts)
    return np.asarray(((sums + 2048) >> 12).clip(0, 255), np.uint8)


def levels(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The instruction sets of this machine, one by one."""
    for name in ("scalar", "avx2", "avx512"):
        monkeypatch.setenv("KODEC_SIMD", name)
        try:
            simd()
        except InvalidInputError:
            continue
        yield name


@pytest.mark.parametrize(
    "quarters", [(0, 0), (12, -20), (-28, 4), (1, 0), (-6, 3), (5, 14), (-11, -7)]
)
def test_a_translation_is_found_exactly(quarters: tuple[int, int]) -> None:
    down, right = quarters
    reference = smooth(112, 144)
    current = smooth(112, 144, down / 4, right / 4)
    vectors, splits = search(current, reference)
    # Blocks whose match lies within the picture.
    assert (vectors[2:-2, 2:-2] == quarters).all()
    assert (splits[1:-1, 1:-1] == 0).all()
    whole, _ = search(current, reference, precision=1)
    assert (whole % 4 == 0).all()
    if down % 4 == right % 4 == 0:
        assert (whole[2:-2, 2:-2] == quarters).all()


@pytest.mark.parametrize(
    ("split", "upper_left"),
    [(1, np.s_[:8, :]), (2, np.s_[:, :8]), (3, np.s_[:8, :8])],
    ids=["rows", "columns", "quarters"],
)
def test_a_block_of_two_motions_is_divided(split: int, upper_left: Any) -> None:
    reference = smooth(48, 48)
    moved = {motion: shifted(reference, *motion) for motion in [(8, 0), (-4, 12)]}
    current = moved[8, 0].copy()
    block = np.s_[16:32, 16:32]
    current[block][upper_left] = moved[-4, 12][block][upper_left]
    vectors, splits = search(current, reference, bit_cost=16)
    assert splits[1, 1] == split
    assert tuple(vectors[2, 2]) == (-4, 12)
    assert tuple(vectors[3, 3]) == (8, 0)
    assert (search(current, reference, splits=False)[1] == 0).all()


def test_dear_bits_leave_vectors_alike() -> None:
    reference, current = random_planes(64, 64) // 64, random_planes(64, 64, seed=1) // 64
    cheap, divided = search(current, reference, bit_cost=0)
    dear, splits = search(current, reference, bit_cost=16384)
    assert len(np.unique(cheap.reshape(-1, 2), axis=0)) > 16 and divided.any()
    assert not dear.any() and not splits.any()


def test_vectors_stay_within_reach_and_near_the_picture() -> None:
    reference, current = random_planes(40, 56), random_planes(40, 56, seed=1)
    assert abs(search(current, reference, bit_cost=0, reach=2)[0]).max() <= 8
    vectors, _ = search(current, reference, bit_cost=0, reach=2047)
    y, x = np.mgrid[: vectors.shape[0], : vectors.shape[1]] // 2 * 64
    assert (vectors[..., 0] + y >= -96).all() and (vectors[..., 0] + y <= 4 * 48).all()
    assert (vectors[..., 1] + x >= -96).all() and (vectors[..., 1] + x <= 4 * 64).all()


def test_a_hint_leads_to_what_hexagons_do_not_find() -> None:
    reference = random_planes(96, 112)
    current = shifted(reference, 4 * 21, -4 * 30)
    lost, _ = search(current, reference)
    assert not (lost == (4 * 21, -4 * 30)).all(-1).any()
    hints = np.stack([uniform(96, 112, 32767, -32768), uniform(96, 112, 4 * 21, -4 * 30)])
    found, _ = search(current, reference, hints=hints)
    assert (found[:6, 8:] == (4 * 21, -4 * 30)).all()
    none, _ = search(current, reference, hints=hints[:0])
    assert np.array_equal(none, lost)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [8, 16])
@pytest.mark.parametrize("overlap", [False, True])
def test_compensation_by_one_vector(size: tuple[int, int], cell: int, overlap: bool) -> None:
    planes = random_planes(2, *size)
    for motion in [(0, 0), (7, -9), (-66, 81), (-32768, 32767)]:
        found = compensate(planes, uniform(*size, *motion, cell), cell, overlap)
        expected = np.stack([shifted(plane, *motion) for plane in planes])
        assert np.array_equal(found, expected)


def test_overlapping_cells_fade_into_each_other() -> None:
    planes = np.full((1, 32, 32), 16, np.uint8)
    planes[:, :, 24:] = 48
    vectors = uniform(32, 32, 0, 0)
    vectors[:, 1:] = (0, 4 * 100)
    row = compensate(planes, vectors)[0, 9]
    assert row[:4].tolist() == [16] * 4 and row[12:].tolist() == [48] * 20
    assert row[4:12].tolist() == [16 + 2 * weight for weight in (0, 1, 4, 6, 10, 12, 15, 16)]
    assert compensate(planes, vectors, overlap=False)[0, 9].tolist() == [16] * 8 + [48] * 24
    # Alike along columns.
    turned = compensate(
        np.ascontiguousarray(planes.transpose(0, 2, 1)),
        np.ascontiguousarray(vectors.transpose(1, 0, 2)[..., ::-1]),
    )
    assert turned[0, :, 9].tolist() == row.tolist()


@pytest.mark.parametrize("size", SIZES)
def test_everywhere_the_same(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reference = random_planes(3, *size)
    current = compensate(reference, uniform(*size, 9, -14))
    hostile = np.random.default_rng(3).integers(-(2**15), 2**15, cells(*size), dtype=np.int16)
    found: list[list[NDArray[Any]]] = []
    for _ in levels(monkeypatch):
        for threads in (1, 2, 5):
            vectors, splits = search(current[0], reference[0], bit_cost=10, threads=threads)
            predictions = [
                compensate(reference, field, threads=threads, overlap=overlap)
                for field in (vectors, hostile)
                for overlap in (False, True)
            ]
            found.append([vectors, splits, *predictions, average(predictions[1], predictions[3])])
    assert len(found) >= 3
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_average_and_luma() -> None:
    a, b = random_planes(2, 5, 77), random_planes(2, 5, 77, seed=1)
    assert np.array_equal(average(a, b), ((a.astype(int) + b + 1) // 2).astype(np.uint8))
    assert average(a[:0], b[:0]).shape == (0, 5, 77)
    rgb = random_planes(3, 4, 9)
    expected = (
        54 * rgb[0].astype(int) + 183 * rgb[1].astype(int) + 19 * rgb[2].astype(int) + 128
    ) >> 8
    assert np.array_equal(luma(rgb), expected.astype(np.uint8))


def test_what_makes_no_sense_is_refused() -> None:
    picture, planes = random_planes(20, 30), random_planes(1, 20, 30)
    vectors = uniform(20, 30, 0, 0)
    searches: list[tuple[dict[str, Any], str]] = [
        ({"current": planes}, "current must have 2 dimensions"),
        ({"reference": picture.astype(np.int16)}, "reference must be of type uint8"),
        ({"current": picture[:, ::2]}, "current must be contiguous"),
        ({"current": picture[1:]}, "one shape"),
        ({"current": picture[:0], "reference": picture[:0]}, "a pixel at least"),
        ({"bit_cost": -1}, "bit_cost must be 0 to 16384"),
        ({"bit_cost": 2**40}, "bit_cost is out of range"),
        ({"reach": 0}, "reach must be 1 to 2047"),
        ({"reach": 2048}, "reach must be 1 to 2047"),
        ({"precision": 3}, "precision must be 1, 2 or 4"),
        ({"threads": 0}, "threads must be 1 to 1024"),
        ({"threads": None}, "threads must be an integer"),
        ({"hints": vectors[None, :2]}, "hints must be fields"),
        ({"hints": vectors}, "hints must have 4 dimensions"),
    ]
    for changes, message in searches:
        with pytest.raises(InvalidInputError, match=message):
            search(**{"current": picture, "reference": picture, **changes})
    long = np.zeros((1, 2**15 + 1), np.uint8)
    with pytest.raises(InvalidInputError, match="sides must be at most 32768"):
        search(long, long)
    compensations: list[tuple[dict[str, Any], str]] = [
        ({"planes": picture}, "planes must have 3 dimensions"),
        ({"planes": planes[..., :0]}, "a pixel at least"),
        ({"planes": planes[:0]}, "a plane"),
        ({"vectors": vectors.astype(np.int32)}, "vectors must be of type int16"),
        ({"vectors": vectors[:3]}, "two numbers for each cell"),
        ({"vectors": vectors, "cell": 16}, "two numbers for each cell"),
        ({"vectors": np.zeros((4, 4, 3), np.int16)}, "two numbers for each cell"),
        ({"cell": 4}, "cell must be 8 or 16"),
        ({"threads": 1025}, "threads must be 1 to 1024"),
    ]
    for changes, message in compensations:
        with pytest.raises(InvalidInputError, match=message):
            compensate(**{"planes": planes, "vectors": vectors, **changes})
    with pytest.raises(InvalidInputError, match="one shape"):
        average(planes, planes[:, 1:])
    with pytest.raises(InvalidInputError, match="three planes"):
        luma(planes)
