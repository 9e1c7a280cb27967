from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodec.codecs import Plan, PlannedStep, Step
from kodec.codecs.container.fields import Fields
from kodec.codecs.container.steps import StepCoder, read_plan, write_plan
from kodec.native import BitstreamError, InvalidInputError

# Groups of four pictures, B-pyramid: the anchors alternate between slots 0 and 1.
PYRAMID = Plan(
    (
        PlannedStep(3, (0,), 1, 1),
        PlannedStep(1, (0, 1), 2, 3),
        PlannedStep(0, (0, 2), None, 5),
        PlannedStep(2, (2, 1), None, 5),
        PlannedStep(7, (1,), 0, 1),
        PlannedStep(5, (1, 0), 2, 3),
        PlannedStep(4, (1, 2), None, 5),
        PlannedStep(6, (2, 0), None, 5),
    )
)


def coded(plan: Plan, packets: list[tuple[Step, ...]]) -> list[bytes]:
    """The steps' bytes, which read back as they were written."""
    writer, reader = StepCoder(plan), StepCoder(plan)
    out = []
    for number, steps in enumerate(packets):
        data = writer.write(number, steps)
        assert reader.read(number, data + b"coded") == (steps, len(data))
        out.append(data)
    return out


def test_steps_by_the_default_plan_take_one_byte() -> None:
    packets: list[tuple[Step, ...]] = [(Step(1000, refresh=True),)]
    packets += [(Step(1000 + n, references=(0,)),) for n in range(1, 50)]
    assert list(map(len, coded(Plan(), packets))) == [3] + [1] * 49


def test_steps_by_a_pyramid_take_one_byte_across_turns_and_refreshes() -> None:
    packets: list[tuple[Step, ...]] = []
    for first in (0, 17):
        packets.append((Step(first, refresh=True),))
        for turn in range(2):
            packets += [
                (Step(first + 1 + 8 * turn + p.place, 1, p.references, p.keep, p.quality),)
                for p in PYRAMID.cycle
            ]
    assert list(map(len, coded(PYRAMID, packets))) == 2 * ([2] + [1] * 16)


def test_groups_and_shared_packets() -> None:
    plan = Plan(group=8, share=3)
    packets: list[tuple[Step, ...]] = [(Step(0, 8, refresh=True),)]
    packets += [tuple(Step(8 * (3 * n + i + 1), 8, (0,)) for i in range(3)) for n in range(2)]
    packets += [(Step(56, 5, (0,)),), (Step(61, 8, refresh=True),)]
    assert list(map(len, coded(plan, packets))) == [2, 3, 3, 3, 2]


def test_steps_that_leave_the_plan_say_what_differs() -> None:
    steps = [
        Step(7, 64, (), 15, -64, True, tuple(range(64))),
        Step(8, 1, (15,), None, 63),
        Step(9, 1, (15, 15), 0, 0, False, ((1 << 35) - 1,)),
        Step(10, 1, (0,)),
        Step(7, 2, (), 3),
    ]
    coded(Plan(), [(step,) for step in steps])


@pytest.mark.parametrize(
    ("packets", "message"),
    [
        ([(Step(0),)], "begins with a refresh"),
        ([(Step(0, refresh=True),), (Step(1, references=(1,)),)], "slot 1, which holds nothing"),
        ([(Step(0, keep=None, refresh=True),), (Step(1, references=(0,)),)], "holds nothing"),
        ([(Step(5, refresh=True),), (Step(5, refresh=True),)], "up to frame 5"),
        ([(Step(5, refresh=True),), (Step(4),)], "follows a refresh at frame 5"),
        ([(Step(5, refresh=True),), (Step(9),), (Step(9, refresh=True),)], "up to frame 9"),
        ([(Step(0, refresh=True), Step(1, references=(0,)))], "packet to itself"),
        ([(Step(0, refresh=True),), (Step(1), Step(2, refresh=True))], "packet to itself"),
        ([(Step(0, refresh=True),), (Step(1), Step(2), Step(3))], "1 to 2 steps, not 3"),
        ([()], "1 to 2 steps, not 0"),
    ],
)
def test_steps_that_make_no_sequence_are_refused(
    packets: list[tuple[Step, ...]], message: str
) -> None:
    writer = StepCoder(Plan(share=2))
    for number, steps in enumerate(packets[:-1]):
        writer.write(number, steps)
    with pytest.raises(InvalidInputError, match=message):
        writer.write(len(packets) - 1, packets[-1])
    # What was refused left no trace.
    assert writer.write(len(packets) - 1, (Step(10, refresh=True),)) == b"\x01\x0a"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\x00", "begins with a refresh"),
        (b"", "too short"),
        (b"\x01", "middle of a number"),
        (b"\x41\x00", "unknown flags 64"),
        (b"\x03\x00\x01\x01", "two first frames"),
        (b"\x03\x00\x00\x41", "1 to 64 frames"),
        (b"\x23\x00\x00\xff" + bytes(64), "1 to 64 frames"),
        (b"\x05\x00\x01\x00", "refers to nothing"),
        (b"\x05\x00\xff" + bytes(range(255)), "at most 16 slots, not to 255$"),
        (b"\x09\x00\x10", "slots 0 to 15"),
        (b"\x11\x00\x40", "offset is -64 to 63"),
        (b"\x81\x00\x00", "packet to itself"),
        (b"\x81\x00\x82\x05\x01\x80", "itself|more than"),
    ],
)
def test_forged_steps_are_one_error(payload: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        StepCoder(Plan(share=2)).read(0, payload)


def test_after_a_loss_any_slot_may_hold_a_state() -> None:
    reader = StepCoder(Plan())
    reader.read(0, b"\x01\x00")
    with pytest.raises(BitstreamError, match="slot 3, which holds nothing"):
        StepCoder.read(reader, 2, b"\x04\x01\x03")
    reader.lose()
    assert reader.read(2, b"\x04\x01\x03")[0] == (Step(2, references=(3,)),)
    assert not reader.intact
    reader.read(3, b"\x01\x03")
    assert reader.intact


@pytest.mark.parametrize("plan", [Plan(), PYRAMID, Plan(group=64, share=64)])
def test_plans_in_a_head(plan: Plan) -> None:
    data = write_plan(plan)
    fields = Fields(data, "the plan")
    assert read_plan(fields) == plan
    fields.end()
    for length in range(len(data)):
        with pytest.raises((BitstreamError, InvalidInputError)):
            read_plan(Fields(data[:length], "the plan"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plan(()),
        lambda: Plan((PlannedStep(1, (), None),)),
        lambda: Plan((PlannedStep(0, (16,), None),)),
        lambda: Plan((PlannedStep(0, (), 16),)),
        lambda: Plan((PlannedStep(0, (), None, 64),)),
        lambda: Plan(group=65),
        lambda: Plan(share=0),
        lambda: Step(-1),
        lambda: Step(0, 0),
        lambda: Step(0, references=(0,) * 17),
        lambda: Step(0, references=(0,), refresh=True),
        lambda: Step(0, times=(1, 2)),
        lambda: Step(0, times=(-1,)),
    ],
)
def test_what_is_out_of_range_is_refused(make: object) -> None:
    with pytest.raises(InvalidInputError):
        make()  # type: ignore[operator]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda first, frames, slots, keep, quality: Step(first, frames, slots, keep, quality),
            st.integers(3, 1 << 34),
            st.integers(1, 64),
            st.lists(st.just(0), max_size=16).map(tuple),
            st.none() | st.integers(0, 15),
            st.integers(-64, 63),
        ),
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_any_steps_round_trip(steps: list[Step], share: int) -> None:
    packets = [tuple(steps[n : n + share]) for n in range(0, len(steps), share)]
    coded(replace(PYRAMID, share=share), [(Step(3, refresh=True),), *packets])
