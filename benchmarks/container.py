"""The container alone: damaged files of every kind, and streams of millions of packets.

    python benchmarks/container.py [--inputs 1000000] [--seconds 600] [--packets 1000000]
                                   [--seed 1] [--json REPORT.json]

Inputs are mutations of five small files: a picture, one with tiles and metadata, sequences with an
index and with shared packets, a fitted network. A third is mutated inside, with checksums made
right again. Each is read with damaged="refuse" or "keep", from memory or as a pipe.

Failures, after which the exit status is 1: another exception than kodec's or one of several lines;
a damaged file that passes for sound; a packet that is not the one with its number in the sound file
(where checksums were not made right again); a read of more than a second of CPU time; memory that
grows by more than 64 MB.

Then --packets packets of 1 KB are written and read in one go, through a pipe in one thread, every
eighth a refresh, and the growth of memory is held below 100 MB.
"""

import argparse
import io
import random
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from fifo import Fifo
from forging import PREAMBLE_BYTES, NeverRightError, Tally, mutate, mutate_chunks, seal, split
from kodec.codecs import (
    ChunkReader,
    ChunkWriter,
    FittedHeader,
    Lost,
    Packet,
    PictureHeader,
    Plan,
    PlannedStep,
    SequenceHeader,
    Step,
)
from kodec.codecs.container import Header
from kodec.eval import describe_machine
from kodec.native import KodecError
from reporting import parser_of, run, write_json

SLOWEST_SECONDS = 1.0
FUZZ_GROWTH = 64_000_000
STREAM_GROWTH = 100_000_000
PACKET_BYTES = 1000
MODEL = bytes(range(8))
"""A model id."""


def sound_files() -> list[bytes]:
    """Files of all kinds, some hundred bytes each."""
    backwards = Plan((PlannedStep(1, (0,), 1, 2), PlannedStep(0, (0, 1), None, 6)), 2, 2)
    heads: list[Header] = [
        PictureHeader(40, 24, 3, 32, MODEL, "guarded"),
        PictureHeader(40, 24, 3, 32, MODEL, "local", planes=2, tile=(16, 24), machine=bytes(9)),
        SequenceHeader(40, 24, 3, 32, MODEL, "guarded", Plan(), Fraction(30000, 1001)),
        SequenceHeader(40, 24, 3, None, MODEL, "exact", backwards),
        FittedHeader(2, 1, 40, 24, 9, 3, (3, 500, 16), "exact"),
    ]
    files = []
    for number, header in enumerate(heads):
        file = io.BytesIO()
        metadata = {"icc": b"profile" * 3, "exif": b"II*\0"} if number in (1, 2) else {}
        packets = header.packets if isinstance(header, PictureHeader) else 7
        with ChunkWriter(file, header, metadata) as writer:
            for packet in range(packets):
                data = random.Random(packet).randbytes(packet % 4 * 5 + 2)
                writer.write(data, steps(packet, number))
        files.append(file.getvalue())
    return files


def steps(packet: int, file: int) -> tuple[Step, ...]:
    """What packet number `packet` of file number `file` codes."""
    if file == 2:
        refresh = packet % 3 == 0
        return (Step(packet, refresh=refresh, references=() if refresh else (0,)),)
    if file == 3 and packet == 0:
        return (Step(0, 2, refresh=True),)
    if file == 3:
        first = 4 * packet - 2
        return (Step(first + 2, 2, (0,), 1, 2), Step(first, 2, (0, 1), None, 6, times=(70, 90)))
    return ()


def read(data: bytes, right: dict[int, Packet], sealed: bool, rng: random.Random) -> str:
    """What reading a mutation of a sound file, whose packets are `right`, comes to."""
    keep, pipe = rng.random() < 0.5, rng.random() < 0.25
    source = Fifo(data).file if pipe else data
    reader = ChunkReader(source, damaged="keep" if keep else "refuse")
    items = list(reader)
    if not sealed:
        for item in items:
            if isinstance(item, Packet) and (
                right[item.number].data != item.data or right[item.number].steps != item.steps
            ):
                raise NeverRightError(f"packet {item.number} is another")
        if not keep:
            raise NeverRightError("a damaged file passes for sound")
    if reader.cut:
        return "cut"
    return "lost" if any(isinstance(item, Lost) for item in items) else "read"


def fuzz(inputs: int, seconds: float, seed: int) -> dict[str, Any]:
    """Read mutations until there were enough of them or it took too long."""
    rng = random.Random(seed)
    files = sound_files()
    right = [
        {item.number: item for item in ChunkReader(data) if isinstance(item, Packet)}
        for data in files
    ]
    tally, before, start, count = Tally(), resident(), time.perf_counter(), 0
    while count < inputs and time.perf_counter() - start < seconds:
        number, sealed = rng.randrange(len(files)), rng.random() < 1 / 3
        sound = files[number]
        data = mutate(sound, rng)
        if sealed:
            data = seal(sound[:PREAMBLE_BYTES], mutate_chunks(split(sound), rng))
        work = partial(read, data, right[number], sealed, rng)
        tally.attempt(data, work, SLOWEST_SECONDS, clock=time.process_time, watched=False)
        count += 1
    taken = time.perf_counter() - start
    return {
        **tally.report(),
        "inputs": count,
        "seconds": taken,
        "microseconds_an_input": 1e6 * taken / max(count, 1),
        "growth_bytes": resident() - before,
    }


def stream(packets: int) -> dict[str, Any]:
    """Write and read packets of 1 KB through a pipe; the growth of memory after the first 1 %."""
    pipe = Fifo()
    header = SequenceHeader(416, 240, 3, 32, MODEL, "guarded", Plan())
    data = random.Random(1).randbytes(PACKET_BYTES)
    written = 0

    def writing() -> Iterator[None]:
        nonlocal written
        with ChunkWriter(pipe.file, header) as writer:
            for number in range(packets):
                refresh = number % 8 == 0
                step = Step(number, refresh=refresh, references=() if refresh else (0,))
                writer.write(data, (step,))
                if number % 64 == 0:
                    yield
        written = writer.bytes_written

    pipe.source = writing()
    before, most, last, start = 0, 0, -1, time.perf_counter()
    for item in ChunkReader(pipe.file):
        if not isinstance(item, Packet) or item.number != last + 1 or item.data != data:
            raise KodecError(f"packet {last + 1} came back as another")
        last += 1
        if last % 10_000 == 0:
            most = max(most, resident())
            before = before or most
    most = max(most, resident())
    return {
        "packets": last + 1,
        "seconds": time.perf_counter() - start,
        "bytes_a_packet_beside_its_data": (written - PACKET_BYTES * packets) / max(packets, 1),
        "growth_bytes": most - before,
    }


def resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise KodecError("this system does not say how much memory a process has taken: use Linux")


def main() -> int:
    """Measure, print, and return the exit status."""
    parser: argparse.ArgumentParser = parser_of(__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="mutated files to read")
    parser.add_argument("--seconds", type=float, default=600.0, help="for these, at most")
    parser.add_argument("--packets", type=int, default=1_000_000, help="to write and read, of 1 KB")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    fuzzed = fuzz(options.inputs, options.seconds, options.seed)
    outcomes = ", ".join(f"{count} {what}" for what, count in fuzzed["outcomes"].items())
    print(
        f"{fuzzed['inputs']} inputs in {fuzzed['seconds']:.0f} s "
        f"({fuzzed['microseconds_an_input']:.0f} us each), the slowest read "
        f"{fuzzed['slowest_seconds']:.3f} s of CPU time, "
        f"memory grew by {fuzzed['growth_bytes'] / 1e6:.1f} MB, "
        f"{fuzzed['failures']} failures\n{outcomes}"
    )
    for failure in fuzzed["first_failures"]:
        print(f"  {failure}")
    streamed = stream(options.packets)
    print(
        f"{streamed['packets']} packets of {PACKET_BYTES} bytes in {streamed['seconds']:.0f} s, "
        f"{streamed['bytes_a_packet_beside_its_data']:.2f} bytes each beside their data, "
        f"memory grew by {streamed['growth_bytes'] / 1e6:.1f} MB"
    )
    held = (
        not fuzzed["failures"]
        and fuzzed["growth_bytes"] < FUZZ_GROWTH
        and streamed["growth_bytes"] < STREAM_GROWTH
        and streamed["packets"] == options.packets
    )
    print("all held" if held else "FAILED")
    if options.json is not None:
        report = {"machine": describe_machine(), "held": held, "fuzz": fuzzed, "stream": streamed}
        write_json(options.json, report)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "container.py")
