"""Frames to a file, as they come."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from types import TracebackType
from typing import IO, Self

import av
import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs.container import ChunkWriter, SequenceHeader, Step
from kodec.codecs.loaded_model import LoadedModel
from kodec.codecs.memory_guard import MemoryGuard
from kodec.codecs.video_files.frame_times import FrameClock
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.picture_folder import frame_of_pixels
from kodec.codecs.video_files.pixel_formats import planes_of
from kodec.codecs.video_files.rgb_frames import frame_of_rgb, rgb_of_frame
from kodec.native import InvalidInputError

from .rate_control import RateControl
from .scene_cuts import SceneCuts
from .scheduling import Schedule, Scheduled
from .sequence_model import SequenceModel, Slots
from .stepping import Encoded, Stepper, pictures_of
from .stream_format import SAMPLINGS
from .structures import Structure

_SMALL_FRAME = 1 << 17
"""Pixels of a frame that may share a packet: up to 416x240 and 352x288."""
_SHARE = 4
_AROUND_PACKET = 16
"""Bytes that frame a packet, until one was written."""
_END = 12
"""Bytes of a file's end, about, without its index."""
_INDEXED = 5
"""Bytes of a refresh in the index, about."""


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
    packet's framing; with a control always 1, as it may have each coded again.
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


def structure_of(codec: LoadedModel[SequenceModel], coding: Coding) -> Structure:
    """The structure to use; raises InvalidInputError where the model can't code in it."""
    structure = coding.structure or Structure(codec.network.structure)
    most = max(codec.network.reference_counts)
    if structure.references > most:
        raise InvalidInputError(
            f"the structure {structure.name} has {structure.references} references, the model "
            f"{codec.name} takes {most}: name another"
        )
    return structure


class VideoEncoder:
    """Codes frames as they are pushed; `close`, which `with` calls, codes what still waits."""

    def __init__(
        self,
        codec: LoadedModel[SequenceModel],
        file: IO[bytes],
        form: VideoFormat,
        coding: Coding,
        clock: FrameClock | None,
        on_step: Callable[[CodedStep], None] | None,
    ) -> None:
        self._structure = structure_of(codec, coding)
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
        usual = _SHARE if small else 1
        self._share = 1 if coding.control is not None else coding.share or usual
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
        self._around = _AROUND_PACKET
        """Bytes that framed the last packet."""
        if self._control is not None:
            self._control.charge(8 * (self._chunks.bytes_written + _END))

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
            SAMPLINGS[form.chroma],
            form.colour,
            codec.machine(),
        )

    @property
    def bytes_written(self) -> int:
        """So far."""
        return self._chunks.bytes_written

    def push(
        self, frame: Frame | NDArray[np.uint8] | av.VideoFrame, seconds: Fraction | None = None
    ) -> None:
        """The next frame in display order; seconds: when it is shown, from the first on.

        frame: planes of the format; uint8 (H, W, 3) for a format of RGB, (H, W, 1) for gray; or
        what PyAV decoded. Raises InvalidInputError for a frame of another shape or type.
        """
        if isinstance(frame, np.ndarray):
            frame = frame_of_pixels(frame)
        elif isinstance(frame, av.VideoFrame):
            frame = planes_of(frame, self._form)
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
        steps = [self._timed(scheduled) for scheduled in waiting]
        sources = [[source.frame for source in scheduled.frames] for scheduled in waiting]
        with MemoryGuard(form.width, form.height):
            x = [
                torch.from_numpy(np.stack([rgb_of_frame(f, form) for f in frames]))[None].to(device)
                for frames in sources
            ]
            steps, (data, shown, shares) = self._coded(steps, x)
        before = self._chunks.bytes_written
        self._chunks.write(data, steps)
        # What a live pipe's reader waits for, and what a kill must not take away.
        self._file.flush()
        written = self._chunks.bytes_written - before
        bits = 8 * written
        if self._control is not None:
            indexed = _INDEXED if steps[0].refresh else 0
            self._control.charge(8 * (written - len(data) - self._around + indexed))
        self._around = written - len(data)
        for number, (step, frames) in enumerate(zip(steps, sources, strict=True)):
            quality, own_bits = self._stepper.quality_of(step), round(shares[number] * bits)
            if self._on_step is not None:
                decoded = [frame_of_rgb(x_hat, form) for x_hat in pictures_of(shown[number])]
                self._on_step(CodedStep(step, quality, own_bits, frames, decoded))

    def _timed(self, scheduled: Scheduled[_Source]) -> Step:
        """The step with its times."""
        step = scheduled.step
        seconds = [source.seconds for source in scheduled.frames if source.seconds is not None]
        if seconds:
            step = replace(step, times=self._clock.times_of(step.first, seconds))
        return step

    def _coded(self, steps: list[Step], x: list[torch.Tensor]) -> tuple[list[Step], Encoded]:
        """A packet's steps with their qualities, and what they come to."""
        control, usual = self._control, self._quality
        if control is None or usual is None:
            return steps, self._stepper.encode(steps, x)
        (step,) = steps
        before = self._stepper.slots

        def encode(quality: int) -> tuple[int, tuple[Step, Encoded, Slots]]:
            self._stepper.slots = Slots(before)
            chosen = replace(step, quality=quality - usual)
            encoded = self._stepper.encode([chosen], x)
            bits = 8 * (len(encoded[0]) + self._around)
            return bits, (chosen, encoded, self._stepper.slots)

        chosen, encoded, self._stepper.slots = control.code(step, encode)
        return [chosen], encoded

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
