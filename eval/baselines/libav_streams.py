"""x264, x265 and SVT-AV1 through PyAV: elementary streams of pictures and of video."""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import av
import numpy as np
from numpy.typing import NDArray

from kodec.codecs.video_files.frames import (
    Chroma,
    Frame,
    VideoFormat,
    fitted,
    frame_of_picture,
    picture_of_frame,
)
from kodec.codecs.video_files.pixel_formats import format_of, libav_frame, planes_of
from kodec.codecs.video_files.sound_decoding import open_quietly, sound_frames
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

from .framing import framed, unframed
from .scheduling import usual_scheduling

Structure = Literal["intra", "low-delay", "hierarchical", "random-access"]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
_Frames = Literal["still"] | Structure


@dataclass(frozen=True)
class Encoder:
    """One encoder of libavcodec's."""

    library: str
    stream: str
    """FFmpeg's name of the elementary stream it writes."""
    chroma: Chroma
    """What pictures are coded at."""
    preset: str
    presets: tuple[str, ...]
    quality: str
    smallest_side: int
    takes: frozenset[str]
    """Chroma formats it can code."""


_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_ALL = frozenset({"400", "420", "422", "444"})
ENCODERS = {
    "x264": Encoder("libx264", "h264", "444", "slow", _X26X_PRESETS, "QP, 1 to 51", 1, _ALL),
    "x265": Encoder("libx265", "hevc", "444", "medium", _X26X_PRESETS, "QP, 0 to 51", 16, _ALL),
    "svt-av1": Encoder(
        *("libsvtav1", "obu", "420", "6", tuple(str(preset) for preset in range(14))),
        *("CRF, 1 to 63", 16, frozenset({"420"})),
    ),
}


@dataclass(frozen=True)
class LibavCodec:
    """An encoder of libavcodec's at constant quality, one thread, and FFmpeg's decoder.

    Pictures are coded as one intra frame, 8-bit YUV, BT.709 full range, at 4:4:4 where the encoder
    can. Sequences keep their format. Raises UnsupportedError where PyAV lacks the encoder or it
    lacks the preset.
    """

    name: str
    preset: str | None = None
    structure: Structure = "intra"
    """Of sequences; pictures are always intra. low-delay: no B frames. hierarchical: seven B frames
    between others, which refer to each other as far as the encoder can. random-access: the
    encoder's own way."""
    intra_period: int = 0
    """Frames from one intra frame that decoding can begin with to the next. 0: the first alone; for
    random-access a second, rounded up to a multiple of 32."""

    def __post_init__(self) -> None:
        encoder = self.encoder
        try:
            av.Codec(encoder.library, "w")
        except ValueError as error:
            raise UnsupportedError(
                f"this PyAV ({av.__version__}) was built without {encoder.library}: install another"
            ) from error
        if self.preset is not None and self.preset not in encoder.presets:
            raise InvalidInputError(
                f"{self.name} has no preset {self.preset!r}: choose from "
                + ", ".join(encoder.presets)
            )
        # The encoders print remarks of their own, and PyAV FFmpeg's.
        os.environ.setdefault("SVT_LOG", "0")
        av.logging.set_level(None)

    @property
    def encoder(self) -> Encoder:
        """What is fixed about the encoder."""
        return ENCODERS[self.name]

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What pictures' bytes and pixels depend on besides the quality."""
        chroma = ":".join(self.encoder.chroma)
        if self.encoder.chroma != "444":
            chroma += " (the encoder has no 4:4:4); mean of 2x2 down, linear up"
        return {
            **self._shared_settings(),
            "chroma": chroma,
            "gray": "4:2:0 with neutral chroma, which is dropped after decoding",
            "bit depth": 8,
            "matrix": "bt709",
            "range": "full",
            "structure": "intra, one frame",
            "options": self._described(1, "still"),
        }

    @property
    def sequence_settings(self) -> dict[str, str | int | bool]:
        """The same of sequences."""
        return {
            **self._shared_settings(),
            "colour": "as stored, no conversion",
            "structure": self.structure,
            "intra period": self._period_in_words(),
            "options": self._described(self._period(None), self.structure),
        }

    @property
    def versions(self) -> dict[str, str]:
        """Of libavcodec and, where it says so, the encoder."""
        found = {"libavcodec": ".".join(map(str, av.library_versions["libavcodec"]))}
        own = _version_in_wheel(self.encoder.library) or self._version_in_stream()
        return found if own is None else {**found, self.name: own}

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        """The elementary stream of a picture (H, W, C)."""
        height, width, components = image.shape
        # Gray is coded with chroma that says nothing: not every encoder and decoder has 4:0:0.
        chroma = self.encoder.chroma if components == 3 else "420"
        colour = np.broadcast_to(image, (height, width, 3))
        frame = frame_of_picture(colour, chroma)
        form = VideoFormat(width, height, chroma, fps=Fraction(25))
        coded = self._coded_format(form)
        data = self._encoded([fitted(frame, coded)], coded, quality, "still")
        if components == 1 or (coded.width, coded.height) != (width, height):
            return framed(data, width, height, components)
        return data

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture (H, W, C) in a stream."""
        data, head = unframed(data)
        frame = next(self._decoded(data), None)
        if frame is None:
            raise BitstreamError(f"FFmpeg finds no frame in a {self.encoder.stream} stream")
        if head is None:
            return picture_of_frame(frame, *frame[0].shape)
        width, height, components = head
        return picture_of_frame(frame, height, width)[:, :, :components]

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        """The elementary stream of a sequence, which is read as it is coded.

        on_frame: is told of every frame's number and bits, those of the heads before it included.
        """
        if form.chroma not in self.encoder.takes or form.bit_depth not in (8, 10):
            raise UnsupportedError(f"{self.name} cannot code {form.pixel_format} as it stands")
        coded = self._coded_format(form)
        fits = (fitted(frame, coded) for frame in frames)
        data = self._encoded(fits, coded, quality, self.structure, on_frame)
        if (coded.width, coded.height) != (form.width, form.height):
            return framed(data, form.width, form.height, 1 if form.chroma == "400" else 3)
        return data

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        """The frames in a stream, in display order, decoded as they are asked for."""
        data, head = unframed(data)
        for frame in self._decoded(data):
            if head is None:
                yield frame
            else:
                chroma = _chroma_of(frame)
                yield fitted(frame, VideoFormat(head[0], head[1], chroma))

    def _coded_format(self, form: VideoFormat) -> VideoFormat:
        """Even sides where chroma is subsampled, and what the encoder takes at least."""
        multiple = 1 if form.chroma in ("400", "444") else 2
        return form.padded(multiple, self.encoder.smallest_side)

    def _encoded(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        structure: _Frames,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        context = av.CodecContext.create(self.encoder.library, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = form.width, form.height
        context.pix_fmt = form.pixel_format
        context.framerate, context.time_base = form.fps, 1 / form.fps
        context.thread_count = 1
        context.options = self._options(quality or 0, self._period(form), structure)
        coded: list[av.Packet[Any]] = []
        try:
            with usual_scheduling():
                context.open()
            for number, frame in enumerate(frames):
                coded += context.encode(libav_frame(frame, form, number, 1 / form.fps))
            coded += context.encode(None)
        except av.FFmpegError as error:
            raise KodecError(
                f"{self.encoder.library} refused {form.width}x{form.height} {form.pixel_format}: "
                f"{error.strerror}"
            ) from error
        packets = [bytes(packet) for packet in coded]
        if packets and self.name == "x264":
            packets[0] = _without_version(packets[0])
        for packet, data in zip(coded, packets, strict=True):
            if on_frame is not None and packet.pts is not None:
                on_frame(packet.pts, 8 * len(data))
        return b"".join(packets)

    def _decoded(self, data: bytes) -> Iterator[Frame]:
        try:
            container, said = open_quietly(io.BytesIO(data), self.encoder.stream)
            with container:
                for frame in sound_frames(container, f"the {self.encoder.stream} stream", said):
                    form = format_of(frame.format.name, frame.width, frame.height, Fraction(25))
                    if form is None:
                        raise BitstreamError(f"FFmpeg decodes to {frame.format.name}")
                    yield planes_of(frame, form)
        except (av.FFmpegError, IndexError) as error:
            raise BitstreamError(f"FFmpeg cannot decode the stream: {error}") from error

    def _shared_settings(self) -> dict[str, str | int | bool]:
        return {
            "through": "PyAV",
            "file": "elementary stream",
            "quality": self.encoder.quality,
            "preset": self.preset or self.encoder.preset,
            "threads": 1,
            "padding": "by the last row and column, to even sides where chroma is subsampled and "
            f"to {self.encoder.smallest_side} at least; cropped after decoding",
        }

    def _period(self, form: VideoFormat | None) -> int:
        """The intra period in frames; 0: the first frame alone. Without a format a number that
        stands for the one that follows from it."""
        if self.intra_period or self.structure != "random-access":
            return self.intra_period
        return _PERIOD_SHOWN if form is None else int(32 * -(-form.fps // 32))

    def _period_in_words(self) -> str:
        if self.intra_period:
            return str(self.intra_period)
        return {
            "intra": "1",
            "random-access": "a second, rounded up to a multiple of 32 frames",
        }.get(self.structure, "the first frame only")

    def _described(self, period: int, structure: _Frames) -> str:
        options = self._options(0, period, structure)
        return " ".join(
            f"{key}={value}".replace(f"{_PERIOD_SHOWN}", "PERIOD").replace("qp=0", "qp=QUALITY")
            for key, value in options.items()
            if key not in ("preset", "crf")
        )

    def _options(self, quality: int, period: int, structure: _Frames) -> dict[str, str]:
        preset = self.preset or self.encoder.preset
        if self.name == "svt-av1":
            kinds = {
                "still": "avif=1",
                "intra": "keyint=1",
                "low-delay": f"pred-struct=1:keyint={period or -1}",
                "hierarchical": f"pred-struct=2:hierarchical-levels=3:keyint={period or -1}",
                "random-access": f"pred-struct=2:keyint={period}",
            }
            parameters = f"tune=1:lp=1:{kinds[structure]}"
            return {"preset": preset, "crf": str(quality), "svtav1-params": parameters}
        kinds = {
            "still": "keyint=1",
            "intra": "keyint=1",
            "low-delay": f"bframes=0:scenecut=0:keyint={period or -1}",
            "hierarchical": f"bframes=7:b-adapt=0:scenecut=0:keyint={period or -1}",
            "random-access": f"scenecut=0:keyint={period}:min-keyint={period}",
        }
        parameters = f"qp={quality}:{kinds[structure]}"
        shared = {"preset": preset, "tune": "psnr"}
        if self.name == "x264":
            parameters = parameters.replace("keyint=-1", "keyint=infinite")
            return {**shared, "x264-params": f"{parameters}:threads=1"}
        if structure == "hierarchical":
            # Frames behind an intra frame may not refer to those before it, as in x264.
            parameters += ":open-gop=0"
        own = "pools=none:frame-threads=1:info=0:log-level=none"
        return {**shared, "x265-params": f"{parameters}:{own}"}

    def _version_in_stream(self) -> str | None:
        """x264 and x265 write their version into the first frame, unless told not to."""
        if self.name == "svt-av1":
            return None
        context = av.CodecContext.create(self.encoder.library, "w")
        assert isinstance(context, av.VideoCodecContext)
        form = VideoFormat(64, 64)
        context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
        context.time_base, context.thread_count = Fraction(1, 25), 1
        context.options = {"x265-params": "log-level=none"} if self.name == "x265" else {}
        black = tuple(np.zeros(shape, np.uint8) for shape in form.plane_shapes)
        packets = [
            *context.encode(libav_frame(black, form, 0, 1 / form.fps)),
            *context.encode(None),
        ]
        text = b"".join(map(bytes, packets)).decode("latin-1")
        found = re.search(r"x264 - core (\d+(?: r\d+\w*)?)|x265 \(build \d+\) - ([\w.+-]+)", text)
        return found and (found[1] or found[2])


_PERIOD_SHOWN = 987654


def _version_in_wheel(library: str) -> str | None:
    """SVT-AV1 writes its version nowhere; PyAV's wheels name the library's file by it."""
    if library != "libsvtav1":
        return None
    folder = Path(av.__file__).parent.parent / "av.libs"
    for path in folder.glob("libSvtAv1Enc*.so.*"):
        return path.name.partition(".so.")[2]
    return None


def _without_version(packet: bytes) -> bytes:
    """The packet without the message (SEI, user data) in which x264 names itself and its options.

    It has some 700 bytes, no decoder needs it, and a picture at 0.1 bit per pixel has 5,000.
    """
    start = packet.find(b"\0\0\1\x06\x05")
    end = packet.find(b"\0\0\1", start + 3)
    if start < 0 or end < 0:
        return packet
    # A start code may have a third zero in front of it.
    start, end = (i - 1 if i and packet[i - 1] == 0 else i for i in (start, end))
    return packet[:start] + packet[end:]


def _chroma_of(frame: Frame) -> Chroma:
    if len(frame) == 1:
        return "400"
    (height, width), (half_height, half_width) = frame[0].shape, frame[1].shape
    if half_width == width:
        return "444"
    return "422" if half_height == height else "420"
