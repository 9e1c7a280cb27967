"""Reads a `.kdc` file as a stream: packet by packet, from a pipe too, in bounded memory."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Self, get_args

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError, crc32c

from .chunks import (
    END,
    HEAD,
    METADATA_TYPES,
    PACKET,
    PREAMBLE,
    Chunk,
    Source,
    check_preamble,
    refresh_seed,
    tail_seed,
)
from .head_fields import KINDS, MAX_PIXELS, Kind
from .heads import Header, ends_with_its_packet, expected_packets, read_head
from .refresh_index import Entry, read_end
from .seeking import Resumption, find_refresh
from .sequence_head import SequenceHeader
from .steps import Step, StepCoder, is_refresh

Damaged = Literal["refuse", "keep"]

_DAMAGED = get_args(Damaged)
_METADATA_NAMES = {code: name for name, code in METADATA_TYPES.items()}
_MASK = (1 << 32) - 1
_SEARCH = 8
"""How far from its expected number a packet is looked for where others were cut out."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose checksum is right."""

    number: int
    """From 0."""
    data: bytes
    """Its coded bytes."""
    steps: tuple[Step, ...] = ()
    """What a sequence's packet codes, in coding order."""
    intact: bool = True
    """Of a sequence: whether nothing was lost since the last refresh. Where it is False, slots may
    hold the states of earlier steps than the encoder's."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Packets that are damaged or missing."""

    first: int
    """Number of the first one."""
    count: int
    """How many in a row."""


class ChunkReader:
    """Iterates over the packets of `file`, which need not be seekable; or of bytes in memory.

    damaged: what to do about damage behind the head, which must be whole. "refuse" raises
    BitstreamError for any. "keep" leaves damaged metadata out, yields `Lost` in the place of
    damaged packets and goes on with the next one; where a length was damaged, so that the next one
    can't be found, with the next refresh that the file's index lists, if the file is seekable and
    has one; else iteration ends there, and `cut` says so.

    A packet takes memory for the bytes that are there, whatever length is claimed; at most
    `MAX_PACKET_BYTES`.

    kinds: "picture", "sequence", "fitted": which the caller can use. max_pixels: the largest width
    x height.

    Raises BitstreamError if this is no `.kdc` file or it is damaged, UnsupportedError, naming what
    is missing, if it is sound but needs a later version of kodec, is of another kind or has more
    pixels than asked for.
    """

    def __init__(
        self,
        file: BinaryIO | bytes,
        *,
        damaged: Damaged = "refuse",
        max_pixels: int = MAX_PIXELS,
        kinds: Collection[Kind] = KINDS,
    ) -> None:
        if damaged not in _DAMAGED:
            raise InvalidInputError(f"damaged is one of {', '.join(_DAMAGED)}, not {damaged!r}")
        self.cut: BitstreamError | None = None
        """With damaged="keep": why reading stopped before the file's end, if it did."""
        self.lost_metadata: list[str] = []
        """With damaged="keep": names of metadata that are damaged, and so left out."""
        self._keep = damaged == "keep"
        self._source = Source(file)
        check_preamble(self._source)
        head = self._source.chunk() if self._source.next_kind() == HEAD else None
        if head is None:
            self._source.front()
            raise BitstreamError("the file does not begin with its head; it is damaged")
        if not head.follows(crc32c(PREAMBLE)):
            raise head.damaged()
        self.header: Header = read_head(head.payload, max_pixels, kinds)
        self._seed = head.crc
        self.metadata = self._read_metadata()
        self._begin = self._source.offset
        self._count = expected_packets(self.header)
        self._steps: StepCoder | None = None
        self._resumption: Resumption | None = None
        self._restart(self._begin, 0)

    @property
    def keeps_damaged(self) -> bool:
        """Whether it goes on behind damage."""
        return self._keep

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet | Lost:
        return next(self._items)

    def only(self, wanted: Collection[int]) -> Iterator[Packet]:
        """The packets with these numbers of a picture or fitted file, in order.

        Others are passed over, and what follows the last is not looked at. Raises BitstreamError
        where one is damaged or missing.
        """
        while self._next <= max(wanted, default=-1):
            if self._source.next_kind() != PACKET:
                raise self._truncated()
            if self._next not in wanted:
                self._source.skip()
                self._next += 1
                continue
            chunk = self._source.chunk()
            if not chunk.follows(self._base(chunk) ^ self._next & _MASK):
                raise chunk.damaged()
            yield self._packet(chunk, self._next)

    def seek(self, frame: int) -> int:
        """Go on with the last refresh of a sequence at or before frame number `frame`.

        Returns its packet's number. The index only makes this faster: whatever it says, the
        refresh is the one that reading from the beginning would find, if all before it is sound.
        Raises InvalidInputError if the file is no sequence or not seekable.
        """
        if not isinstance(self.header, SequenceHeader) or not self._source.seekable:
            raise InvalidInputError("only the frames of a sequence in a seekable file can be found")
        where = find_refresh(self._source, self._seed, self._begin, frame)
        self._restart(where.offset, where.packet)
        return where.packet

    def _restart(self, offset: int, packet: int) -> None:
        self._source.seek(offset)
        self._next = packet
        """Number after the last sound packet's."""
        self._chain = self._seed
        """What the checksums of packets after the last refresh continue from."""
        self.cut = None
        if isinstance(self.header, SequenceHeader):
            self._steps = StepCoder(self.header.plan)
        self._items = self._kept() if self._keep else self._checked()

    def _read_metadata(self) -> dict[str, bytes]:
        """All chunks between the head and the packets."""
        metadata: dict[str, bytes] = {}
        while (kind := self._source.next_kind()) is not None and kind not in (PACKET, END):
            try:
                chunk = self._source.chunk()
            except BitstreamError:
                if not self._keep:
                    raise
                break
            if not chunk.follows(self._seed):
                if self._keep and kind in _METADATA_NAMES:
                    self.lost_metadata.append(_METADATA_NAMES[kind])
                    self._seed = self._seed_behind(chunk)
                    continue
                # An index, or what else stands before the end of a file without packets; or a
                # packet with a damaged type.
                if not self._keep and not chunk.follows(tail_seed(self._seed, 0)):
                    raise chunk.damaged()
                self._source.seek(chunk.offset)
                break
            if kind in _METADATA_NAMES:
                name = _METADATA_NAMES[kind]
                if name in metadata:
                    raise BitstreamError(f"the file has two {name} chunks; it is damaged")
                metadata[name] = chunk.payload
            elif kind == HEAD:
                raise BitstreamError("the file has two heads; it is damaged")
            else:
                _check_optional(kind)
            self._seed = chunk.crc
        return metadata

    def _seed_behind(self, chunk: Chunk) -> int:
        """What the chunk behind damaged metadata continues from: either the metadata's checksum as
        it stands there, or, if that is what was damaged, as it should be."""
        computed = crc32c(chunk.framed, self._seed)
        begin = self._source.offset
        try:
            right = not self._source.at_end() and self._source.chunk().follows(computed)
        except BitstreamError:
            right = False
        self._source.seek(begin)
        return computed if right else chunk.crc

    def _checked(self) -> Iterator[Packet | Lost]:
        """All packets of a sound file."""
        source = self._source
        while (kind := source.next_kind()) == PACKET:
            if self._next == self._count:
                break
            chunk = source.chunk()
            if not chunk.follows(self._base(chunk) ^ self._next & _MASK):
                raise chunk.damaged()
            yield self._packet(chunk, self._next)
        if self._next == 1 and ends_with_its_packet(self.header):
            if kind is not None:
                raise BitstreamError("bytes follow the last packet; the file is damaged")
            return
        if kind is None:
            raise self._truncated()
        if kind == PACKET or self._count not in (None, self._next):
            raise BitstreamError(
                f"chunk {chr(kind)!r} stands where packet {self._next} of {self._count} should: "
                "the file is damaged"
            )
        self._read_tail()

    def _read_tail(self) -> None:
        """All that follows the packets of a sound file."""
        begin, kind = self._source.offset, 0
        while self._source.next_kind() != END:
            if self._source.at_end():
                raise self._truncated()
            chunk = self._source.chunk()
            if chunk.kind in (PACKET, HEAD, *_METADATA_NAMES):
                raise BitstreamError(
                    f"chunk {chr(kind or chunk.kind)!r} stands among the packets; file damaged"
                )
            kind = chunk.kind
            if not chunk.follows(tail_seed(self._seed, self._next)):
                raise chunk.damaged()
            _check_optional(kind)
        size = self._source.offset - begin
        packets, before = read_end(self._source.chunk(), self._seed)
        if (packets, before) != (self._next, size):
            raise BitstreamError(
                f"the file's end counts {packets} packets and {before} bytes behind them where "
                f"there are {self._next} and {size}; the file is damaged"
            )
        if not self._source.at_end():
            raise BitstreamError("bytes follow the file's end; the file is damaged")

    def _kept(self) -> Iterator[Packet | Lost]:
        """All packets that are whole, and which are not."""
        source, failed = self._source, 0
        resumed = self._source.offset
        while self._next != self._count:
            try:
                if source.at_end():
                    raise self._truncated()
                chunk = source.chunk()
                if chunk.kind == PACKET:
                    found = self._find(chunk, failed)
                    if found is None:
                        failed += 1
                        continue
                    lost = self._lost(found)
                    packet = self._packet(chunk, found)
                    failed, resumed = 0, source.offset
                    yield from lost
                    yield packet
                    continue
                if chunk.kind == END:
                    packets, _ = read_end(chunk, self._seed)
                    if packets < self._next:
                        raise chunk.damaged()
                    yield from self._lost(packets)
                    self._next = packets
                    return
                if chr(chunk.kind).isupper():
                    raise chunk.damaged()
            except BitstreamError as error:
                where = self._next_refresh(resumed)
                if where is None:
                    self.cut = error
                    break
                yield from self._lost(where.packet)
                source.seek(where.offset)
                self._next, failed, resumed = where.packet, 0, where.offset + 1
        if self._count is not None:
            yield from self._lost(self._count)
            self._next = self._count

    def _find(self, chunk: Chunk, failed: int) -> int | None:
        """The number of a packet behind `failed` ones whose checksums were wrong."""
        base, guess = self._base(chunk), self._next + failed
        if chunk.follows(base ^ guess & _MASK):
            return guess
        if self.lost_metadata and not self._next:
            # The checksum of damaged metadata may be damaged, too: what packets continue from is
            # then off by some bits, as another packet's number would be.
            return None
        # Packets may have been cut out, or repeated.
        for number in range(max(self._next, guess - _SEARCH), guess + _SEARCH + 1):
            if number != self._count and chunk.follows(base ^ number & _MASK):
                return number
        return None

    def _lost(self, number: int) -> list[Lost]:
        """What is missing before packet `number`, and what follows from it for the steps."""
        if number == self._next:
            return []
        if self._steps is not None:
            self._steps.lose()
        return [Lost(self._next, number - self._next)]

    def _next_refresh(self, offset: int) -> Entry | None:
        """The next refresh, from `offset` on, that the index lists and the file has."""
        if self._steps is None or not self._source.seekable:
            return None
        if self._resumption is None:
            self._resumption = Resumption(self._source, self._seed)
        return self._resumption.behind(offset, self._next)

    def _base(self, chunk: Chunk) -> int:
        """What a packet's checksum continues from, before its number."""
        return self._seed if self._steps is None or is_refresh(chunk.payload) else self._chain

    def _packet(self, chunk: Chunk, number: int) -> Packet:
        if self._steps is None:
            self._next = number + 1
            return Packet(number, chunk.payload)
        steps, begin = self._steps.read(number, chunk.payload)
        if steps[0].refresh:
            self._chain = refresh_seed(self._seed, number)
        self._next = number + 1
        return Packet(number, chunk.payload[begin:], steps, self._steps.intact)

    def _truncated(self) -> BitstreamError:
        count = "" if self._count is None else f" of {self._count}"
        return BitstreamError(f"the file is truncated: it ends after {self._next}{count} packets")


def _check_optional(kind: int) -> None:
    """Raise UnsupportedError for a chunk that a reader must know."""
    if chr(kind).isupper():
        raise UnsupportedError(
            f"the file needs chunk type {chr(kind)!r}, which this version of kodec does not "
            "know; update kodec"
        )
