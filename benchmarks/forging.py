"""Damaged and forged files: how they are made, and what becomes of them.

`.kdc` files are taken apart and put together with right checksums by docs/bitstream.md alone.
"""

import faulthandler
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kodec.codecs.container.varint import read_varint, write_varint
from kodec.native import BitstreamError, KodecError, crc32c

PREAMBLE_BYTES = 5
CRC_BYTES = 4

Chunk = tuple[int, bytes]
"""A chunk's type and payload."""


def split(data: bytes) -> list[Chunk]:
    """The chunks of a sound file."""
    chunks, position = [], PREAMBLE_BYTES
    while position < len(data):
        kind = data[position]
        length, position = read_varint(data, position + 1)
        chunks.append((kind, data[position : position + length]))
        position += length + CRC_BYTES
    return chunks


def frames(data: bytes) -> list[bytes]:
    """The preamble and each chunk of a sound file as its bytes."""
    out, position = [data[:PREAMBLE_BYTES]], PREAMBLE_BYTES
    for _, payload in split(data):
        size = 1 + len(write_varint(len(payload))) + len(payload) + CRC_BYTES
        out.append(data[position : position + size])
        position += size
    return out


def seal(preamble: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A file of these chunks with right checksums."""
    out, seed, chain, packets, sequence = preamble, None, 0, 0, False
    for kind, payload in chunks:
        chunk = bytes([kind]) + write_varint(len(payload)) + payload
        if seed is None:
            seed = chain = crc = crc32c(preamble + chunk)
            sequence = bool(payload) and payload[0] >> 4 == 1
        elif kind == ord("P"):
            if sequence and payload and payload[0] & 1:
                chain = numbered(packets, seed)
                crc = crc32c(chunk, seed ^ packets)
            else:
                crc = crc32c(chunk, chain ^ packets)
            packets += 1
        elif packets or kind == ord("E"):
            crc = crc32c(chunk, numbered(packets, seed))
        else:
            seed = chain = crc = crc32c(chunk, seed)
        out += chunk + crc.to_bytes(CRC_BYTES, "little")
    return out


def seal_stream(stream: bytes) -> bytes:
    """A coder stream with its checksum made right, if it has one segment and a whole header."""
    if not stream or stream[0] & 0x80:
        return stream
    kind = stream[0]
    lanes = kind >> 2 & 7
    fields = 1 + 2 * (lanes > 0) + (kind >> 5 & 1) + (kind >> 6 & 1)
    position = 1
    try:
        for _ in range(fields):
            _, position = read_varint(stream, position)
    except BitstreamError:
        return stream
    checksum = position + CRC_BYTES
    front, body = stream[:checksum], stream[checksum + CRC_BYTES :]
    crc = crc32c(bytes(2) + front + body)
    return front + crc.to_bytes(CRC_BYTES, "little") + body


def numbered(packet: int, seed: int) -> int:
    """The checksum of a packet's number, continued from `seed`."""
    return crc32c(packet.to_bytes(4, "little"), seed)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One random mutation, never `data` itself: bytes, deletion, insertion, swap or repetition."""
    while True:
        out = bytearray(data)
        start, length = rng.randrange(len(out)), rng.choice((1, 2, 4, 16, 64))
        other = rng.randrange(len(out))
        kind = rng.randrange(7)
        if kind == 0:
            for _ in range(rng.randint(1, 8)):
                out[rng.randrange(len(out))] = rng.randrange(256)
        elif kind == 1:
            out[start] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del out[start : start + length]
        elif kind == 3:
            out[start:start] = rng.randbytes(length)
        elif kind == 4:
            low, high = sorted((start, other))
            length = min(length, high - low, len(out) - high)
            block = out[low : low + length]
            out[low : low + length] = out[high : high + length]
            out[high : high + length] = block
        elif kind == 5:
            out[other:other] = out[start : start + length]
        else:
            del out[start:]
        if bytes(out) != data and out:
            return bytes(out)


def mutate_chunks(chunks: Iterable[Chunk], rng: random.Random) -> list[Chunk]:
    """One chunk's payload mutated; now and then its type or the chunks' order."""
    out = list(chunks)
    number, other = rng.randrange(len(out)), rng.randrange(len(out))
    kind, payload = out[number]
    choice = rng.randrange(12)
    if choice == 0:
        out[number] = (rng.choice(b"HPEceXxiZ"), payload)
    elif choice == 1:
        out.insert(other, out[number])
    elif choice == 2:
        out[number], out[other] = out[other], out[number]
    elif choice == 3 and len(out) > 1:
        del out[number]
    elif payload:
        out[number] = (kind, mutate(payload, rng))
    return out


class NeverRightError(Exception):
    """What a file came to that it must not come to, whatever was done to it."""


@dataclass
class Tally:
    """What became of one family of files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds."""

    def attempt(
        self,
        data: bytes,
        work: Callable[[], str],
        limit: float,
        errors: tuple[type[Exception], ...] = (KodecError,),
        clock: Callable[[], float] = time.perf_counter,
        watched: bool = True,
    ) -> str | None:
        """Count what `work` makes of the file; why it is a failure, None: it is none.

        work: returns the outcome in words. Failures are another exception than `errors`, one of
        several lines, `NeverRightError`, and more than `limit` seconds. watched: whether a hang
        ends the process, with a traceback, after ten times that; it takes a thread for each file.
        """
        if watched:
            faulthandler.dump_traceback_later(10 * limit, exit=True)
        failure, start = None, clock()
        try:
            outcome = work()
        except errors as error:
            outcome, text = type(error).__name__, str(error)
            if len(text.splitlines()) != 1 or len(text) > 1000:
                failure = f"not one line: {text[:300]!r}"
        except NeverRightError as error:
            outcome = failure = str(error)
        except Exception as error:  # whatever else comes out is what is looked for
            outcome = failure = f"{type(error).__name__}: {str(error)[:300]}"
        seconds = clock() - start
        if watched:
            faulthandler.cancel_dump_traceback_later()
        self.slowest = max(self.slowest, seconds)
        self.outcomes[outcome] += 1
        if failure is None and seconds > limit:
            failure = f"{outcome} after {seconds:.1f} s"
        if failure is not None:
            self.fail(failure, data)
        return failure

    def fail(self, failure: str, data: bytes) -> None:
        """Keep a failure, with the file's beginning."""
        self.failures.append(f"{failure}: {data[:1000].hex()} ({len(data)} bytes)")

    def in_words(self) -> str:
        """The outcomes, most frequent first."""
        return ", ".join(f"{count} {what}" for what, count in self.outcomes.most_common())

    def report(self) -> dict[str, Any]:
        """For a JSON report."""
        return {
            "cases": self.outcomes.total(),
            "outcomes": dict(self.outcomes.most_common()),
            "slowest_seconds": self.slowest,
            "failures": len(self.failures),
            "first_failures": self.failures[:5],
        }
