from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodec.codecs import FittedHeader, PictureHeader, Plan, PlannedStep, SequenceHeader
from kodec.codecs.container import Header
from kodec.codecs.container.chunks import MAX_HEAD_BYTES
from kodec.codecs.container.heads import read_head, write_head
from kodec.codecs.container.sequence_head import Colour
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

MODEL = bytes(range(8))
PICTURE = PictureHeader(768, 512, 3, 32, MODEL, "guarded")
SEQUENCE = SequenceHeader(416, 240, 3, 32, MODEL, "guarded", Plan())
FITTED = FittedHeader(1, 0, 768, 512, 1, 3, (), "guarded")
LARGEST_PLAN = Plan(tuple(PlannedStep(n, (0,) * 10, None) for n in range(64)))
HEADERS: list[Header] = [
    replace(PICTURE, planes=2, tile=(256, 128), portability="local", machine=bytes(64)),
    SEQUENCE,
    replace(
        SEQUENCE,
        components=1,
        quality=None,
        portability="local",
        plan=LARGEST_PLAN,
        rate=Fraction(60000, 1001),
        ticks=1 << 24,
        bit_depth=16,
        chroma="4:2:0",
        colour=Colour(9, 16, 9, True),
        machine=b"a machine",
    ),
    FITTED,
    replace(
        FITTED,
        family=255,
        version=255,
        frames=600,
        architecture=((1 << 35) - 1,) * 64,
        model_id=MODEL,
        bit_depth=10,
        portability="exact",
    ),
]


@pytest.mark.parametrize("header", HEADERS)
def test_round_trip_and_damage(header: Header) -> None:
    data = write_head(header)
    assert len(data) <= MAX_HEAD_BYTES
    assert read_head(data, 1 << 30) == header
    for length in range(len(data)):
        with pytest.raises(KodecError):
            read_head(data[:length], 1 << 30)
    with pytest.raises(BitstreamError, match="longer than it should be"):
        read_head(data + b"\0", 1 << 30)
    with pytest.raises(UnsupportedError, match="pixels, above the limit"):
        read_head(data, 1000)


def test_heads_are_small() -> None:
    assert [len(write_head(header)) for header in (PICTURE, SEQUENCE, FITTED)] == [17, 31, 11]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADERS), st.integers(0, 400), st.binary(max_size=6))
def test_forged_heads_are_one_error_or_a_head(header: Header, place: int, new: bytes) -> None:
    data = write_head(header)
    place %= len(data)
    try:
        found = read_head(data[:place] + new + data[place + len(new) :], 1 << 30)
    except KodecError as error:
        assert not isinstance(error, InvalidInputError) and len(str(error).splitlines()) == 1
    else:
        # What is accepted can be written.
        assert read_head(write_head(found), 1 << 30) == found


@pytest.mark.parametrize(
    ("header", "changes"),
    [
        (SEQUENCE, {"width": 0}),
        (SEQUENCE, {"components": 4}),
        (SEQUENCE, {"quality": 64}),
        (SEQUENCE, {"model_id": b""}),
        (SEQUENCE, {"bit_depth": 7}),
        (SEQUENCE, {"chroma": "4:1:1"}),
        (SEQUENCE, {"rate": Fraction(0)}),
        (SEQUENCE, {"rate": Fraction(1, 1 << 31)}),
        (SEQUENCE, {"ticks": 0}),
        (SEQUENCE, {"machine": b"x"}),
        (FITTED, {"family": 256}),
        (FITTED, {"version": -1}),
        (FITTED, {"height": (1 << 24) + 1}),
        (FITTED, {"frames": 0}),
        (FITTED, {"components": 2}),
        (FITTED, {"architecture": (0,) * 65}),
        (FITTED, {"architecture": (-1,)}),
        (FITTED, {"bit_depth": 17}),
        (FITTED, {"model_id": b"short"}),
        (FITTED, {"portability": "local", "machine": bytes(65)}),
    ],
)
def test_fields_out_of_range_are_refused(header: Header, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        replace(header, **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="primaries"):
        Colour(256)
