"""Video written frame by frame: a file or folder that appears whole or not at all, or a pipe."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from kodec.codecs.atomic_file import (
    AtomicFile,
    AtomicFolder,
    check_output_folder,
    check_output_target,
)
from kodec.native import InvalidInputError, UnsupportedError

from .frame_sinks import FolderSink, FrameSink, LibavSink, RawSink, Y4MSink
from .frames import Frame, VideoFormat
from .pixel_formats import UNSPECIFIED
from .video_reading import PIPE

# FFmpeg's names of what is written by suffix, and the codec where that is lossless.
_CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".webm": "webm"}
_LOSSLESS = {".mkv": "ffv1"}
_USUAL = {".mp4": "libx264", ".mov": "libx264", ".webm": "libvpx-vp9"}
_PLAIN = (".y4m", ".yuv")
_MILLISECONDS = Fraction(1, 1000)

# libav's clocks have terms of 32 bits, and its times must be converted between them in 64.
_MAX_TERM = (1 << 31) - 1
_MAX_TICK = 1 << 48

_log = logging.getLogger(__name__)

Kind = Literal["pipe", "folder", "plain", "libav"]


def check_video_output(path: str | os.PathLike[str], codec: str | None = None) -> Kind:
    """Refuse a path that no video can be written to, before any work is spent on it.

    A path that ends in / or is a folder is one of pictures; `-` is a pipe. Returns which it is.
    Raises UnsupportedError for a suffix that is not written, or not without or with a codec;
    InvalidInputError for a folder that holds something, and as `check_output_target`.
    """
    text, suffix = os.fspath(path), Path(path).suffix.lower()
    kind: Kind = "plain" if suffix in _PLAIN else "libav"
    if text == str(PIPE):
        kind = "pipe"
    elif text.endswith(("/", os.sep)) or os.path.isdir(path):
        kind = "folder"
        check_output_folder(path)
    elif suffix not in (*_PLAIN, *_CONTAINERS):
        raise UnsupportedError(
            f"{path}: kodec writes video as {', '.join((*_CONTAINERS, *_PLAIN))}, a folder of PNGs "
            f"(FOLDER/) or - (Y4M), not as {suffix or 'a name without extension'}"
        )
    if kind == "libav" and codec is None and suffix not in _LOSSLESS:
        raise UnsupportedError(
            f"{path}: nothing lossless is usual in an {suffix} file: write an .mkv, or name a "
            f"codec, as --codec {_USUAL[suffix]}"
        )
    if kind != "libav" and codec is not None:
        raise UnsupportedError(f"{path}: no codec is used there: leave --codec {codec} away")
    if kind in ("plain", "libav"):
        check_output_target(path)
    return kind


class VideoWriter:
    """Writes a sequence frame by frame, in memory that does not grow.

    `path` is an .mkv (FFV1, lossless, or `codec`), .mp4, .mov or .webm file (`codec`, as libavcodec
    calls it, with its `options`), .y4m or raw .yuv; a folder, which gets PNGs; or `-`, a pipe that
    gets Y4M. Pixel format, frame rate, times and colour are kept where the file can hold them; what
    is lost is logged as a note. `time_base` is the seconds of a tick that all times are whole ones
    of, by default a frame's.

    A file is written as `PATH.part` and gets its name by `finish`; `abort` removes it. As a context
    it does the one where all went well, and the other where anything failed; to keep what was
    written until then, call `finish` before. A pipe keeps what it was given.

    Raises as `check_video_output`; UnsupportedError where the format does not fit; OSError if the
    system refuses.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        form: VideoFormat,
        *,
        time_base: Fraction | None = None,
        codec: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        kind = check_video_output(path, codec)
        self._name, self._form = os.fspath(path), form
        self._time_base = _in_bounds(time_base or 1 / form.fps)
        self._suffix = Path(path).suffix.lower() if kind in ("plain", "libav") else ""
        self._target: AtomicFile | AtomicFolder | None = None
        self._sink: FrameSink
        self._noted: set[str] = set()
        self._last = -1
        self.count = 0
        """Frames written."""
        self.open = True
        """Whether it was neither finished nor aborted."""
        if kind == "pipe":
            self._sink = Y4MSink(sys.stdout.buffer, form, "the output")
        else:
            target = AtomicFolder(path) if kind == "folder" else AtomicFile(path, visible=True)
            self._target = target
            try:
                if isinstance(target, AtomicFolder):
                    self._sink = FolderSink(target.folder, form)
                else:
                    self._sink = self._sink_of_file(target.file, codec, options)
            except BaseException:
                target.abort()
                raise
        colour = form.colour
        if {colour.primaries, colour.transfer, colour.matrix} != {UNSPECIFIED}:
            self._note("colour")
        if form.bit_depth > 8:
            self._note("depth")

    def write(self, frame: Frame, time: Fraction | None = None) -> None:
        """Append a frame that is shown at `time` seconds, by default as long after the first as its
        number says. Times must grow. Raises InvalidInputError for planes of another format."""
        self._form.check(frame)
        even = Fraction(self.count) / self._form.fps
        time = even if time is None else time
        if time != even:
            self._note("times")
            if (time / _MILLISECONDS).denominator != 1:
                self._note("microseconds")
        tick = int((time / self._time_base + Fraction(1, 2)) // 1)
        if tick >= _MAX_TICK:
            raise InvalidInputError(
                f"frame {self.count} at {float(time):.3e} s is later than a file can say"
            )
        if tick <= self._last:
            raise InvalidInputError(
                f"frame {self.count} at {float(time):.6f} s is not shown after the one before it"
            )
        try:
            self._sink.write(frame, tick)
        except OSError as error:
            raise self._named(error) from None
        self._last = tick
        self.count += 1

    def finish(self) -> None:
        """Give the file its name. Raises InvalidInputError, and writes none, without frames."""
        if not self.open:
            return
        try:
            if self.count == 0:
                raise InvalidInputError(f"{self._name}: no frame was written, so there is no video")
            self._sink.end()
            self.open = False
            if self._target is not None:
                self._target.finish()
        except BaseException as error:
            self.abort()
            raise self._named(error) from None

    def abort(self) -> None:
        """Remove what was written."""
        self.open = False
        # libav wants to be told, and nobody needs what it writes.
        with suppress(Exception):
            self._sink.end()
        if self._target is not None:
            self._target.abort()

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        elif self.open:
            self.abort()

    def _named(self, error: BaseException) -> BaseException:
        """The error, which names the output where it is the system's."""
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self._name
        return error

    def _note(self, what: str) -> None:
        """Say once what the output cannot hold."""
        if what in self._sink.lost and what not in self._noted:
            self._noted.add(what)
            _log.warning("%s: %s", self._name, self._sink.lost[what])

    def _sink_of_file(
        self, file: IO[bytes], codec: str | None, options: Mapping[str, str] | None
    ) -> FrameSink:
        if self._suffix == ".y4m":
            return Y4MSink(file, self._form, self._name)
        if self._suffix == ".yuv":
            return RawSink(file)
        return LibavSink(
            *(file, self._form, self._time_base, self._name),
            container=_CONTAINERS[self._suffix],
            codec=codec or _LOSSLESS[self._suffix],
            options=options,
        )


def _in_bounds(time_base: Fraction) -> Fraction:
    """A time base as libav can hold it, microseconds where it is too fine."""
    if max(time_base.numerator, time_base.denominator) <= _MAX_TERM:
        return time_base
    return Fraction(1, 1_000_000)
