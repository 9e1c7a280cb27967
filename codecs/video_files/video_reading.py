"""Video files, pipes and folders of pictures as frames, in the pixel format they are stored in."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from kodec.codecs.container import MAGIC, MAX_PIXELS
from kodec.codecs.container.head_fields import check_pixels
from kodec.codecs.file_kind import SNIFF_BYTES, identify_file
from kodec.native import BitstreamError, InvalidInputError

from .frames import Frame
from .libav_video import CountedPipe, open_libav_file, open_libav_pipe
from .picture_folder import open_folder
from .raw_video import raw_file_reader, raw_format, raw_pipe
from .video import Reader, Video

VIDEO_SUFFIXES = frozenset({".yuv", ".y4m", ".mkv", ".mp4", ".mov", ".avi", ".webm"})
PIPE = Path("-")


def open_video(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
    limit: int | None = None,
    *,
    start: int = 0,
    pixels: str | None = None,
    as_stored: bool = False,
) -> Video:
    """A sequence: a raw `.yuv` file, what FFmpeg reads, a folder of pictures, or `-`, a pipe.

    Of raw video `size` is (width, height) and `pixels` FFmpeg's name of the pixel format; what is
    not given is asked of a file's name: `Name_1920x1080_50.yuv`, `..._120fps_420_8bit_YUV.yuv`,
    4:2:0 and 8 bits where it says nothing. With `pixels`, and for a pipe with a size, the input is
    raw whatever its name. `fps` replaces another file's own frame rate and times. `start` frames
    are left out, then `limit` are taken at most.

    No sample is changed: RGB comes as planes G, B and R with matrix 0. Frames are turned as the
    container says, which is logged as a note, as are streams that are left out, such as audio;
    with `as_stored` neither is done, for measuring.

    Raises InvalidInputError for what is missing, a picture, or raw and of unknown size or rate;
    BitstreamError for a file that is no video, empty or damaged; UnsupportedError for other pixel
    formats, a folder's pictures that kodec does not read, and above `MAX_PIXELS`.
    """
    path = Path(path)
    raw = pixels is not None or path.suffix.lower() == ".yuv"
    if start < 0 or (limit is not None and limit < 1):
        raise InvalidInputError(
            f"frames are taken from number 0 on, and at least 1, not {limit} from {start}"
        )
    if path == PIPE:
        video = _open_pipe(size, fps, pixels)
    elif path.is_dir():
        form, read, count = open_folder(path, fps)
        video = Video(path, form, read, stated=count)
    elif not path.exists():
        raise InvalidInputError(f"cannot read {path}: no such file")
    elif not path.is_file():
        raise InvalidInputError(f"{path} is a pipe or a device: read it as - < {path}")
    elif raw:
        form = raw_format(str(path), size, fps, pixels)
        check_pixels("video", form.width, form.height, MAX_PIXELS)
        count = path.stat().st_size // form.frame_bytes
        video = Video(path, form, raw_file_reader(path, form), stated=count)
    else:
        try:
            with path.open("rb") as file:
                check_kind(str(path), file.read(SNIFF_BYTES))
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
        form, time_base, read, stated = open_libav_file(path, as_stored)
        video = Video(path, form, read, time_base=time_base, stated=stated)
        if fps is not None:
            video = replace(video, form=replace(form, fps=fps), time_base=None)
    return replace(video, start=start, limit=limit)


def check_kind(name: str, head: bytes) -> None:
    """Say what a file that is no video is, as far as its first bytes tell.

    Raises InvalidInputError for a picture or a file of kodec's own, BitstreamError for others.
    """
    kind = identify_file(head)
    if not head:
        raise BitstreamError(f"{name} is empty")
    if head.startswith(MAGIC):
        raise InvalidInputError(f"{name} is coded already: decode it with kodec decode")
    if kind is not None and kind.family == "picture":
        raise InvalidInputError(
            f"{name} is {kind.title}, no video: code it as a picture, or give a folder of them"
        )
    if kind is not None and kind.family != "video":
        raise BitstreamError(f"{name} is not a video; it looks like {kind.title}")


def _open_pipe(size: tuple[int, int] | None, fps: Fraction | None, pixels: str | None) -> Video:
    pipe, name = sys.stdin.buffer, "the input"
    if size is not None or pixels is not None:
        form = raw_format("-", size, fps, pixels)
        check_pixels("video", form.width, form.height, MAX_PIXELS)
        return Video(PIPE, form, _once(raw_pipe(pipe, name, form)))
    head = pipe.read(SNIFF_BYTES)
    check_kind(name, head)
    form, time_base, frames = open_libav_pipe(CountedPipe(pipe, head), name)
    video = Video(PIPE, form, _once(frames), time_base=time_base)
    if fps is None:
        return video
    return replace(video, form=replace(form, fps=fps), time_base=None)


def _once(frames: Iterator[tuple[Frame, Fraction | None]]) -> Reader:
    """What reads frames that come once."""
    left = [frames]

    def read(start: int) -> Iterator[tuple[Frame, Fraction | None]]:
        if not left:
            raise InvalidInputError("a pipe can be read once: save it to a file first")
        for number, item in enumerate(left.pop()):
            if number >= start:
                yield item

    return read
