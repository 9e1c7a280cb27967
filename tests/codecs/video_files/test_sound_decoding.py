"""Damaged and cut files are errors; sound ones, however odd, are read whole."""

import io
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kodec.eval import open_video
from kodec.native import BitstreamError, KodecError, UnsupportedError

Change = Callable[[bytes], bytes]
COUNT = 12
# Plain code, as x264's faster one does not always write the same bytes.
X264 = {"preset": "fast", "crf": "20", "g": "6", "bf": "2", "x264-params": "asm=0"}


class _Pipe:
    """A file that cannot be gone back in, so that no head is completed."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += bytes(data)
        return len(data)


def make(
    form: str,
    codec: str,
    options: dict[str, str] | None = None,
    *,
    container: dict[str, str] | None = None,
    times: list[int] | None = None,
    audio: float = 0,
    piped: bool = False,
    side: int = 64,
) -> bytes:
    """A sound file of 12 frames; `times` are in milliseconds, `audio` is in seconds."""
    rng, pipe = np.random.default_rng(0), _Pipe()
    folder = tempfile.TemporaryDirectory()  # a head that comes first is made from the file itself
    target = pipe if piped else f"{folder.name}/file"
    with folder, av.open(target, "w", format=form, options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = side, 48, "yuv420p"
        if times:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        sound = out.add_stream("aac", rate=48000) if audio else None
        for number in range(COUNT):
            frame = av.VideoFrame(side, 48, "yuv420p")
            for plane in frame.planes:
                texture = rng.integers(100, 140, plane.height * plane.line_size) + 4 * number
                plane.update(texture.astype(np.uint8).tobytes())
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, 1000 if times else 25)
            out.mux(stream.encode(frame))
        if sound is not None:
            for start in range(0, int(48000 * audio), 1024):
                silence = np.zeros((1, 1024), np.float32)
                block = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                block.sample_rate, block.pts = 48000, start
                out.mux(sound.encode(block))
            out.mux(sound.encode(None))
        out.mux(stream.encode(None))
        out.close()
        return pipe.data if piped else Path(f"{folder.name}/file").read_bytes()


def y4m(count: int = COUNT) -> bytes:
    frame = b"FRAME\n" + bytes(range(96)) * (64 * 48 * 3 // 2 // 96)
    return b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420mpeg2\n" + frame * count


def cut(fraction: float) -> Change:
    return lambda data: data[: int(len(data) * fraction)]


def flip(fraction: float) -> Change:
    def change(data: bytes) -> bytes:
        at = int(len(data) * fraction)
        return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]

    return change


def in_size(number: int) -> Change:
    """A changed size of the NAL unit that a packet of MP4 or Matroska begins with. Changes within
    a slice often decode to something else that H.264 cannot tell."""

    def change(data: bytes) -> bytes:
        with av.open(io.BytesIO(data), "r") as container:
            packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        at = data.index(packets[number])
        return data[: at + 2] + bytes([data[at + 2] ^ 0x55]) + data[at + 3 :]

    return change


def in_cluster(number: int, offset: int) -> Change:
    """A flipped bit in the Matroska cluster of a number, at an offset from its id."""

    def change(data: bytes) -> bytes:
        at = -1
        for _ in range(number):
            at = data.index(b"\x1f\x43\xb6\x75", at + 1)
        at += offset
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return change


def at_cluster(number: int) -> Change:
    return lambda data: b"\x1f\x43\xb6\x75".join(data.split(b"\x1f\x43\xb6\x75")[:number])


FFV1 = ("matroska", "ffv1", {"level": "3", "slicecrc": "1"})
CLUSTERS = {"cluster_time_limit": "100"}
FAST = {"movflags": "faststart"}


@pytest.mark.parametrize(
    ("name", "data", "change", "words"),
    [
        ("a.mkv", lambda: make(*FFV1), flip(0.5), r"damaged at frame [67] \(slice CRC"),
        ("a.mkv", lambda: make(*FFV1), cut(0.7), r"ended prematurely.*--frames 8"),
        ("a.mkv", lambda: make(*FFV1, piped=True), cut(0.7), "ended prematurely"),
        ("a.mkv", lambda: make(*FFV1, container=CLUSTERS), at_cluster(3), "ended prematurely"),
        ("a.mkv", lambda: make(*FFV1, container=CLUSTERS), in_cluster(3, 0), "Unknown entry"),
        ("a.mkv", lambda: make("matroska", "libx264", X264), cut(0.6), "frame"),
        ("a.mkv", lambda: make("matroska", "libx264", X264), in_size(8), "damaged at frame"),
        ("a.webm", lambda: make("matroska", "rawvideo"), cut(0.5), "prematurely.*--frames 5"),
        ("a.mp4", lambda: make("mp4", "libx264", X264), cut(0.6), "not a video or is damaged"),
        ("a.mp4", lambda: make("mp4", "libx264", X264, container=FAST), cut(0.7), "frame"),
        ("a.mp4", lambda: make("mp4", "libx264", X264), in_size(3), "damaged at frame"),
        ("a.mov", lambda: make("mov", "mpeg4", container=FAST), cut(0.8), "frame"),
        ("a.avi", lambda: make("avi", "ffv1"), cut(0.6), "--frames 6"),
        ("a.avi", lambda: make("avi", "rawvideo"), cut(0.6), "--frames 6"),
        ("a.nut", lambda: make("nut", "ffv1"), flip(0.6), "slice CRC"),
        ("a.ts", lambda: make("mpegts", "libx264", X264), cut(0.51), "cut off or damaged|frame"),
        ("a.y4m", y4m, lambda data: data[:-1], "after 11 frames"),
        ("a.y4m", y4m, lambda data: data[:-4613], "after 11 frames"),
        ("a.y4m", y4m, lambda data: data[:50], "after 0 frames: no frame|after 0 frames"),
    ],
)
def test_damaged_and_cut_files_are_refused(
    name: str,
    data: Callable[[], bytes],
    change: Change,
    words: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(change(data()))
    with pytest.raises(BitstreamError, match=words) as caught:
        for _ in open_video(tmp_path / name).frames():
            pass
    assert str(tmp_path / name) in str(caught.value)
    assert capfd.readouterr().err == ""  # the library's own lines


IRREGULAR = [0, 33, 103, 303, 319, 1819, 1852, 1922, 2122, 2138, 3638, 9000]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.mkv", lambda: make(*FFV1, times=IRREGULAR)),
        ("a.mkv", lambda: make(*FFV1, times=[1000 + 40 * i for i in range(COUNT)])),
        ("a.mkv", lambda: make(*FFV1, piped=True)),
        ("a.mkv", lambda: make(*FFV1, audio=2)),
        ("a.mkv", lambda: make(*FFV1).replace(b"Lavf", b"\xffavf")),
        ("a.mkv", lambda: make("matroska", "libx264", {**X264, "x264-params": "asm=0:open-gop=1"})),
        ("a.mp4", lambda: make("mp4", "libx264", X264, times=IRREGULAR)),
        ("a.mp4", lambda: make("mp4", "libx264", X264, audio=2, container=FAST)),
        ("a.mp4", lambda: make("mp4", "libx264", X264, container={"movflags": "empty_moov"})),
        ("a.avi", lambda: make("avi", "mpeg4", {"bf": "2"})),
        ("a.nut", lambda: make("nut", "ffv1")),
        ("a.ts", lambda: make("mpegts", "libx264", X264, audio=1)),
        ("a.y4m", y4m),
    ],
)
def test_sound_files_are_read_whole(name: str, data: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data())
    assert sum(1 for _ in open_video(tmp_path / name).frames()) == COUNT


def test_what_comes_before_the_damage_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(cut(0.7)(make(*FFV1)))
    with pytest.raises(BitstreamError) as caught:
        list(open_video(tmp_path / "a.mkv").frames())
    count = int(str(caught.value).partition("--frames ")[2].rstrip(")"))
    assert len(list(open_video(tmp_path / "a.mkv", limit=count).frames())) == count == 8


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    two = make("h264", "libx264", X264) + make("h264", "libx264", X264, side=96)
    (tmp_path / "a.h264").write_bytes(two)
    with pytest.raises(UnsupportedError, match="frame 13 is 96x48 yuv420p, those before are 64x48"):
        list(open_video(tmp_path / "a.h264").frames())


def test_a_codec_that_nobody_knows_is_said(tmp_path: Path) -> None:
    data = make(*FFV1).replace(b"V_FFV1", b"V_XXX1").replace(b"FFV1", b"XXX1")
    (tmp_path / "a.mkv").write_bytes(data)
    with pytest.raises(KodecError, match="unknown codec"):
        open_video(tmp_path / "a.mkv")
