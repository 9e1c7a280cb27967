"""Clips looked at before a training: sound heads, formats that can be read, one decoded frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.pictures.picture_check import check_picture
from kodec.codecs.video_files.frames import VideoFormat
from kodec.codecs.video_files.rgb_frames import matrix_of
from kodec.codecs.video_files.sound_decoding import open_quietly
from kodec.codecs.video_files.video_reading import open_video
from kodec.native import InvalidInputError, KodecError

from .clip_file import ClipFile, PictureClip, RawClip
from .video_clip import VideoClip, frame_times


@dataclass(frozen=True)
class ClipSource:
    """Where a clip lies, before it was looked at.

    path: a video file, or the folder of its pictures. origin: what clips of the same scene share,
    so that none of it is trained on where another is held out. pictures: its files, of a folder.
    """

    path: Path
    origin: str
    pictures: tuple[Path, ...] = ()


def open_clips(sources: Sequence[ClipSource]) -> tuple[dict[Path, ClipFile], dict[Path, str]]:
    """The clips that can be read, and of the others why not, in one line each."""
    clips, troubles = {}, {}
    for source in sources:
        try:
            clips[source.path] = open_clip(source)
        except (KodecError, OSError, av.FFmpegError) as error:
            text = " ".join(str(error).split())
            named = str(source.path) in text
            troubles[source.path] = text if named else f"{source.path} can't be read: {text}"
    return clips, troubles


def open_clip(source: ClipSource) -> ClipFile:
    """A clip whose head is sound, and whose first frame can be decoded.

    Raises `KodecError`, `OSError` or `av.FFmpegError` where it is not.
    """
    if source.pictures:
        return _of_pictures(source)
    if source.path.suffix.lower() == ".yuv":
        form = open_video(source.path).form
        count = source.path.stat().st_size // form.frame_bytes
        return RawClip(source.path, form, count)
    return _of_video(source.path)


def _of_pictures(source: ClipSource) -> ClipFile:
    absent = next((path for path in source.pictures if not path.is_file()), None)
    if absent is not None:
        raise InvalidInputError(f"{source.path} lacks {absent.name}")
    first = check_picture(str(source.pictures[0]), labels=False, decode=False)
    if first.trouble:
        raise InvalidInputError(first.trouble)
    form = VideoFormat(first.width, first.height, "444", colour=Colour(matrix=0, full_range=True))
    return PictureClip(source.path, form, len(source.pictures), source.pictures)


def _of_video(path: Path) -> ClipFile:
    video = open_video(path, as_stored=True)
    matrix_of(video.form)
    if next(video.frames(), None) is None:
        raise InvalidInputError(f"{path} has no frame")
    # What was decoded of a container that can't go back is gone.
    container, _ = open_quietly(str(path))
    with container:
        return VideoClip(path, video.form, _frames(container))


def _frames(container: InputContainer) -> int:
    """How many frames there are: by the index of a file that has one, else by its packets."""
    stream = container.streams.video[0]
    if container.format.name.startswith("mov,"):
        return sum(entry.size > 0 and not entry.is_discard for entry in stream.index_entries)
    return len(frame_times(container))
