"""Steps of a sequence: which frames a packet codes, from what, at which quality.

A sequence's head has a plan; a step that follows it costs one byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kodec.native import BitstreamError, InvalidInputError

from .fields import Fields
from .varint import MAX_VARINT, write_varint

MAX_SLOTS = 16
"""Most states that a decoder keeps."""
MAX_GROUP = 64
"""Most frames in a step."""
MAX_SHARE = 64
"""Most steps in a packet."""
MAX_CYCLE = 64
"""Most steps in a plan."""
QUALITY_OFFSETS = range(-64, 64)

# Bits of a step's first byte: what it says itself, in this order, in place of its plan.
_REFRESH, _FRAMES, _REFERENCES, _KEEP, _QUALITY, _TIMES, _ANOTHER = 1, 2, 4, 8, 16, 32, 128
_KNOWN = _REFRESH | _FRAMES | _REFERENCES | _KEEP | _QUALITY | _TIMES | _ANOTHER
_NO_SLOT = 0xFF


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan's cycle."""

    place: int
    """Which group of frames of the cycle, in display order, from 0."""
    references: tuple[int, ...]
    """Slots whose states it reads, in the model's order."""
    keep: int | None
    """Slot that its own state goes to, or None."""
    quality: int = 0
    """What is added to the sequence's quality, -64 to 63."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The order of a sequence's steps, and what each refers to, unless a step says otherwise.

    A refresh is a step that reads nothing; it empties all slots and keeps its state in slot 0.
    The cycle then runs over and over up to the next refresh: turn n codes the groups of frames
    1 + n L to (n + 1) L after the refresh's own, L being the cycle's length.

    Raises InvalidInputError if a field is out of its range.
    """

    cycle: tuple[PlannedStep, ...] = (PlannedStep(0, (0,), 0),)
    """1 to `MAX_CYCLE` steps in coding order, by default each from the one before it."""
    group: int = 1
    """Frames in a step, 1 to `MAX_GROUP`."""
    share: int = 1
    """Steps in a packet, 1 to `MAX_SHARE`; a refresh has its packet to itself, and the last packet
    before one may have fewer."""

    def __post_init__(self) -> None:
        if not 1 <= self.group <= MAX_GROUP or not 1 <= self.share <= MAX_SHARE:
            raise InvalidInputError(
                f"a step has 1 to {MAX_GROUP} frames and a packet 1 to {MAX_SHARE} steps, not "
                f"{self.group} and {self.share}"
            )
        places = sorted(step.place for step in self.cycle)
        if not 1 <= len(places) <= MAX_CYCLE or places != list(range(len(places))):
            raise InvalidInputError(
                f"a plan's cycle has 1 to {MAX_CYCLE} steps, each place once, not {places}"
            )
        for step in self.cycle:
            check_links(step.references, step.keep, step.quality)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step codes. Raises InvalidInputError if a field is out of its range."""

    first: int
    """Number of its first frame in display order, from 0."""
    frames: int = 1
    """How many frames in a row, 1 to `MAX_GROUP`."""
    references: tuple[int, ...] = ()
    """Slots whose states it reads, 0 to 15, in the model's order."""
    keep: int | None = 0
    """Slot that its own state goes to, or None."""
    quality: int = 0
    """What is added to the sequence's quality, -64 to 63."""
    refresh: bool = False
    """Whether decoding can begin here: all slots are emptied, no later step refers to earlier
    ones, and no earlier step has a later frame."""
    times: tuple[int, ...] | None = None
    """Where frames are not evenly spaced, the time in ticks at which each is shown."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= MAX_GROUP or not 0 <= self.first <= MAX_VARINT - self.frames:
            raise InvalidInputError(
                f"a step has 1 to {MAX_GROUP} frames from 0 to {MAX_VARINT}, not {self.frames} "
                f"from {self.first}"
            )
        check_links(self.references, self.keep, self.quality)
        if self.refresh and self.references:
            raise InvalidInputError("a refresh refers to nothing before it")
        if self.times is not None and (
            len(self.times) != self.frames
            or not all(0 <= time <= MAX_VARINT for time in self.times)
        ):
            raise InvalidInputError(
                f"times are 0 to {MAX_VARINT}, one for each of {self.frames} frames"
            )


def check_links(references: tuple[int, ...], keep: int | None, quality: int) -> None:
    """Raise InvalidInputError if a slot or the quality's offset is out of range."""
    slots = references if keep is None else (*references, keep)
    if len(references) > MAX_SLOTS:
        raise InvalidInputError(
            f"a step refers to at most {MAX_SLOTS} slots, not to {len(references)}"
        )
    if not all(0 <= slot < MAX_SLOTS for slot in slots):
        raise InvalidInputError(f"a step refers to slots 0 to {MAX_SLOTS - 1}, not {slots}")
    if quality not in QUALITY_OFFSETS:
        raise InvalidInputError(f"a quality's offset is -64 to 63, not {quality}")


def is_refresh(payload: bytes) -> bool:
    """Whether the payload of a sequence's packet says that decoding can begin there."""
    return len(payload) > 0 and bool(payload[0] & _REFRESH)


def refresh_frame(payload: bytes) -> int | None:
    """The first frame of the refresh at the front of a packet's payload; None for no refresh."""
    if not is_refresh(payload):
        return None
    fields = Fields(payload, "a refresh")
    fields.byte()
    return fields.varint()


class StepCoder:
    """Steps to bytes or back, packet by packet; both ways keep the same account.

    It knows where the last refresh was and which slots hold a state, and so what a step would be
    by the plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.intact = True
        """Whether no packet since the last refresh was lost."""
        self._refresh: tuple[int, int] | None = None
        self._filled = 0
        self._end = 0

    def lose(self) -> None:
        """A packet was lost: which slots hold what is unknown up to the next refresh."""
        self.intact = False
        self._filled = (1 << MAX_SLOTS) - 1

    def write(self, packet: int, steps: Sequence[Step]) -> bytes:
        """The steps of packet number `packet`, in coding order.

        Raises InvalidInputError for too many or no steps, a reference to an empty slot, or a
        refresh that is not alone.
        """
        if not 1 <= len(steps) <= self.plan.share:
            raise InvalidInputError(
                f"a packet of this sequence has 1 to {self.plan.share} steps, not {len(steps)}"
            )
        account = self._refresh, self._filled, self._end, self.intact
        try:
            return b"".join(
                _write_step(step, self._planned(packet, index, step), index + 1 < len(steps))
                for index, step in enumerate(steps)
            )
        except InvalidInputError:
            self._refresh, self._filled, self._end, self.intact = account
            raise

    def read(self, packet: int, payload: bytes) -> tuple[tuple[Step, ...], int]:
        """The steps at the front of packet number `packet`, and how many bytes they took.

        Raises BitstreamError.
        """
        fields = Fields(payload, f"the head of packet {packet}")
        steps: list[Step] = []
        flags = _ANOTHER
        try:
            while flags & _ANOTHER:
                if len(steps) == self.plan.share:
                    raise InvalidInputError(f"it has more than {self.plan.share} steps")
                flags = fields.byte()
                if flags & ~_KNOWN:
                    raise InvalidInputError(f"it has the unknown flags {flags & ~_KNOWN}")
                planned = self._by_plan(packet, len(steps), bool(flags & _REFRESH), fields)
                step = _read_step(flags, planned, fields)
                self._enter(step)
                steps.append(step)
        except InvalidInputError as error:
            raise BitstreamError(f"the head of packet {packet} is damaged: {error}") from None
        return tuple(steps), fields.position

    def _planned(self, packet: int, index: int, step: Step) -> Step:
        if step.refresh:
            planned = self._start(packet, index, step.first)
        else:
            planned = self._by_plan(packet, index, False, None)
        self._enter(step)
        return planned

    def _by_plan(self, packet: int, index: int, refresh: bool, fields: Fields | None) -> Step:
        """What the step number `index` of a packet is unless it says otherwise."""
        if refresh and fields is not None:
            return self._start(packet, index, fields.varint())
        if self._refresh is None:
            raise InvalidInputError("a sequence begins with a refresh")
        begin, first = self._refresh
        if packet == begin:
            raise InvalidInputError("a refresh has its packet to itself")
        number = (packet - begin - 1) * self.plan.share + index
        turn, place = divmod(number, len(self.plan.cycle))
        planned = self.plan.cycle[place]
        group = 1 + turn * len(self.plan.cycle) + planned.place
        return Step(
            min(first + self.plan.group * group, MAX_VARINT - self.plan.group),
            self.plan.group,
            planned.references,
            planned.keep,
            planned.quality,
        )

    def _start(self, packet: int, index: int, first: int) -> Step:
        if index:
            raise InvalidInputError("a refresh has its packet to itself")
        if first < self._end:
            raise InvalidInputError(
                f"a refresh at frame {first} follows steps up to frame {self._end - 1}"
            )
        self._refresh = packet, first
        self._filled = 0
        self.intact = True
        return Step(first, self.plan.group, refresh=True)

    def _enter(self, step: Step) -> None:
        if self._refresh is not None and step.first < self._refresh[1]:
            raise InvalidInputError(
                f"a step of frame {step.first} follows a refresh at frame {self._refresh[1]}"
            )
        self._end = max(self._end, step.first + step.frames)
        for slot in step.references:
            if not self._filled >> slot & 1:
                raise InvalidInputError(
                    f"the step of frame {step.first} refers to slot {slot}, which holds nothing"
                )
        if step.keep is not None:
            self._filled |= 1 << step.keep


def _write_step(step: Step, planned: Step, another: bool) -> bytes:
    flags, parts = _ANOTHER * another, [b""]
    if step.refresh:
        flags |= _REFRESH
        parts.append(write_varint(step.first))
    if (step.first, step.frames) != (planned.first, planned.frames):
        flags |= _FRAMES
        parts += write_varint(step.first), bytes([step.frames])
    if step.references != planned.references:
        flags |= _REFERENCES
        parts.append(bytes([len(step.references), *step.references]))
    if step.keep != planned.keep:
        flags |= _KEEP
        parts.append(bytes([_NO_SLOT if step.keep is None else step.keep]))
    if step.quality != planned.quality:
        flags |= _QUALITY
        parts.append(bytes([step.quality & 0xFF]))
    if step.times is not None:
        flags |= _TIMES
        parts += map(write_varint, step.times)
    parts[0] = bytes([flags])
    return b"".join(parts)


def _read_step(flags: int, planned: Step, fields: Fields) -> Step:
    if not flags & ~(_REFRESH | _ANOTHER):
        return planned
    first, frames = planned.first, planned.frames
    references, keep, quality, times = planned.references, planned.keep, planned.quality, None
    if flags & _FRAMES:
        first, frames = fields.varint(), fields.byte()
    if flags & _REFERENCES:
        references = _read_slots(fields)
    if flags & _KEEP:
        keep = _read_slot(fields)
    if flags & _QUALITY:
        quality = fields.signed_byte()
    if flags & _TIMES:
        times = tuple(fields.varint() for _ in range(min(frames, MAX_GROUP)))
    if planned.refresh and first != planned.first:
        raise InvalidInputError("it gives a refresh two first frames")
    return Step(first, frames, references, keep, quality, planned.refresh, times)


def _read_slots(fields: Fields) -> tuple[int, ...]:
    return tuple(fields.take(fields.byte()))


def _read_slot(fields: Fields) -> int | None:
    slot = fields.byte()
    return None if slot == _NO_SLOT else slot


def write_plan(plan: Plan) -> bytes:
    """The plan's bytes in a sequence's head."""
    parts = [bytes([plan.group, plan.share, len(plan.cycle)])]
    for step in plan.cycle:
        keep = _NO_SLOT if step.keep is None else step.keep
        parts.append(bytes([step.place, keep, step.quality & 0xFF]))
        parts.append(bytes([len(step.references), *step.references]))
    return b"".join(parts)


def read_plan(fields: Fields) -> Plan:
    """A plan in a sequence's head; raises BitstreamError or InvalidInputError."""
    group, share, length = fields.byte(), fields.byte(), fields.byte()
    cycle = []
    for _ in range(min(length, MAX_CYCLE + 1)):
        place, keep, quality = fields.byte(), _read_slot(fields), fields.signed_byte()
        cycle.append(PlannedStep(place, _read_slots(fields), keep, quality))
    return Plan(tuple(cycle), group, share)
