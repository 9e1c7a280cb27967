"""A loaded model of sequences: frames to a file as they come, and back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import BinaryIO, Self

import torch
from torch import Tensor

from kodec.codecs.container import (
    ChunkReader,
    ChunkWriter,
    Lost,
    SequenceHeader,
    Step,
)
from kodec.codecs.loaded_model import LoadedModel
from kodec.codecs.memory_guard import MemoryGuard
from kodec.native import BitstreamError, InvalidInputError, MismatchError, UnsupportedError

from .display_order import DisplayOrder, Shown
from .frames import Frame, VideoFormat
from .rate_control import RateControl
from .rgb_frames import frame_of_rgb, rgb_of_frame
from .scene_cuts import SceneCuts
from .scheduling import Schedule, Scheduled
from .sequence_model import SequenceModel
from .stepping import Stepper
from .structures import Structure


@dataclass(frozen=True)
class CodedStep:
    """One step that was written: its frames as they came and as its decoder shows them."""

    step: Step
    quality: int | None
    bits: int
    """Of its packet, as its share of it where others are in it too, framing included."""
    sources: list[Frame]
    shown: list[Frame]


@dataclass(frozen=True)
class Coding:
    """How a sequence is coded.

    quality: 0 to 63, by default 32; None for a model of fixed rate. structure: None for the
    model's own. intra_period: frames from one refresh to the next; 0: the first alone. scene_cuts:
    whether a cut is a refresh too. control: chooses qualities in place of `quality`.
    """

    quality: int | None = None
    structure: Structure | None = None
    intra_period: int = 0
    scene_cuts: bool = True
    control: RateControl | None = None


@dataclass(frozen=True)
class _Source:
    """A frame that waits to be coded."""

    frame: Frame
    time: int


class VideoCodec(LoadedModel[SequenceModel]):
    """A model ready to code sequences, on one device."""

    def structure(self, coding: Coding) -> Structure:
        """The structure to use; raises InvalidInputError where the model can't code in it."""
        structure = coding.structure or Structure(self.network.structure)
        if structure.references > max(self.network.reference_counts):
            most = max(self.network.reference_counts)
            raise InvalidInputError(
                f"the structure {structure.name} has {structure.references} references, the model "
                f"{self.name} takes {most}: name another"
            )
        return structure

    def writer(
        self,
        file: BinaryIO,
        form: VideoFormat,
        coding: Coding = Coding(),
        ticks: int | None = None,
        on_step: Callable[[CodedStep], None] | None = None,
    ) -> "VideoWriter":
        """Code frames of the format to `file`, which need not be seekable, as they are pushed.

        ticks: of the clock in a frame, where frames come with times of their own. on_step: is told
        of each step that was written. Raises InvalidInputError and UnsupportedError.
        """
        return VideoWriter(self, file, form, coding, ticks, on_step)

    def frames(self, reader: ChunkReader, start: int = 0) -> "VideoFrames":
        """The frames of a file from number `start` on, in display order, decoded as they are asked
        for.

        Raises BitstreamError for damaged data, UnsupportedError for another model's.
        """
        return VideoFrames(self, reader, start)


class VideoWriter:
    """Codes frames as they are pushed; `close`, which `with` calls, codes what still waits."""

    def __init__(
        self,
        codec: VideoCodec,
        file: BinaryIO,
        form: VideoFormat,
        coding: Coding,
        ticks: int | None,
        on_step: Callable[[CodedStep], None] | None,
    ) -> None:
        self._structure = codec.structure(coding)
        quality = codec.check_quality(coding.quality)
        if coding.control is not None and quality is None:
            raise InvalidInputError(
                f"the model {codec.name} has one fixed rate: it can't be held to another"
            )
        self._form = form
        self._control = coding.control
        self._codec = codec
        self._quality = quality
        self._stepper = Stepper(codec.network, (form.height, form.width), quality, codec.device)
        self._cuts = SceneCuts() if coding.scene_cuts else None
        self._schedule: Schedule[_Source] = Schedule(
            self._structure,
            codec.network.group,
            coding.intra_period,
            None if ticks is None else lambda source: source.time,
        )
        self._on_step = on_step
        self.frames = 0
        """How many were pushed."""
        self._chunks = ChunkWriter(file, self._header(ticks))

    def _header(self, ticks: int | None) -> SequenceHeader:
        form, codec = self._form, self._codec
        return SequenceHeader(
            form.width,
            form.height,
            form.components,
            self._quality,
            codec.info.model_id,
            codec.network.portability,
            self._structure.plan(codec.network.group),
            form.fps,
            1 if ticks is None else ticks,
            form.bit_depth,
            form.sampling,
            form.colour,
            codec.machine(),
        )

    @property
    def bytes_written(self) -> int:
        """So far."""
        return self._chunks.bytes_written

    def push(self, frame: Frame, time: int | None = None) -> None:
        """The next frame in display order: planes of the format; time in ticks.

        Raises InvalidInputError for a frame of another shape or type.
        """
        self._form.check(frame)
        cut = self._cuts is not None and self._cuts.is_cut(frame[0], self._form.bit_depth)
        source = _Source(frame, self.frames if time is None else time)
        self.frames += 1
        for scheduled in self._schedule.push(source, cut):
            self._write(scheduled)

    def _write(self, scheduled: Scheduled[_Source]) -> None:
        step, sources = scheduled.step, [source.frame for source in scheduled.frames]
        if self._control is not None and self._quality is not None:
            wanted = self._control.quality(step)
            step = replace(step, quality=wanted - self._quality)
        form, device = self._form, self._codec.device
        with MemoryGuard(form.width, form.height):
            x = torch.stack([rgb_of_frame(frame, form) for frame in sources])[None].to(device)
            data, shown = self._stepper.encode([step], [x])
        before = self._chunks.bytes_written
        self._chunks.write(data, [step])
        bits = 8 * (self._chunks.bytes_written - before)
        quality = self._stepper.quality_of(step)
        if self._control is not None and quality is not None:
            self._control.spent(scheduled.step, quality, bits)
        if self._on_step is not None:
            decoded = [frame_of_rgb(x_hat, form) for x_hat in _pictures(shown[0])]
            self._on_step(CodedStep(step, quality, bits, sources, decoded))

    def close(self) -> None:
        """Code the frames that wait, and end the file. Raises InvalidInputError without frames."""
        if not self.frames:
            raise InvalidInputError("a video has frames: none was given")
        for scheduled in self._schedule.flush():
            self._write(scheduled)
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()


class VideoFrames:
    """Iterates over a file's frames in display order, as planes of `form`.

    Of a reader that keeps what is damaged, frames that are lost are repetitions of the one before
    them; `lost` counts them.
    """

    def __init__(self, codec: VideoCodec, reader: ChunkReader, start: int) -> None:
        header = reader.header
        if not isinstance(header, SequenceHeader):
            raise UnsupportedError("the file holds no video")
        codec.check_header(header)
        self.form = VideoFormat.of_header(header)
        self.lost = 0
        """How many frames so far could not be decoded."""
        self.steps = 0
        self._codec = codec
        self._reader = reader
        self._header = header
        self._start = start
        size = header.height, header.width
        self._stepper = Stepper(codec.network, size, header.quality, codec.device)

    def __iter__(self) -> Iterator[Shown[Frame]]:
        for shown in self._in_order():
            if shown.number >= self._start:
                self.lost += shown.lost
                yield shown

    def _in_order(self) -> Iterator[Shown[Frame]]:
        keep = self._reader.keeps_damaged
        order: DisplayOrder[Frame] | None = None
        intact = False
        if self._start:
            self._reader.seek(self._start)
        for packet in self._reader:
            if isinstance(packet, Lost):
                intact = False
                if order is not None:
                    order.lose(packet.count)
                continue
            refresh = packet.steps[0].refresh
            if order is None:
                order = DisplayOrder(self._header.plan, packet.steps[0].first, keep)
            intact = (intact and packet.intact) or refresh
            if not intact:
                order.lose(1)
                continue
            try:
                decoded = self._decode(packet.data, packet.steps)
            except BitstreamError:
                if not keep:
                    raise
                intact = False
                order.lose(1)
                continue
            for step, frames in zip(packet.steps, decoded, strict=True):
                yield from order.take(step, frames)
        if order is not None:
            yield from order.finish()

    def _decode(self, data: bytes, steps: tuple[Step, ...]) -> list[list[Frame]]:
        form = self.form
        with MemoryGuard(form.width, form.height):
            try:
                shown = self._stepper.decode(data, steps)
                return [[frame_of_rgb(x, form) for x in _pictures(x_hat)] for x_hat in shown]
            except MismatchError as error:
                raise MismatchError(f"frame {steps[0].first}: {error}") from None
            except BitstreamError as error:
                raise BitstreamError(f"frame {steps[0].first}: {error}") from None


def _pictures(x_hat: Tensor) -> list[Tensor]:
    """Of one step (1, T, 3, H, W), its pictures (3, H, W)."""
    return list(x_hat[0].cpu())
