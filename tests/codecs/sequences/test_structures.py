"""Coding structures and schedules: every frame once, references that are there, one byte a step."""

import io
from fractions import Fraction

import pytest

from kodec.codecs import ChunkReader, ChunkWriter, Packet, SequenceHeader, Step
from kodec.codecs.sequences.scheduling import Schedule, schedule
from kodec.codecs.sequences.structures import STRUCTURES, Structure
from kodec.native import InvalidInputError

STRUCTURES_IN_USE = [
    Structure("intra"),
    Structure("low-delay"),
    Structure("low-delay", (0, -8, -4)),
    Structure("low-delay-2"),
    Structure("low-delay-2", (0, -4, -2)),
    Structure("hierarchical"),
    Structure("hierarchical", (0, -2, -4, -6)),
]


def steps_of(
    structure: Structure, frames: int, group: int = 1, period: int = 0, cuts: tuple[int, ...] = ()
) -> list[Step]:
    plan = Schedule[int](structure, group, period)
    given = []
    for scheduled in schedule(((n, n in cuts) for n in range(frames)), plan):
        step = scheduled.step
        assert scheduled.frames == list(range(step.first, step.first + step.frames))
        given.append(step)
    return given


@pytest.mark.parametrize("structure", STRUCTURES_IN_USE, ids=lambda s: f"{s.name}{s.offsets}")
def test_every_frame_is_coded_once_from_frames_that_are_there(structure: Structure) -> None:
    for frames in (1, 2, 9, 21):
        steps = steps_of(structure, frames, period=10, cuts=(13,))
        coded = [n for step in steps for n in range(step.first, step.first + step.frames)]
        assert sorted(coded) == list(range(frames))
        slots: dict[int, int] = {}
        for step in steps:
            if step.refresh:
                # Nothing before it comes after it.
                assert all(other.first >= step.first for other in steps[steps.index(step) :])
                slots.clear()
            held = [slots[slot] for slot in step.references]
            assert len(set(held)) == len(held) <= structure.references
            if step.keep is not None:
                slots[step.keep] = step.first


def test_references_are_the_nearest_frames_on_either_side() -> None:
    slots: dict[int, int] = {}
    read: dict[int, list[int]] = {}
    for step in steps_of(Structure("hierarchical"), 17):
        slots = {} if step.refresh else slots
        read[step.first] = [slots[slot] for slot in step.references]
        if step.keep is not None:
            slots[step.keep] = step.first
    assert read[8] == [0] and read[16] == [8]
    assert read[4] == [0, 8] and read[2] == [0, 4] and read[6] == [4, 8] and read[15] == [14, 16]


def test_refreshes_come_by_period_and_at_cuts() -> None:
    steps = steps_of(Structure("low-delay"), 30, period=10, cuts=(14,))
    assert [step.first for step in steps if step.refresh] == [0, 10, 14, 24]


@pytest.mark.parametrize("structure", STRUCTURES_IN_USE, ids=lambda s: f"{s.name}{s.offsets}")
def test_steps_of_the_plan_cost_a_byte(structure: Structure) -> None:
    """All of full rounds but the first of two references, which has one alone."""
    header = SequenceHeader(
        64, 64, 3, 20, bytes(8), "guarded", structure.plan(), Fraction(25), 1, 8, "4:2:0"
    )
    file = io.BytesIO()
    steps = steps_of(structure, 1 + 8 * 6)
    with ChunkWriter(file, header) as writer:
        before = writer.bytes_written
        costs = []
        for step in steps:
            writer.write(b"", [step])
            costs.append(writer.bytes_written - before)
            before = writer.bytes_written
    departing = sum(cost > min(costs) for cost in costs if cost)
    assert departing <= (len(steps) if structure.name == "intra" else 2)
    read = [item for item in ChunkReader(file.getvalue()) if isinstance(item, Packet)]
    assert [packet.steps[0] for packet in read] == steps


def test_groups_of_frames_and_what_is_left_of_them() -> None:
    steps = steps_of(Structure("low-delay"), 19, group=8)
    assert [(step.first, step.frames) for step in steps] == [(0, 8), (8, 8), (16, 3)]


def test_what_is_no_structure_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=", ".join(STRUCTURES)):
        Structure("random")
    with pytest.raises(InvalidInputError, match="offsets"):
        Structure("low-delay", (90,))
