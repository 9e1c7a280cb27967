"""Small files of sequences, for tests of the container."""

import io
import random
from dataclasses import replace

from kodec.codecs import ChunkWriter, Plan, SequenceHeader, Step

HEADER = SequenceHeader(
    width=416,
    height=240,
    components=3,
    quality=20,
    model_id=bytes(range(8)),
    portability="guarded",
    plan=Plan(),
)
PERIOD = 4
"""Packets from one refresh to the next."""


def steps_of(number: int, period: int = PERIOD) -> tuple[Step, ...]:
    """What packet `number` codes: a frame from the one before it, with a refresh now and then."""
    if number % period == 0:
        return (Step(number, refresh=True),)
    return (Step(number, references=(0,)),)


def data_of(number: int) -> bytes:
    """A packet's coded bytes."""
    return random.Random(number).randbytes(number % 5 + 3)


def sequence_file(packets: int, period: int = PERIOD, header: SequenceHeader = HEADER) -> bytes:
    """A file of as many packets."""
    file = io.BytesIO()
    with ChunkWriter(file, replace(header), {"icc": b"profile"}) as writer:
        for number in range(packets):
            writer.write(data_of(number), steps_of(number, period))
    return file.getvalue()
