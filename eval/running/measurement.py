"""One measurement: a codec on one picture or sequence at one quality."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.peak_memory import PeakMemory
from kodec.codecs.video_files.frames import Frame, VideoFormat, write_raw
from kodec.codecs.video_files.video import Video
from kodec.eval.metrics.metric_set import can_have, measure_frame, measure_picture, why_without
from kodec.eval.metrics.vmaf import vmaf_of_files
from kodec.eval.sources.source import PictureSource, Source, VideoSource, name_of, where_of
from kodec.native import KodecError, UnsupportedError

from .results import ImageRow

_WARM_UP_FRAMES = 4


@runtime_checkable
class CodecLike(Protocol):
    """What can be measured on pictures: kodec's own codecs and adapters of others'.

    A codec may also have `settings` and `versions` (plain dictionaries for the results file), code
    sequences (`SequenceCodec`), and know its times better than a clock around it (`SelfTimed`).
    """

    @property
    def name(self) -> str:
        """What results and plots call it."""
        ...

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        """The whole file for a picture (H, W, C); `quality` is None for the codec's only one."""
        ...

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture (H, W, C), of the same shape, from the file alone."""
        ...


@runtime_checkable
class SequenceCodec(Protocol):
    """A codec of video; one of nothing else, or a `CodecLike` too."""

    @property
    def name(self) -> str:
        """What results and plots call it."""
        ...

    @property
    def sequence_settings(self) -> dict[str, str | int | bool]:
        """What a sequence's bytes and pixels depend on besides the quality."""
        ...

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        """The whole file of a sequence.

        on_frame: is told of frames' numbers in display order and bits, by encoders that know them.
        """
        ...

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        """The frames of the same format, in display order, from the file alone."""
        ...


Measurable = CodecLike | SequenceCodec


@runtime_checkable
class SelfTimed(Protocol):
    """A codec that is a program, answers from a cache, or has files that are there already."""

    @property
    def timing(self) -> str:
        """What the seconds are of, for the results file."""
        ...

    def seconds_of(self, data: bytes) -> tuple[float | None, float | None]:
        """The seconds of encoding and decoding a file; None where that was not done."""
        ...


@dataclass(frozen=True)
class Anatomy:
    """What a file consists of, and what decoding it takes.

    bytes_by_part: all of its bytes, by name. macs_per_pixel: multiplications, a pixel of a frame.
    Nothing and None where that is not known.
    """

    bytes_by_part: dict[str, float]
    macs_per_pixel: float | None


@runtime_checkable
class Dissecting(Protocol):
    """A codec that tells what its files consist of."""

    def anatomy_of(self, data: bytes) -> Anatomy:
        """Of a file's bytes."""
        ...


class SourceError(KodecError):
    """A source cannot be read, or not be measured, whatever the codec. The message names it."""


class Measurement:
    """Measures one codec, on one source after another, in one process.

    What cannot have one of the metrics that are `needed` is not measured; of the others it has
    those that it can.

    The first source is coded once beforehand, untimed (of a sequence a few frames), so that no row
    pays for loading code and allocating memory; codecs that are programs of their own aside.
    """

    def __init__(
        self, codec: Measurable, metrics: Sequence[str], needed: Sequence[str] = ()
    ) -> None:
        self.codec = codec
        self.metrics = metrics
        self.needed = needed
        self._warm = isinstance(codec, SelfTimed)
        self._memory = PeakMemory()
        self._held: tuple[Source, NDArray[np.uint8]] | None = None

    def row(self, source: Source, quality: int | None) -> ImageRow:
        """One row of the results.

        Raises SourceError where the source cannot be measured; KodecError, naming codec and file,
        when the codec fails or returns something of another shape.
        """
        try:
            if isinstance(source, PictureSource):
                return self._picture_row(source, quality)
            return self._sequence_row(source, quality)
        except SourceError:
            raise
        except KodecError as error:
            raise KodecError(f"{self.codec.name} on {where_of(source)}: {error}") from error

    def _picture_row(self, source: PictureSource, quality: int | None) -> ImageRow:
        codec = self.codec
        if not isinstance(codec, CodecLike):
            raise UnsupportedError("it codes sequences, and this is a picture")
        picture = self._read(source)
        height, width, components = picture.shape
        self._check_needed(source, height, width, components == 1)
        if not self._warm:
            codec.decode(codec.encode(picture, quality))
            self._warm = True
        self._memory.restart()
        start = time.perf_counter()
        data = codec.encode(picture, quality)
        encoded = time.perf_counter()
        decoded = codec.decode(data)
        finished = time.perf_counter()
        peak = self._memory.read()
        times: tuple[float | None, float | None] = (encoded - start, finished - encoded)
        if isinstance(codec, SelfTimed):
            times = codec.seconds_of(data)
        if decoded.shape != picture.shape:
            raise KodecError(f"it returned a shape of {decoded.shape}, not {picture.shape}")
        with _not_the_codecs(source):
            metrics = measure_picture(picture, decoded, self.metrics)
        return ImageRow(
            image=name_of(source),
            quality=quality,
            width=width,
            height=height,
            bytes=len(data),
            bpp=8 * len(data) / (width * height),
            metrics=metrics,
            encoding_time=times[0],
            decoding_time=times[1],
            colour_format="rgb24" if components == 3 else "gray",
            peak_memory=peak,
            **self._anatomy(data),
        )

    def _sequence_row(self, source: VideoSource, quality: int | None) -> ImageRow:
        codec = self.codec
        if not isinstance(codec, SequenceCodec):
            raise UnsupportedError("it codes pictures, and this is a sequence")
        with _not_the_codecs(source):
            video = source.open()
        form = video.form
        self._check_needed(source, form.height, form.width, form.chroma == "400")
        if not self._warm:
            few = islice(_read_from(source, video), _WARM_UP_FRAMES)
            for _ in codec.decode_sequence(codec.encode_sequence(few, form, quality)):
                pass
            self._warm = True
        self._memory.restart()
        frames = _Timed(_read_from(source, video))
        start = time.perf_counter()
        bits: dict[int, float] = {}
        data = codec.encode_sequence(frames, form, quality, on_frame=bits.__setitem__)
        seconds = time.perf_counter() - start - frames.seconds
        decoded = _Timed(codec.decode_sequence(data))
        per_frame, means = self._measure_frames(source, video, decoded)
        if len(bits) == frames.count:
            per_frame = {"bits": [bits[number] for number in sorted(bits)], **per_frame}
        times: tuple[float | None, float | None] = (seconds, decoded.seconds)
        if isinstance(codec, SelfTimed):
            times = codec.seconds_of(data)
        return ImageRow(
            image=name_of(source),
            quality=quality,
            width=form.width,
            height=form.height,
            bytes=len(data),
            bpp=8 * len(data) / (form.width * form.height * frames.count),
            metrics=means,
            encoding_time=times[0],
            decoding_time=times[1],
            frames=frames.count,
            fps=float(form.fps),
            colour_format=form.pixel_format,
            peak_memory=self._memory.read(),
            encoding_fps=_frames_per_second(frames.count, times[0]),
            decoding_fps=_frames_per_second(frames.count, times[1]),
            per_frame=per_frame,
            **self._anatomy(data),
        )

    def _anatomy(self, data: bytes) -> dict[str, Any]:
        return asdict(self.codec.anatomy_of(data)) if isinstance(self.codec, Dissecting) else {}

    def _measure_frames(
        self, source: VideoSource, video: Video, decoded: Iterator[Frame]
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        """The metrics of the frames, and their means, both sequences being read once."""
        values: dict[str, list[float]] = {}
        with ExitStack() as stack:
            files: list[IO[bytes]] = []
            paths: list[Path] = []
            if "vmaf" in self.metrics:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kodec-")))
                paths = [folder / "reference.yuv", folder / "decoded.yuv"]
                files = [stack.enter_context(path.open("wb")) for path in paths]
            count = 0
            for frame in _read_from(source, video):
                other = next(decoded, None)
                if other is None:
                    raise KodecError(f"only {count} frames came back")
                count += 1
                for name, value in measure_frame(frame, other, video.form, self.metrics).items():
                    values.setdefault(name, []).append(value)
                for file, written in zip(files, (frame, other), strict=False):
                    write_raw(file, written)
            if next(decoded, None) is not None:
                raise KodecError(f"more frames came back than the {count} that were coded")
            means = {name: float(np.mean(found)) for name, found in values.items()}
            if paths:
                for file in files:
                    file.close()
                with _not_the_codecs(source):
                    means["vmaf"] = vmaf_of_files(paths[0], paths[1], video.form)
        return values, means

    def _read(self, source: PictureSource) -> NDArray[np.uint8]:
        """The picture; the last one is held, as it usually comes again at another quality."""
        if self._held is None or self._held[0] != source:
            with _not_the_codecs(source):
                self._held = (source, source.read())
        return self._held[1]

    def _check_needed(self, source: Source, height: int, width: int, gray: bool) -> None:
        lacking = next((n for n in self.needed if not can_have(n, height, width, gray)), None)
        if lacking is not None:
            raise SourceError(
                f"{where_of(source)} cannot have {lacking}, as it is {why_without(lacking)}"
            )


@contextmanager
def _not_the_codecs(source: Source) -> Iterator[None]:
    """Turn what fails in here into a SourceError that names the source."""
    try:
        yield
    except (KodecError, OSError) as error:
        words = str(error)
        if isinstance(error, OSError):
            words = f"cannot read {where_of(source)}: {error.strerror}"
        elif where_of(source) not in words:
            words = f"{where_of(source)}: {words}"
        raise SourceError(words) from error


def _read_from(source: VideoSource, video: Video) -> Iterator[Frame]:
    frames = video.frames()
    while True:
        with _not_the_codecs(source):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _frames_per_second(count: int, seconds: float | None) -> float | None:
    return None if seconds is None else count / max(seconds, 1e-9)


class _Timed(Iterator[Frame]):
    """Frames, and the seconds that were spent in getting them."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.seconds = 0.0
        self.count = 0

    def __next__(self) -> Frame:
        start = time.perf_counter()
        try:
            frame = next(self._frames)
        finally:
            self.seconds += time.perf_counter() - start
        self.count += 1
        return frame
