"""Video files as frames, in the pixel format they are stored in: no conversion is ever made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .frames import Chroma, Frame, VideoFormat, read_raw
from .sound_decoding import open_quietly, sound_frames

VIDEO_SUFFIXES = frozenset({".yuv", ".y4m", ".mkv", ".mp4", ".mov", ".avi", ".webm"})

_PIXEL_FORMAT = re.compile(r"(?:yuvj?(420|422|444)p|gray)(?:(9|10|12|14|16)le)?")
_SIZE_IN_NAME = re.compile(r"(?<!\d)(\d{2,5})x(\d{2,5})(?!\d)")
_FPS_IN_NAME = re.compile(r"(\d+(?:\.\d+)?)(?:fps|Hz)", re.IGNORECASE)
_FPS_AFTER_SIZE = re.compile(r"\d{2,5}x\d{2,5}_(?!4(?:00|20|22|44)(?!\d))(\d+(?:\.\d+)?)(?!\dx)")
_DEPTH_IN_NAME = re.compile(r"(?<!\d)(10|12|16)(?:-?bit|b(?![a-z])|le)", re.IGNORECASE)
_CHROMA_IN_NAME = re.compile(r"(?<![\dx])(400|420|422|444)(?!\d|x|fps|Hz)")


@dataclass(frozen=True)
class Video:
    """A sequence on disk."""

    path: Path
    form: VideoFormat
    limit: int | None = None
    """Only the first so many frames."""

    def frames(self) -> Iterator[Frame]:
        """The frames in display order, read as they are asked for.

        Raises BitstreamError, naming the frame, where the file is damaged or cut off, as far as it
        was read; InvalidInputError where it is a raw file of another size; UnsupportedError where
        frames change their format.
        """
        raw = self.path.suffix.lower() == ".yuv"
        frames = read_raw(self.path, self.form) if raw else _decoded(self.path, self.form)
        return islice(frames, self.limit)


def open_video(
    path: Path,
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
    limit: int | None = None,
) -> Video:
    """A video file: raw `.yuv`, or whatever FFmpeg reads without loss of its pixel format.

    `size` (width, height) and `fps` are for raw files, whose names are asked where they are not
    given: `Name_1920x1080_50.yuv`, `..._120fps_420_8bit_YUV.yuv`; chroma is 4:2:0 and the depth
    8 bits where the name says nothing. `fps` replaces another file's own frame rate.

    Raises InvalidInputError for a file that is missing, or raw and of unknown size or rate;
    BitstreamError for one that is no video; UnsupportedError for RGB and other pixel formats.
    """
    if not path.is_file():
        raise InvalidInputError(f"cannot read {path}: no such file")
    if path.suffix.lower() == ".yuv":
        form = _form_from_name(path, size, fps)
        next(read_raw(path, form))
    else:
        form = _form_of_stream(path)
        if fps is not None:
            form = replace(form, fps=fps)
    return Video(path, form, limit)


def planes_of(frame: av.VideoFrame, form: VideoFormat) -> Frame:
    """The planes of a decoded frame, copied, without the padding of its lines."""
    kind = np.dtype(np.uint8 if form.bit_depth == 8 else "<u2")
    planes = []
    for plane, (height, width) in zip(frame.planes, form.plane_shapes, strict=False):
        samples = np.frombuffer(cast(Any, plane), kind).reshape(plane.height, -1)
        planes.append(samples[:height, :width].copy())
    return tuple(planes)


def format_of(pixel_format: str, width: int, height: int, fps: Fraction) -> VideoFormat | None:
    """The format that FFmpeg calls `pixel_format`; None where it is not planar YUV or gray."""
    match = _PIXEL_FORMAT.fullmatch(pixel_format)
    if match is None:
        return None
    chroma = cast(Chroma, match[1] or "400")
    return VideoFormat(width, height, chroma, int(match[2] or 8), fps)


def _form_from_name(path: Path, size: tuple[int, int] | None, fps: Fraction | None) -> VideoFormat:
    found = _SIZE_IN_NAME.search(path.stem)
    if size is None and found is None:
        raise InvalidInputError(
            f"{path}: a raw file does not say its size: give --size WxH, or put it into the name"
        )
    width, height = size or (int(found[1]), int(found[2]))  # type: ignore[index]
    rate = _FPS_IN_NAME.search(path.stem) or _FPS_AFTER_SIZE.search(path.stem)
    if fps is None and rate is None:
        raise InvalidInputError(
            f"{path}: a raw file does not say its frame rate: give --fps F, or name it WxH_FPS.yuv"
        )
    rate_text = "" if rate is None else rate[1]
    depth, chroma = _DEPTH_IN_NAME.search(path.stem), _CHROMA_IN_NAME.search(path.stem)
    return VideoFormat(
        width,
        height,
        cast(Chroma, chroma[1]) if chroma else "420",
        int(depth[1]) if depth else 8,
        fps or Fraction(rate_text),
    )


def _form_of_stream(path: Path) -> VideoFormat:
    with _opened(path) as (container, _):
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        # There is no context where the codec is unknown, and no format where no frame told it.
        name = None if stream.codec_context is None else stream.codec_context.pix_fmt
        if name is None:
            raise BitstreamError(
                f"{path} is damaged or of an unknown codec: no frame of it tells its format; get a "
                "sound copy"
            )
        form = format_of(name, stream.width, stream.height, Fraction(rate))
    if form is None:
        raise UnsupportedError(
            f"{path} holds {name}: planar YUV and gray are measured as they are stored, nothing is "
            "converted; convert it first and say how"
        )
    return form


def _decoded(path: Path, form: VideoFormat) -> Iterator[Frame]:
    with _opened(path) as (container, said):
        for number, frame in enumerate(sound_frames(container, str(path), said), start=1):
            own = frame.format.name, frame.width, frame.height
            if format_of(*own, form.fps) != form:
                raise UnsupportedError(
                    f"{path}: frame {number} is {own[1]}x{own[2]} {own[0]}, those before are "
                    f"{form.width}x{form.height} {form.pixel_format}; frames of one format are "
                    "measured: cut the file there"
                )
            yield planes_of(frame, form)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, list[tuple[int, str, str]]]]:
    """The container of a file with video in it, and what libav said of it."""
    try:
        container, said = open_quietly(str(path))
    except (av.FFmpegError, OSError) as error:
        raise BitstreamError(f"{path} is not a video or is damaged: {error.strerror}") from error
    with container:
        if not container.streams.video:
            raise BitstreamError(f"{path} holds no video")
        yield container, said
