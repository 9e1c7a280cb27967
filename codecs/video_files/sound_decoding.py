"""Decoding with libav where only sound frames count: nothing concealed, nothing missing at the end.

libav's decoders repair what they can and go on, demuxers stop at what they cannot read as if the
file ended there. Both say so in the log alone, which is therefore listened to.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import IO

import av
from av.container import InputContainer

from kodec.native import BitstreamError

_Line = tuple[int, str, str]

# Where errors are concealed this is said as information. What a demuxer of Matroska passes over, a
# cluster whose id is damaged for instance, it mentions in its finest log.
_TELLTALE = re.compile(r"concealing|Unknown entry 0x")
# What may be met already while a file is opened, as libav reads ahead; other errors in its head
# cost no frame.
_WHILE_OPENED = re.compile(
    r"ended prematurely|partial file|exceeds containing|invalid as first byte|Invalid track number"
    r"|Unknown entry 0x\w+ at pos\. (?P<position>\d+)"
)
_TS_PACKETS = (188, 192, 204)
# Containers and streams of video. Other demuxers open files that a file names (playlists), or show
# texts and pictures as video.
_DEMUXERS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,yuv4mpegpipe,mpegts,mpeg,mpegvideo,m4v,h264,hevc,"
    "vvc,av1,obu,ivf,flv,nut,asf,ogg,mxf,h263,dv,rm"
)


@contextmanager
def heard(level: int) -> Iterator[list[_Line]]:
    """The lines that libav logs meanwhile in this thread; they go nowhere else."""
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(level)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])


def open_quietly(
    file: str | IO[bytes], form: str | None = None
) -> tuple[InputContainer, list[_Line]]:
    """A container, FFmpeg's name of whose format is `form` or found out, and what libav said.

    Raises as `av.open`.
    """
    with heard(av.logging.DEBUG) as lines:
        container = av.open(
            file,
            "r",
            format=form,
            options={"format_whitelist": _DEMUXERS},
            metadata_errors="replace",  # titles that are no UTF-8 cost no frame
        )
        return container, lines


def sound_frames(
    container: InputContainer,
    name: str,
    said: Sequence[_Line] = (),
    size: Callable[[], int] | None = None,
) -> Iterator[av.VideoFrame]:
    """The frames of the first video stream in display order, up to the first that is not sound.

    `name` is what errors call the container, `said` what libav said when it was opened, `size`
    gives its bytes where it is read from a pipe. Raises BitstreamError, naming the frame, where the
    stream is damaged as far as it can tell (checksums, syntax) and where it ends before what its
    container states.
    """
    stream = container.streams.video[0]
    context = stream.codec_context
    context.thread_count = 1  # others' threads would log beside this one
    context.options = {"err_detect": "crccheck"}
    packets, shown = container.demux(stream), _Shown()
    read, start, end = 0, None, None
    while True:
        try:
            with heard(av.logging.DEBUG) as lines:
                packet = next(packets, None)
            _check(lines)
            if packet is None:
                break
            with heard(av.logging.INFO) as lines:
                frames = packet.decode()
            _check(lines)
            if packet.is_corrupt:
                raise _Damage("the file has only a part of it")
        except (av.FFmpegError, _Damage) as error:
            later = " or later" if context.has_b_frames else ""
            where = f"at frame {shown.count + 1}{later} ({_reason(error)})"
            raise BitstreamError(f"{name} is damaged {where}: {shown.advice}") from error
        if packet.size:
            read += 1
            end = None if packet.pos is None else packet.pos + packet.size
            start = packet.pos if start is None else start
        for frame in frames:
            if frame.is_corrupt:
                where = f"at frame {shown.count + 1} (it could not be decoded as it was coded)"
                raise BitstreamError(f"{name} is damaged {where}: {shown.advice}")
            shown.add(frame)
            yield frame
    bytes_there = container.size if size is None else size()
    why = _early_end(container, bytes_there, read, end, shown) or _met_early(said, start)
    if why is not None:
        raise BitstreamError(
            f"{name} is cut off or damaged after {shown.count} frames ({why}): {shown.advice}"
        )


def damage_said(lines: Sequence[_Line]) -> str | None:
    """What the log, heard from INFO on, says of damage, in one line; None where it says nothing."""
    for level, _, text in lines:
        if level <= av.logging.ERROR or _TELLTALE.search(text):
            return " ".join(text.split())
    return None


def seconds_of(frame: av.VideoFrame) -> Fraction | None:
    """When a frame is shown, if it says so."""
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base)


class _Damage(Exception):
    """What the log says of damage."""


class _Shown:
    """The frames so far: how many, and their times."""

    def __init__(self) -> None:
        self.count = 0
        self.last: Fraction | None = None
        """When the last one comes, in seconds."""
        self.gaps: tuple[Fraction, Fraction] | None = None
        """The shortest and the longest time between two frames."""

    @property
    def advice(self) -> str:
        """What to do where no more come."""
        before = f", or take those before (--frames {self.count})" if self.count else ""
        return f"get a sound copy{before}"

    def add(self, frame: av.VideoFrame) -> None:
        self.count += 1
        at = seconds_of(frame)
        if at is None:
            return
        if self.last is not None:
            gap = at - self.last
            low, high = self.gaps or (gap, gap)
            self.gaps = min(low, gap), max(high, gap)
        self.last = at


def _check(lines: list[_Line]) -> None:
    said = damage_said(lines)
    if said is not None:
        raise _Damage(said)


def _reason(error: Exception) -> str:
    log = getattr(error, "log", None)
    said = log[2] if log else getattr(error, "strerror", None) or str(error)
    return " ".join(str(said).split())


def _early_end(
    container: InputContainer, size: int, read: int, end: int | None, shown: _Shown
) -> str | None:
    """What says that the file, of `size` bytes, should have gone on, None where nothing does.

    `read` is the number of packets, `end` the byte after the last.
    """
    stream = container.streams.video[0]
    kind = container.format.name
    if shown.count == 0:
        return "no frame of it can be decoded"
    if kind == "yuv4mpegpipe" and end is not None and end < size:
        return "the rest is no whole frame"
    if kind == "mpegts" and all(size % packet for packet in _TS_PACKETS):
        return "its last packet is incomplete"
    if kind == "avi" and len(stream.index_entries) < stream.frames:
        return f"its head says {stream.frames}"
    if kind.startswith("mov,"):
        # The head's own count has the samples, too, that an edit list leaves out.
        listed = sum(entry.size > 0 for entry in stream.index_entries)
        return f"its index has {listed}" if read < listed else None
    if kind.startswith("matroska") or kind == "flv":
        return _missing_time(container, shown)
    return None


def _met_early(said: Sequence[_Line], start: int | None) -> str | None:
    """What was said of the frames, which begin at byte `start`, while the file was opened."""
    for _, _, text in said:
        match = _WHILE_OPENED.search(text)
        if match and (not match["position"] or int(match["position"]) >= (start or 0)):
            return " ".join(text.split())
    return None


def _missing_time(container: InputContainer, shown: _Shown) -> str | None:
    """As `_early_end`, by the stated duration; only of frames that come at equal intervals, as the
    last frame of others may well stand for long."""
    stated = _stated_duration(container)
    if stated is None or shown.last is None or shown.gaps is None:
        return None
    low, high = shown.gaps
    rounding, rate = Fraction(2, 1000), container.streams.video[0].average_rate
    # A writer may have the last frame last as long as the stated rate says.
    longest = max(high, 1 / Fraction(rate)) if rate else high
    if high - low > rounding or stated - shown.last < Fraction(5, 2) * longest:
        return None
    return f"its head says {float(stated):.3f} s, and these last {float(shown.last + high):.3f} s"


def _stated_duration(container: InputContainer) -> Fraction | None:
    """Of the video stream, in seconds; the container's where that is its only stream."""
    tag = container.streams.video[0].metadata.get("DURATION", "")
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag.strip("\0 "))
    if match is not None:
        return 3600 * Fraction(match[1]) + 60 * Fraction(match[2]) + Fraction(match[3])
    if len(container.streams) > 1 or container.duration is None:
        return None
    return Fraction(container.duration, av.time_base)
