"""Video in whatever libav demuxes and decodes, in its own pixel format."""

import logging
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import av
from av.container import InputContainer

from kodec.codecs.container import MAX_PIXELS
from kodec.codecs.container.head_fields import check_pixels
from kodec.codecs.container.sequence_head import Colour
from kodec.native import BitstreamError, UnsupportedError

from .frames import Frame, VideoFormat
from .orientation import Orientation, orientation_of
from .pixel_formats import UNSPECIFIED, format_of, planes_of
from .sound_decoding import open_quietly, seconds_of, sound_frames
from .video import Reader

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG

_log = logging.getLogger(__name__)


class LibavVideo(NamedTuple):
    """What a container's first video stream is, and what reads it."""

    form: VideoFormat
    time_base: Fraction
    read: Reader
    stated: int | None
    """How many frames its head says that it has, or how long it lasts."""


def open_libav_file(path: Path, as_stored: bool) -> LibavVideo:
    """The video of a file, which is opened anew for each reading; see `open_video`."""
    name = str(path)
    with (opened := _Opened(name, name)).container:
        form, time_base = _form_of(opened), _time_base_of(opened)
        stated = _stated_frames(opened, form)
        turn = Orientation()
        if not as_stored:
            turn = _orientation_of(next(_sound(opened, form), None), name)
            _note_what_is_left_out(opened)

    def read(start: int) -> Iterator[tuple[Frame, Fraction | None]]:
        with (opened := _Opened(name, name)).container:
            yield from _planes(_sound(opened, form), form, turn, start)

    return LibavVideo(turn.form_of(form, name), time_base, read, stated)


class CountedPipe:
    """A pipe's bytes, which can't be gone back in, and how many of them were read."""

    def __init__(self, pipe: IO[bytes], head: bytes) -> None:
        self._pipe, self._head = pipe, head
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if self._head:
            size = len(self._head) if size < 0 else size
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._pipe.read(size)
        self.count += len(data)
        return data


def open_libav_pipe(
    pipe: CountedPipe, name: str
) -> tuple[VideoFormat, Fraction, Iterator[tuple[Frame, Fraction | None]]]:
    """The video of a pipe and its frames, which come once."""
    opened = _Opened(pipe, name)
    try:
        form, time_base = _form_of(opened), _time_base_of(opened)
        frames = _sound(opened, form)
        first = next(frames, None)
        turn = _orientation_of(first, name)
        _note_what_is_left_out(opened)
        shown = turn.form_of(form, name)
    except BaseException:
        opened.container.close()
        raise

    def read() -> Iterator[tuple[Frame, Fraction | None]]:
        with opened.container:
            all_frames = chain([] if first is None else [first], frames)
            yield from _planes(all_frames, form, turn, 0)

    return shown, time_base, read()


class _Opened:
    """A container with video in it, and what libav said of it. Raises BitstreamError."""

    def __init__(self, file: str | CountedPipe, name: str) -> None:
        self.file, self.name = file, name
        try:
            self.container: InputContainer
            self.container, self.said = open_quietly(file)  # type: ignore[arg-type]
        except (av.FFmpegError, OSError) as error:
            pipe = "" if isinstance(file, str) else ", or its kind cannot be read from a pipe"
            raise BitstreamError(
                f"{name} is not a video or is damaged{pipe}: {error.strerror}"
            ) from error
        if not self.container.streams.video:
            self.container.close()
            raise BitstreamError(f"{name} holds no video")

    def size(self) -> int:
        """Bytes of the file, or of what was read of a pipe."""
        return self.container.size if isinstance(self.file, str) else self.file.count


def _form_of(opened: _Opened) -> VideoFormat:
    stream = opened.container.streams.video[0]
    rate = stream.average_rate or stream.guessed_rate or Fraction(30)
    # There is no context where the codec is unknown, and no format where no frame told it.
    name = None if stream.codec_context is None else stream.codec_context.pix_fmt
    if name is None:
        raise BitstreamError(
            f"{opened.name} is damaged or of an unknown codec: no frame of it tells its format; "
            "get a sound copy"
        )
    check_pixels("video", stream.width, stream.height, MAX_PIXELS)
    colour = _colour_of(stream.codec_context)
    form = format_of(name, stream.width, stream.height, Fraction(rate), colour)
    if form is None:
        raise UnsupportedError(
            f"{opened.name} holds {name}: planar YUV, gray and RGB are read as they are stored, "
            "nothing is converted; convert it first and say how, to yuv420p for instance"
        )
    return form


def _stated_frames(opened: _Opened, form: VideoFormat) -> int | None:
    container = opened.container
    if container.streams.video[0].frames:
        return int(container.streams.video[0].frames)
    if container.duration is None:
        return None
    return round(Fraction(container.duration, av.time_base) * form.fps)


def _time_base_of(opened: _Opened) -> Fraction:
    return Fraction(opened.container.streams.video[0].time_base or Fraction(1, 1000))


def _colour_of(context: av.VideoCodecContext) -> Colour:
    primaries, transfer = int(context.color_primaries), int(context.color_trc)
    # 0 is reserved in the first two, and above 255 are libav's own.
    return Colour(
        primaries if 0 < primaries < 256 else UNSPECIFIED,
        transfer if 0 < transfer < 256 else UNSPECIFIED,
        matrix if 0 <= (matrix := int(context.colorspace)) < 256 else UNSPECIFIED,
        int(context.color_range) == _FULL_RANGE,
    )


def _sound(opened: _Opened, form: VideoFormat) -> Iterator[av.VideoFrame]:
    """The frames, all of one format."""
    frames = sound_frames(opened.container, opened.name, opened.said, opened.size)
    for number, frame in enumerate(frames, start=1):
        own = frame.format.name, frame.width, frame.height
        if format_of(*own, form.fps, form.colour) != form:
            raise UnsupportedError(
                f"{opened.name}: frame {number} is {own[1]}x{own[2]} {own[0]}, those before are "
                f"{form.width}x{form.height} {form.pixel_format}; frames of one format are read: "
                "cut the file there"
            )
        yield frame


def _planes(
    frames: Iterator[av.VideoFrame], form: VideoFormat, turn: Orientation, start: int
) -> Iterator[tuple[Frame, Fraction | None]]:
    for number, frame in enumerate(frames):
        if number < start:
            continue
        yield turn.apply(planes_of(frame, form)), seconds_of(frame)


def _orientation_of(frame: av.VideoFrame | None, name: str) -> Orientation:
    turn = Orientation() if frame is None else orientation_of(frame)
    if turn is None:
        _log.warning("%s: it is to be shown turned by no right angle: left as stored", name)
        return Orientation()
    if turn:
        _log.warning("%s: its frames are %s, as its container says", name, turn)
    return turn


def _note_what_is_left_out(opened: _Opened) -> None:
    aspect = opened.container.streams.video[0].sample_aspect_ratio
    if aspect not in (None, 0, 1):
        _log.warning("%s: its samples are %s wide, which is left out", opened.name, aspect)
    kinds = Counter(stream.type for stream in opened.container.streams)
    kinds["video"] -= 1
    others = [f"{n} {kind}" for kind, n in sorted(kinds.items()) if n > 0]
    if others:
        several = "streams" if sum(kinds.values()) > 1 else "stream"
        _log.warning(
            "%s: only its video is coded: %s %s left out",
            *(opened.name, " and ".join(others), several),
        )
