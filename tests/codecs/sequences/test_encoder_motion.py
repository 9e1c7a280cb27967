"""What the encoder looks at besides blocks one by one: shifts of all, still blocks, overlaps."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.codecs.sequences.dominant_shifts import dominant_shifts
from kodec.codecs.sequences.motion_fields import MotionCoder, MotionField
from kodec.codecs.sequences.refined_vectors import refine_vectors
from kodec.codecs.sequences.still_blocks import leave_still
from kodec.codecs.sequences.vector_bits import VectorBits
from kodec.entropy import CountedTables, RateMeter
from kodec.native.motion import compensate, search

Plane = NDArray[np.uint8]


def ground(height: int, width: int) -> Plane:
    return np.random.default_rng(5).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("down, right", [(0, 0), (9, -21), (-40, 33)])
def test_the_shift_of_a_picture_is_the_first(down: int, right: int) -> None:
    whole = ground(280, 320)
    reference = whole[50:210, 60:236]
    current = whole[50 + down : 210 + down, 60 + right : 236 + right]
    assert dominant_shifts(current, reference, 2)[0].tolist() == [4 * down, 4 * right]


def test_two_parts_that_move_otherwise_are_two_shifts() -> None:
    reference = ground(160, 200)
    current = np.concatenate(
        [np.roll(reference, 7, 1)[:80], np.roll(reference, (-12, -5), (0, 1))[80:]]
    )
    found = {tuple(shift) for shift in dominant_shifts(current, reference, 2).tolist()}
    assert found == {(0, -28), (48, 20)}


def test_shifts_of_large_pictures_are_near_and_within_reach() -> None:
    whole = ground(400, 600).repeat(4, 0).repeat(4, 1)[:1200, :1800]
    shift = dominant_shifts(whole[64:1000, 200:1500], whole[0:936, 200:1500], 1)[0]
    assert abs(shift - (4 * 64, 0)).max() <= 4 * 4
    far = dominant_shifts(whole[100:1000, 200:1500], whole[0:900, 200:1500], 1)[0]
    assert abs(far).max() <= 4 * 64


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16)])
def test_any_size_has_shifts(size: tuple[int, int]) -> None:
    flat = np.full(size, 7, np.uint8)
    assert dominant_shifts(flat, flat, 2).tolist() == [[0, 0], [0, 0]]
    assert dominant_shifts(ground(*size), ground(*size), 2)[0].tolist() == [0, 0]


def test_flat_blocks_beside_a_still_pattern_stay_where_they_are() -> None:
    """A bar that is the same along itself: any vector will do there, and none beside it."""
    reference = np.full((48, 96), 200, np.uint8)
    reference[16:] = ground(32, 96)
    current = reference.copy()
    vectors = np.zeros((6, 12, 2), np.int16)
    vectors[:2] = (0, -3)
    divisions = np.zeros((3, 6), np.uint8)
    assert not np.array_equal(compensate(reference[None], vectors)[0], current)
    vectors, divisions = leave_still(current, reference, vectors, divisions, 10.0, 1)
    assert not vectors.any() and not divisions.any()


def test_blocks_that_move_go_on_moving() -> None:
    whole = ground(80, 112).astype(float)
    for axis in (0, 1):
        whole = (whole + np.roll(whole, 1, axis)) / 2
    reference = whole.astype(np.uint8)
    current: Any = np.roll(reference, 3, 1)
    vectors, divisions = search(current, reference, bit_cost=16)
    after, same = leave_still(current, reference, vectors, divisions, 100.0, 1)
    assert np.array_equal(after[1:-1, 1:-1], vectors[1:-1, 1:-1])
    assert np.array_equal(same[1:-1, 1:-1], divisions[1:-1, 1:-1])


def smooth(height: int, width: int) -> Plane:
    whole = ground(height, width).astype(float)
    for axis in (0, 1, 0, 1):
        whole = (whole + np.roll(whole, 1, axis)) / 2
    return whole.astype(np.uint8)


def error_of(current: Plane, reference: Plane, vectors: NDArray[np.int16]) -> float:
    return float(np.square(compensate(reference[None], vectors)[0].astype(float) - current).sum())


def counted() -> MotionCoder:
    """A coder that has mostly seen vectors as foretold, and small differences."""
    coder = MotionCoder()
    for table in coder.modules():
        if isinstance(table, CountedTables):
            away = torch.arange(table.least, table.most + 1).abs()
            table.counts[:, :-1] = (1000 >> (2 * away).clamp(max=9)).int()
    return coder


def test_bits_of_a_block_are_what_the_coder_takes() -> None:
    """One block alone, which the coder foretells from the frame before, too."""
    coder, quality_class = counted(), 1
    before = np.full((2, 2, 2), 3, np.int16)
    fields = [
        ([[[1, -2], [1, -2]], [[1, -2], [1, -2]]], 0),
        ([[[1, 2], [1, 2]], [[70, 2], [70, 2]]], 1),
        ([[[3, 3], [0, 9]], [[-5, 2], [4, -80]]], 3),
    ]
    seen = VectorBits(coder, quality_class, 1, 1)
    for cells, division in fields:
        vectors = np.array(cells, np.int16)
        divisions = np.array([[division]], np.uint8)
        seen.see(vectors, divisions, before)
        assert seen.predicted.tolist() == [[[3, 3]]]
        whole = [torch.from_numpy(part).long()[None] for part in (vectors, divisions, before)]
        port = RateMeter(training=False)
        found = coder.code(
            MotionField(whole[0], whole[1]), whole[2], torch.tensor([quality_class]), port
        )
        assert torch.equal(found.vectors, whole[0])
        assert seen(vectors, divisions).item() == pytest.approx(float(port.total()))


def test_a_block_with_a_vector_of_its_own_for_nothing_takes_that_around_it() -> None:
    reference = smooth(80, 112)
    current: Any = np.roll(reference, 3, 1)
    vectors = np.full((10, 14, 2), (0, -12), np.int16)
    divisions = np.zeros((5, 7), np.uint8)
    vectors[4:6, 6:8], vectors[5, 7], divisions[2, 3] = (1, -10), (8, 0), 3
    before = np.zeros_like(vectors)
    after, same = refine_vectors(
        current, reference, vectors, divisions, before, counted(), 1, 50.0, 1
    )
    assert (after == (0, -12)).all() and not same.any()
    assert tuple(vectors[5, 7]) == (8, 0), "what was given stays as it was"


@pytest.mark.parametrize("size", [(1, 1), (50, 90), (16, 200)])
def test_vectors_are_refined_by_error_and_by_bits(size: tuple[int, int]) -> None:
    reference = smooth(*size)
    noise = np.random.default_rng(2).normal(0, 12, size)
    current = (np.roll(reference, (1, 2), (0, 1)) + noise).clip(0, 255).astype(np.uint8)
    vectors, divisions = search(current, reference, bit_cost=0)
    before = np.full_like(vectors, 5)
    given = (current, reference, vectors, divisions, before, counted(), 1)
    free = refine_vectors(*given, 0.0, 1)
    assert error_of(current, reference, free[0]) <= error_of(current, reference, vectors)
    priced = refine_vectors(*given, 1e4, 1)
    assert int((priced[1] > 0).sum()) <= int((divisions > 0).sum())
    assert len(np.unique(priced[0].reshape(-1, 2), axis=0)) <= len(
        np.unique(vectors.reshape(-1, 2), axis=0)
    )
    for found in (free, priced):
        assert found[0].dtype == np.int16 and found[1].dtype == np.uint8
        first = found[0][::2, ::2].repeat(2, 0).repeat(2, 1)
        undivided = (found[1] == 0).repeat(2, 0).repeat(2, 1)
        assert np.array_equal(found[0][undivided], first[undivided]), "one vector a block"
    two = refine_vectors(*given, 1e4, 2)
    assert np.array_equal(two[0], priced[0]) and np.array_equal(two[1], priced[1])
