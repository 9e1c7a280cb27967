"""A loaded model of sequences: frames to a file as they come, and back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.codecs.catalogue import find_model, model_path
from kodec.codecs.container import (
    Chroma,
    ChunkReader,
    ChunkWriter,
    Kind,
    Lost,
    SequenceHeader,
    Step,
)
from kodec.codecs.loaded_model import LoadedModel, check_device
from kodec.codecs.memory_guard import MemoryGuard
from kodec.codecs.model_file import load_model
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.native import BitstreamError, InvalidInputError, MismatchError, UnsupportedError

from .display_order import DisplayOrder, Shown
from .frame_times import FrameClock
from .frames import Chroma as Sampling
from .frames import Frame, VideoFormat
from .intra_frames import IntraFrames
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
    model's own. intra_period: frames from one refresh to the next; 0: the first alone, and where
    every frame is coded by itself, two packets' frames. scene_cuts: whether a cut is a refresh too.
    control: chooses qualities in place of `quality`. share: steps in a packet, which is written
    when they are there, refreshes apart; None: 4 of small frames, which may take less than a
    packet's framing, but 1 with a control, which learns from each.
    """

    quality: int | None = None
    structure: Structure | None = None
    intra_period: int = 0
    scene_cuts: bool = True
    control: RateControl | None = None
    share: int | None = None


@dataclass(frozen=True)
class _Source:
    """A frame that waits to be coded."""

    frame: Frame
    seconds: Fraction | None


_SAMPLINGS: dict[Sampling, Chroma] = {
    "444": "4:4:4",
    "422": "4:2:2",
    "420": "4:2:0",
    # Gray has no chroma; its head says this.
    "400": "4:4:4",
}


_SMALL_FRAME = 1 << 17
"""Pixels of a frame that may share a packet: up to 416x240 and 352x288."""
_SHARE = 4

SEQUENCES: tuple[Kind, ...] = ("sequence",)
"""What a reader of videos takes."""


def format_of_header(header: SequenceHeader) -> VideoFormat:
    """The format of a file's frames."""
    chroma = next(name for name, chroma in _SAMPLINGS.items() if chroma == header.chroma)
    return VideoFormat(
        header.width,
        header.height,
        "400" if header.components == 1 else chroma,
        header.bit_depth,
        header.rate,
        header.colour,
    )


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

    def encoder(
        self,
        file: IO[bytes],
        form: VideoFormat,
        coding: Coding = Coding(),
        clock: FrameClock | None = None,
        on_step: Callable[[CodedStep], None] | None = None,
    ) -> "VideoEncoder":
        """Code frames of the format to `file`, which need not be seekable, as they are pushed.

        clock: where frames come with times of their own. on_step: is told of each step that was
        written. Raises InvalidInputError and UnsupportedError.
        """
        return VideoEncoder(self, file, form, coding, clock, on_step)

    def decoder(self, reader: ChunkReader, start: int = 0) -> "VideoDecoder":
        """The frames of a file from number `start` on, in display order, decoded as they are asked
        for.

        Raises BitstreamError for damaged data, UnsupportedError for another model's.
        """
        return VideoDecoder(self, reader, start)


class VideoEncoder:
    """Codes frames as they are pushed; `close`, which `with` calls, codes what still waits."""

    def __init__(
        self,
        codec: VideoCodec,
        file: IO[bytes],
        form: VideoFormat,
        coding: Coding,
        clock: FrameClock | None,
        on_step: Callable[[CodedStep], None] | None,
    ) -> None:
        self._structure = codec.structure(coding)
        quality = codec.check_quality(coding.quality)
        if coding.control is not None and quality is None:
            raise InvalidInputError(
                f"the model {codec.name} has one fixed rate: it can't be held to another"
            )
        self._file = file
        self._form = form
        self._control = coding.control
        self._codec = codec
        self._quality = quality
        self._stepper = Stepper(codec.network, (form.height, form.width), quality, codec.device)
        self._cuts = SceneCuts() if coding.scene_cuts else None
        small = form.width * form.height <= _SMALL_FRAME
        self._share = coding.share or (_SHARE if small and coding.control is None else 1)
        period = coding.intra_period
        if self._structure.name == "intra" and not period:
            period = 1 if self._share == 1 else 2 * self._share
        self._schedule: Schedule[_Source] = Schedule(self._structure, codec.network.group, period)
        self._clock = FrameClock(form.fps) if clock is None else clock
        self._on_step = on_step
        self._waiting: list[Scheduled[_Source]] = []
        """Steps that are to share a packet."""
        self.frames = 0
        """How many were pushed."""
        self._chunks = ChunkWriter(file, self._header())
        if self._control is not None:
            self._control.charge(8 * self._chunks.bytes_written)

    def _header(self) -> SequenceHeader:
        form, codec = self._form, self._codec
        return SequenceHeader(
            form.width,
            form.height,
            1 if form.chroma == "400" else 3,
            self._quality,
            codec.info.model_id,
            codec.network.portability,
            self._structure.plan(codec.network.group, self._share),
            self._clock.rate,
            self._clock.ticks,
            form.bit_depth,
            _SAMPLINGS[form.chroma],
            form.colour,
            codec.machine(),
        )

    @property
    def bytes_written(self) -> int:
        """So far."""
        return self._chunks.bytes_written

    def push(self, frame: Frame, seconds: Fraction | None = None) -> None:
        """The next frame in display order: planes of the format; when it is shown, from the first.

        Raises InvalidInputError for a frame of another shape or type.
        """
        self._form.check(frame)
        cut = self._cuts is not None and self._cuts.is_cut(frame[0], self._form.bit_depth)
        self.frames += 1
        for scheduled in self._schedule.push(_Source(frame, seconds), cut):
            self._write(scheduled)

    def _write(self, scheduled: Scheduled[_Source]) -> None:
        if scheduled.step.refresh:
            self._write_packet()
        self._waiting.append(scheduled)
        if scheduled.step.refresh or len(self._waiting) == self._share:
            self._write_packet()

    def _write_packet(self) -> None:
        """All steps that wait."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        form, device = self._form, self._codec.device
        steps = [self._described(scheduled) for scheduled in waiting]
        sources = [[source.frame for source in scheduled.frames] for scheduled in waiting]
        with MemoryGuard(form.width, form.height):
            x = [
                torch.from_numpy(np.stack([rgb_of_frame(f, form) for f in frames]))[None].to(device)
                for frames in sources
            ]
            data, shown, shares = self._stepper.encode(steps, x)
        before = self._chunks.bytes_written
        self._chunks.write(data, steps)
        # What a live pipe's reader waits for, and what a kill must not take away.
        self._file.flush()
        bits = 8 * (self._chunks.bytes_written - before)
        for number, (step, frames) in enumerate(zip(steps, sources, strict=True)):
            quality, own_bits = self._stepper.quality_of(step), round(shares[number] * bits)
            if self._control is not None and quality is not None:
                self._control.spent(waiting[number].step, quality, own_bits)
            if self._on_step is not None:
                decoded = [frame_of_rgb(x_hat, form) for x_hat in _pictures(shown[number])]
                self._on_step(CodedStep(step, quality, own_bits, frames, decoded))

    def _described(self, scheduled: Scheduled[_Source]) -> Step:
        """The step with its times and its quality."""
        step = scheduled.step
        seconds = [source.seconds for source in scheduled.frames if source.seconds is not None]
        if seconds:
            step = replace(step, times=self._clock.times_of(step.first, seconds))
        if self._control is not None and self._quality is not None:
            wanted = self._control.quality(step)
            step = replace(step, quality=wanted - self._quality)
        return step

    def close(self) -> None:
        """Code the frames that wait, and end the file. Raises InvalidInputError without frames."""
        if not self.frames:
            raise InvalidInputError("a video has frames: none was given")
        for scheduled in self._schedule.flush():
            self._write(scheduled)
        self._write_packet()
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


class VideoDecoder:
    """Iterates over a file's frames in display order, as planes of `form`.

    Of a reader that keeps what is damaged, frames that are lost are repetitions of the one before
    them; `lost` counts them.
    """

    def __init__(self, codec: VideoCodec, reader: ChunkReader, start: int) -> None:
        header = reader.header
        if not isinstance(header, SequenceHeader):
            raise UnsupportedError("the file holds no video")
        codec.check_header(header)
        self.form = format_of_header(header)
        self.clock = FrameClock(header.rate, header.ticks)
        self.lost = 0
        """How many frames so far could not be decoded."""
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


def _pictures(x_hat: Tensor) -> list[NDArray[Any]]:
    """Of one step (1, T, 3, H, W), its pictures (3, H, W)."""
    return list(x_hat[0].cpu().numpy())


def load_video(
    model: str | Path = "default", device: str = "cpu", trusted: Sequence[str] = ()
) -> VideoCodec:
    """Load a model for sequences, embedded by name or a file by path.

    A model of pictures codes each frame by itself. Arguments and errors: see `kodec.load`.
    """
    check_device(device)
    network, info = load_model(find_model(model), trusted)
    if isinstance(network, PictureCodec):
        return VideoCodec(IntraFrames(network), info, device)
    if not isinstance(network, SequenceModel):
        raise InvalidInputError(f"the model {info.name} is of {type(network).__name__}, not videos")
    return VideoCodec(network, info, device)


def read_video(path: str | Path, device: str = "cpu") -> Iterator[Shown[Frame]]:
    """The frames of a `.kdc` file in display order, by the embedded model that wrote it."""
    with Path(path).open("rb") as file:
        reader = ChunkReader(file, kinds=SEQUENCES)
        header = reader.header
        assert isinstance(header, SequenceHeader)
        yield from load_video(model_path(header.model_id), device).decoder(reader)
