"""Video files by frame number: decoding begins at the key frame before what is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import av
from av.container import InputContainer

from kodec.codecs.video_files.frames import Frame
from kodec.codecs.video_files.pixel_formats import format_of, planes_of
from kodec.codecs.video_files.sound_decoding import damage_said, heard, open_quietly, sound_frames
from kodec.native import InvalidInputError, KodecError

from .clip_file import ClipFile


def frame_times(container: InputContainer) -> list[int | None]:
    """When each frame of the first video stream is shown, in display order, of packets alone.

    None where the container doesn't say. Raises `av.FFmpegError` and `InvalidInputError` where it
    is damaged.
    """
    with heard(av.logging.ERROR) as lines:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    if lines:
        raise InvalidInputError(" ".join(lines[0][2].split()))
    times = [packet.pts for packet in packets if not packet.is_discard]
    if None in times:
        return times
    return sorted(times)  # type: ignore[type-var]


@dataclass(frozen=True)
class VideoClip(ClipFile):
    """A file that libav reads."""

    def frames(self, numbers: Sequence[int]) -> list[Frame]:
        """See `ClipFile`."""
        wanted = sorted(set(numbers))
        try:
            found = self._sought(wanted)
            # Containers that can't seek, and damage: this way it is named.
            if len(found) < len(wanted):
                found = self._counted(wanted)
        except (KodecError, OSError, av.FFmpegError) as error:
            raise InvalidInputError(f"{self.path} can't be read: {error}") from error
        if len(found) < len(wanted):
            raise InvalidInputError(
                f"{self.path} has no frame {wanted[-1]}, though its head speaks of {self.count}: "
                "get a sound copy, or remove it"
            )
        return [found[number] for number in numbers]

    @cached_property
    def _times(self) -> list[int] | None:
        """When each frame is shown; None where that does not tell them apart."""
        container, _ = open_quietly(str(self.path))
        with container:
            times = frame_times(container)
        known = [time for time in times if time is not None]
        return known if len(set(known)) == len(times) else None

    def _sought(self, wanted: list[int]) -> dict[int, Frame]:
        """The frames by number, from the key frame before them; fewer where seeking fails."""
        times = self._times
        if times is None or wanted[-1] >= len(times):
            return {}
        number_of = {times[number]: number for number in wanted}
        found: dict[int, Frame] = {}
        container, _ = open_quietly(str(self.path))
        with container:
            stream = container.streams.video[0]
            if wanted[0]:
                container.seek(times[wanted[0]], stream=stream)
            for frame in _heard_frames(container):
                if frame.pts in number_of:
                    found[number_of[frame.pts]] = self._planes(frame)
                if frame.pts is None or frame.pts >= times[wanted[-1]]:
                    break
        return found

    def _counted(self, wanted: list[int]) -> dict[int, Frame]:
        """The frames by number, counted from the file's first."""
        places, found = set(wanted), {}
        container, said = open_quietly(str(self.path))
        with container:
            for number, frame in enumerate(sound_frames(container, str(self.path), said)):
                if number in places:
                    found[number] = self._planes(frame)
                if number == wanted[-1]:
                    break
        return found

    def _planes(self, frame: av.VideoFrame) -> Frame:
        if format_of(frame.format.name, frame.width, frame.height, self.form.fps) != self.form:
            raise InvalidInputError(
                f"its frames change from {self.form.width}x{self.form.height} "
                f"{self.form.pixel_format} to {frame.width}x{frame.height} {frame.format.name}: "
                "cut it there"
            )
        return planes_of(frame, self.form)


def _heard_frames(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Decoded frames, up to the first of which libav says that it is not sound."""
    context = container.streams.video[0].codec_context
    context.thread_count = 1  # others' threads would log beside this one
    frames = container.decode(video=0)
    while True:
        with heard(av.logging.INFO) as lines:
            frame = next(frames, None)
        if frame is None or frame.is_corrupt or damage_said(lines) is not None:
            return
        yield frame
