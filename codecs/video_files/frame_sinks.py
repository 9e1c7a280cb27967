"""Where frames of video are written to: raw bytes, Y4M, and containers of libav's."""

import os
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Protocol

import av

from kodec.codecs.pictures.picture import Picture
from kodec.codecs.pictures.picture_file import write_picture
from kodec.native import KodecError, UnsupportedError

from .frames import Frame, VideoFormat, write_raw
from .picture_folder import pixels_of_frame
from .pixel_formats import fits_packed, libav_frame
from .rgb_frames import frame_of_rgb, matrix_of, rgb_of_frame

_Y4M_CHROMA = {"400": "mono", "420": "420jpeg", "422": "422", "444": "444"}
_Y4M_DEPTHS = {"400": (8, 9, 10, 12, 16)}
# Lossless with checksums, so that damage is found; no remarks on stderr.
_OPTIONS = {"ffv1": {"level": "3", "slicecrc": "1"}, "libx265": {"x265-params": "log-level=none"}}
_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG

_PLAIN_LOST = {
    "colour": "this format does not say primaries, transfer and matrix; an .mkv does",
    "times": "this format has evenly spaced frames: their times are lost; an .mkv keeps them",
}
# libav writes these with a clock of milliseconds.
_COARSE = ("matroska", "webm")
_COARSE_LOST = {"microseconds": "times are rounded to milliseconds; an .mp4 or .mov keeps them"}


class FrameSink(Protocol):
    """Takes the frames of a sequence in display order."""

    lost: Mapping[str, str]
    """What is said of what it cannot hold: `colour`, `depth`, `times` that are not evenly spaced
    and those finer than milliseconds, `microseconds`."""

    def write(self, frame: Frame, time: int) -> None:
        """A frame, and its time in ticks of the sink's time base."""

    def end(self) -> None:
        """There are no more frames."""


class RawSink:
    """Planes one after the other."""

    lost: Mapping[str, str] = _PLAIN_LOST

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, frame: Frame, time: int) -> None:
        write_raw(self._file, frame)

    def end(self) -> None:
        self._file.flush()


class Y4MSink:
    """YUV4MPEG2, which says size, rate, pixel format and range. Raises UnsupportedError for RGB
    and depths that it does not have."""

    lost: Mapping[str, str] = _PLAIN_LOST

    def __init__(self, file: IO[bytes], form: VideoFormat, name: str) -> None:
        depths = _Y4M_DEPTHS.get(form.chroma, (8, 9, 10, 12, 14, 16))
        if form.is_rgb or form.bit_depth not in depths:
            raise UnsupportedError(
                f"{name}: Y4M cannot hold {form.pixel_format}; write an .mkv or a folder of PNGs"
            )
        chroma = _Y4M_CHROMA[form.chroma]
        if form.bit_depth > 8:
            joint = "" if form.chroma == "400" else "p"
            chroma = f"{chroma.removesuffix('jpeg')}{joint}{form.bit_depth}"
        extent = "FULL" if form.colour.full_range else "LIMITED"
        rate = f"{form.fps.numerator}:{form.fps.denominator}"
        self._file = file
        self._head = (
            f"YUV4MPEG2 W{form.width} H{form.height} F{rate} Ip A1:1 C{chroma} XCOLORRANGE={extent}"
            "\n"
        ).encode()

    def write(self, frame: Frame, time: int) -> None:
        self._file.write(self._head + b"FRAME\n")
        self._head = b""
        write_raw(self._file, frame)
        # For who watches at the other end of a pipe.
        self._file.flush()

    def end(self) -> None:
        self._file.flush()


class FolderSink:
    """Numbered PNGs of 8 bits: RGB by the stream's matrix and range, or gray.

    Raises UnsupportedError for a matrix that is not converted.
    """

    lost: Mapping[str, str] = {
        "depth": "its pictures have 8 bits a sample: rounded; an .mkv keeps all",
        "times": "pictures say no times: they are lost; an .mkv keeps them",
    }

    def __init__(self, folder: Path, form: VideoFormat) -> None:
        matrix_of(form)
        self._folder, self._form = folder, form
        self._count = 0
        shown = VideoFormat(form.width, form.height, "444", 8, form.fps)
        colour = replace(form.colour, matrix=0, full_range=True)
        self._shown = replace(shown, colour=colour)

    def write(self, frame: Frame, time: int) -> None:
        rgb = rgb_of_frame(frame, self._form)
        planes = frame_of_rgb(rgb, self._shown)
        planes = planes[:1] if self._form.chroma == "400" else planes
        self._count += 1
        picture = Picture(pixels_of_frame(planes))
        write_picture(self._folder / f"{self._count:06d}.png", picture)

    def end(self) -> None:
        pass


class LibavSink:
    """A container of libav's with one stream of video, by a codec of libavcodec's name.

    `container` is FFmpeg's name. Raises UnsupportedError where this build lacks the codec, or it
    or the container cannot hold the format.
    """

    def __init__(
        self,
        file: IO[bytes],
        form: VideoFormat,
        time_base: Fraction,
        name: str,
        *,
        container: str,
        codec: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._form, self._time_base, self._codec, self._name = form, time_base, codec, name
        self.lost: Mapping[str, str] = _COARSE_LOST if container in _COARSE else {}
        os.environ.setdefault("SVT_LOG", "0")
        self._pixels = _pixel_format_for(codec, form, name)
        self._container = av.open(file, "w", format=container)
        try:
            settings = {**_OPTIONS.get(codec, {}), **(options or {})}
            stream = self._container.add_stream(codec, rate=form.fps, options=settings)
            assert isinstance(stream, av.VideoStream)
            self._stream = stream
            self._stream.width, self._stream.height = form.width, form.height
            self._stream.pix_fmt = self._pixels
            self._stream.time_base = time_base
            context, colour = self._stream.codec_context, form.colour
            context.time_base = time_base
            context.color_primaries, context.color_trc = colour.primaries, colour.transfer
            context.colorspace = colour.matrix
            context.color_range = _FULL_RANGE if colour.full_range else _LIMITED_RANGE
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise self._refusal(error) from error

    def write(self, frame: Frame, time: int) -> None:
        made = libav_frame(frame, self._form, time, self._time_base, self._pixels)
        try:
            self._container.mux(self._stream.encode(made))
        except av.FFmpegError as error:
            raise self._refusal(error) from error

    def end(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except av.FFmpegError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> KodecError:
        reason = getattr(error, "strerror", None) or str(error)
        form = self._form
        return UnsupportedError(
            f"{self._name}: {self._codec} cannot write {form.width}x{form.height} "
            f"{form.pixel_format} at {form.fps} frames/s there ({reason}); {_way_out(self._codec)}"
        )


def _pixel_format_for(codec: str, form: VideoFormat, name: str) -> str:
    """The format that frames go to the encoder in: their own, or a packed one of the same bits."""
    try:
        formats = [other.name for other in av.Codec(codec, "w").video_formats or ()]
    except ValueError as error:
        raise UnsupportedError(
            f"{name}: this PyAV ({av.__version__}) has no encoder {codec!r}: leave --codec away or "
            "name another, libx264, libx265, libvpx-vp9 or ffv1 for instance"
        ) from error
    for own in (form.pixel_format, *(other for other in formats if fits_packed(other, form))):
        if own in formats:
            return own
    raise UnsupportedError(f"{name}: {codec} cannot hold {form.pixel_format}; {_way_out(codec)}")


def _way_out(codec: str) -> str:
    return "write a .yuv" if codec == "ffv1" else "write an .mkv without --codec"
