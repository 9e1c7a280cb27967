"""`kodec encode` and `kodec decode` of videos: frames to `.kdc` files and back, as they come."""

import argparse
import io
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Literal, TextIO, TypeVar, cast

from kodec.native import BitstreamError, InvalidInputError, KodecError

from . import usage
from .figures import FileFigures
from .progress import Show, progress

if TYPE_CHECKING:
    from kodec.codecs.sequences.video_codec import VideoCodec
    from kodec.codecs.sequences.video_encoder import CodedStep, Coding
    from kodec.codecs.video_files.video import Video

_Item = TypeVar("_Item")

PIPE = Path("-")
LOST_FRAMES = 3
"""Exit status where frames were lost and the others written."""


def add_encode_options(
    parser: argparse.ArgumentParser, rate: "argparse._MutuallyExclusiveGroup"
) -> None:
    """What `encode` takes for videos alone; `rate` are the options of which one may be given."""
    rate.add_argument(
        "--bitrate",
        metavar="B",
        type=usage.bitrate,
        help="of a video, bits a second, 500k or 1.5M say",
    )
    video = parser.add_argument_group("videos")
    video.add_argument(
        "--passes", type=int, choices=(1, 2), default=1, help="of --bitrate: 2 codes twice (1)"
    )
    video.add_argument(
        "--structure",
        choices=("intra", "low-delay", "low-delay-2", "hierarchical"),
        help="which frames are coded from which (the model's own)",
    )
    video.add_argument(
        "--offsets",
        metavar="O,O,...",
        type=usage.offsets,
        default=(0,),
        help="added to the quality, by level of the hierarchy or frame by frame in turn",
    )
    video.add_argument(
        "--intra-period",
        metavar="N",
        type=usage.count,
        default=0,
        help="a frame that decoding can begin with, every N frames (the first alone)",
    )
    video.add_argument(
        "--no-scene-cuts", action="store_true", help="no such frame where the scene changes"
    )
    video.add_argument("--start", metavar="N", type=usage.number, default=0, help="from frame N on")
    video.add_argument("--frames", metavar="N", type=usage.count, help="at most so many frames")
    video.add_argument(
        "--size",
        metavar="WxH|N",
        type=usage.size_of_video_or_model,
        help="of raw video; or of a fitted network: 1.5M parameters, 200kB, 0.1bpp",
    )
    video.add_argument("--fps", metavar="F", type=usage.frame_rate, help="frames a second")
    video.add_argument(
        "--pixels", metavar="NAME", help="of raw video: yuv420p, yuv422p10le, gray, ... (yuv420p)"
    )


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """What `decode` takes for videos alone."""
    video = parser.add_argument_group("videos")
    video.add_argument("--start", metavar="N", type=usage.number, default=0, help="from frame N on")
    video.add_argument("--frames", metavar="N", type=usage.count, help="at most so many frames")
    video.add_argument(
        "--session", metavar="N", type=usage.number, help="of an archive: its video number N alone"
    )
    video.add_argument(
        "--codec", metavar="NAME", help="FFmpeg's name of an encoder (lossless FFV1, or raw)"
    )


def is_video(source: Path, options: argparse.Namespace) -> bool:
    """Whether `encode` takes an input for a video: by its first bytes, or what was said of it."""
    from kodec.codecs.file_kind import SNIFF_BYTES, identify_file
    from kodec.codecs.video_files.video_reading import VIDEO_SUFFIXES

    raw = options.pixels is not None or isinstance(options.size, tuple)
    if raw or source.is_dir():
        return True
    if source == PIPE:
        # What comes first stays there to be read.
        kind = identify_file(_first_of_pipe(SNIFF_BYTES))
        return kind is None or kind.family != "picture"
    if source.suffix.lower() in VIDEO_SUFFIXES:
        return True
    if not source.is_file():
        return False
    with source.open("rb") as file:
        kind = identify_file(file.read(SNIFF_BYTES))
    return kind is not None and kind.family == "video"


def _first_of_pipe(count: int) -> bytes:
    """What comes first through the pipe, `count` bytes at the most, and stays there to be read."""
    return cast(io.BufferedReader, sys.stdin.buffer).peek(count)[:count]


def is_coded_video(source: Path) -> bool:
    """Whether a `.kdc` file, or what comes through a pipe, is to be decoded as a video."""
    from kodec.codecs.container import ChunkReader, SequenceHeader

    if source == PIPE:
        first = _first_of_pipe(16)
        # The head's first byte says what the file holds (docs/bitstream.md).
        return len(first) < 8 or first[7] >> 4 != 0
    if not source.is_file():
        return False
    with source.open("rb") as file:
        try:
            return isinstance(ChunkReader(file, damaged="keep").header, SequenceHeader)
        except KodecError:
            # What is wrong with it, reading it as a picture says.
            return False


def encode(options: argparse.Namespace) -> FileFigures:
    """Encode a video to a file."""
    from kodec.codecs.video_files.video_reading import open_video

    _check_options(options)
    video = open_video(
        options.input,
        options.size,
        options.fps,
        options.frames,
        start=options.start,
        pixels=options.pixels,
    )
    from kodec.codecs.sequences.structures import Structure
    from kodec.codecs.sequences.video_codec import load_video

    from .video_rates import coding_for, rate_missed

    codec = load_video(options.model, options.device, options.trust)
    structure = Structure(options.structure or codec.network.structure, options.offsets)
    with progress(options.quiet) as show:
        coding = coding_for(codec, video, structure, options, show)
        with _coded_output(options.output) as file:
            tally = code(codec, video, coding, file, show)
    if not options.quiet:
        print(f"{options.output}: {tally.in_words()}", file=_remarks(options.output))
    missed = rate_missed(tally, options)
    if missed is not None:
        print(f"kodec: {missed}", file=sys.stderr)
    if tally.interrupted:
        raise KodecError(f"interrupted: {options.output} has the first {tally.frames} frames")
    form = video.form
    return FileFigures(tally.bytes, form.width, form.height, tally.frames, tally.psnr)


class Tally:
    """What was coded so far: bytes, frames, the mean PSNR of the frames, seconds."""

    def __init__(self, video: "Video", codec: "VideoCodec") -> None:
        self._form = video.form
        self._codec = codec
        self._began = time.monotonic()
        self._decibels = 0.0
        self.frames = 0
        self.bytes = 0
        self.qualities: range | None = None
        """From the lowest to the highest."""
        self.interrupted = False

    @property
    def name(self) -> str:
        """Of the metric that is summed."""
        if self._form.chroma == "400":
            return "psnr-y"
        return "psnr-yuv-mse-111" if self._form.is_rgb else "psnr-yuv-611"

    @property
    def psnr(self) -> float:
        """Mean over the frames, dB."""
        return self._decibels / max(self.frames, 1)

    @property
    def bits_per_second(self) -> float:
        """Of the whole file."""
        return 8 * self.bytes * float(self._form.fps) / max(self.frames, 1)

    @property
    def frames_per_second(self) -> float:
        """Coded so far."""
        return self.frames / max(time.monotonic() - self._began, 1e-9)

    def add(self, coded: "CodedStep") -> None:
        """Count a step."""
        from kodec.eval.metrics.metric_set import measure_frame

        for source, shown in zip(coded.sources, coded.shown, strict=True):
            # Without loss PSNR is infinite: 100 dB, as in the field's programs, for the mean.
            found = measure_frame(source, shown, self._form, [self.name])[self.name]
            self._decibels += min(found, 100.0)
        self.frames += len(coded.sources)
        if coded.quality is not None:
            seen = self.qualities or range(coded.quality, coded.quality + 1)
            self.qualities = range(min(seen[0], coded.quality), max(seen[-1], coded.quality) + 1)

    def in_words(self) -> str:
        """One line, without the file's name."""
        rate = self.bits_per_second
        parts = [f"{self.frames} frames", f"{self.bytes:,} bytes", f"{rate / 1000:,.1f} kbit/s"]
        if self.qualities is not None:
            low, high = self.qualities[0], self.qualities[-1]
            parts.append(f"quality {low}" if low == high else f"qualities {low} to {high}")
        label = {"psnr-y": "Y", "psnr-yuv-611": "YUV 6:1:1"}.get(self.name, "RGB")
        parts.append(f"{self.psnr:.2f} dB ({label})")
        intra = ", every frame by itself" if max(self._codec.network.reference_counts) == 0 else ""
        parts.append(f"model {self._codec.name}{intra}, {self.frames_per_second:.2f} frames/s")
        return ", ".join(parts)


def code(
    codec: "VideoCodec", video: "Video", coding: "Coding", file: IO[bytes], show: Show
) -> Tally:
    """Code a video to `file`; an interrupt ends it after the frame that is being coded."""
    from kodec.codecs.interrupts import interrupts_noted

    tally = Tally(video, codec)
    total = video.count or 0
    with interrupts_noted() as interrupts:

        def on_step(coded: "CodedStep") -> None:
            tally.add(coded)
            show(tally.frames, max(total, tally.frames), f"{tally.frames_per_second:.1f} frames/s")

        with codec.encoder(file, video.form, coding, video.clock, on_step) as encoder:
            for frame, seconds in video.timed_frames():
                encoder.push(frame, seconds)
                if interrupts:
                    tally.interrupted = True
                    break
            if not encoder.frames:
                raise _none_to_code(video)
        tally.bytes = encoder.bytes_written
    return tally


def _none_to_code(video: "Video") -> KodecError:
    if video.start:
        return InvalidInputError(f"{video.path} has no frame {video.start}: give a smaller --start")
    return InvalidInputError(f"{video.path} has no frames: there is nothing to code")


def decode(options: argparse.Namespace) -> int:
    """Decode a file to a video; returns the exit status."""
    from kodec.codecs.catalogue import model_path
    from kodec.codecs.container import ChunkReader, SequenceHeader
    from kodec.codecs.interrupts import interrupts_noted
    from kodec.codecs.video_files.video_writing import VideoWriter, check_video_output

    from .coded_file import naming

    check_video_output(options.output, options.codec)
    if options.session is not None:
        raise InvalidInputError(f"--session is for archives of pfnr, and {options.input} is none")
    # From here on torch is there.
    from kodec.codecs.sequences.stream_format import SEQUENCES
    from kodec.codecs.sequences.video_codec import load_video

    with _coded_input(options.input) as file:
        with naming(options.input):
            damaged: Literal["keep", "refuse"] = "keep" if options.partial else "refuse"
            reader = ChunkReader(file, damaged=damaged, kinds=SEQUENCES)
            header = reader.header
            assert isinstance(header, SequenceHeader)
            model = options.model or model_path(header.model_id)
            codec = load_video(model, options.device, options.trust)
            decoder = codec.decoder(reader, options.start)
        with (
            progress(options.quiet) as show,
            interrupts_noted() as interrupts,
            VideoWriter(
                options.output, decoder.form, time_base=decoder.clock.tick, codec=options.codec
            ) as writer,
        ):
            first: Fraction | None = None
            for shown in itertools.islice(_named(decoder, options.input), options.frames):
                seconds = decoder.clock.seconds_of(shown.number, shown.time)
                first = seconds if first is None else first
                writer.write(shown.picture, seconds - first)
                show(writer.count, options.frames or writer.count, "decoding")
                if interrupts:
                    break
            if not writer.count:
                with naming(options.input):
                    raise _no_frames(options)
    if not options.quiet:
        form = decoder.form
        what = f"{writer.count} frames of {form.width}x{form.height} {form.pixel_format}"
        print(f"{options.output}: {what}, model {codec.name}", file=_remarks(Path(options.output)))
    if interrupts:
        raise KodecError(f"interrupted: {options.output} has the first {writer.count} frames")
    if decoder.lost or reader.cut is not None:
        _say_what_is_lost(decoder.lost, reader.cut)
        return LOST_FRAMES
    return 0


def _named(frames: Iterable[_Item], path: Path) -> Iterator[_Item]:
    """The frames, with errors that name the file they are read from."""
    from .coded_file import naming

    with naming(path):
        yield from frames


def _no_frames(options: argparse.Namespace) -> KodecError:
    if options.start:
        return InvalidInputError(f"it has no frame {options.start}: give a smaller --start")
    return BitstreamError("no frame of it can be decoded")


def _say_what_is_lost(frames: int, cut: KodecError | None) -> None:
    lost = [] if not frames else [f"{frames} frames are lost and repeat those before them"]
    lost += [] if cut is None else [f"nothing is left behind the damage ({cut})"]
    print(f"kodec: {'; '.join(lost)}", file=sys.stderr)


@contextmanager
def _coded_input(path: Path) -> Iterator[BinaryIO]:
    """A coded file, or the standard input."""
    if path == PIPE:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


@contextmanager
def _coded_output(path: Path) -> Iterator[IO[bytes]]:
    """Where a coded file goes: whole or not at all, but for the standard output."""
    from kodec.codecs.atomic_file import AtomicFile

    if path == PIPE:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with AtomicFile(path, visible=True) as out:
        yield out.file


def _remarks(output: Path) -> TextIO:
    """Where a line about the output goes: not into the output."""
    return sys.stderr if output == PIPE else sys.stdout


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what is for pictures."""
    for option, given in (
        ("--effort", options.effort),
        ("--minutes", options.minutes is not None),
        ("--steps", options.steps is not None),
        ("--lambda", options.lam is not None),
        ("--schedule", options.schedule is not None),
        ("--resume", options.resume),
        ("--verify", options.verify),
        ("--target-bpp", options.target_bpp is not None),
    ):
        if given:
            raise InvalidInputError(f"{option} is for pictures, and {options.input} is a video")
    if options.passes > 1 and options.bitrate is None:
        raise InvalidInputError("--passes is for a rate: give --bitrate too")
