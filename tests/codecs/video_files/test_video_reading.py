import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs.video_files.frames import VideoFormat, write_raw
from kodec.codecs.video_files.video_reading import open_video
from kodec.codecs.video_files.video_writing import VideoWriter
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError
from video_frames import assert_same, make_frames

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Beauty_36x20_120fps_420_8bit_YUV.yuv", VideoFormat(36, 20, fps=Fraction(120))),
        ("BasketballDrive_36x20_50.yuv", VideoFormat(36, 20, fps=Fraction(50))),
        ("videoSRC01_36x20_30.yuv", VideoFormat(36, 20, fps=Fraction(30))),
        ("clip_36x20_420_8bit_24fps.yuv", VideoFormat(36, 20, fps=Fraction(24))),
        ("clip_444x20_25.yuv", VideoFormat(444, 20, fps=Fraction(25))),
        ("clip_36x20_23.976fps.yuv", VideoFormat(36, 20, fps=Fraction(23976, 1000))),
        ("clip_36x20_25_10bit_444.yuv", VideoFormat(36, 20, "444", 10, Fraction(25))),
    ],
)
def test_raw_files_are_known_by_their_names(name: str, form: VideoFormat, tmp_path: Path) -> None:
    frames = make_frames(form, 2)
    with (tmp_path / name).open("wb") as file:
        for frame in frames:
            write_raw(file, frame)
    video = open_video(tmp_path / name)
    assert video.form == form
    assert_same(list(video.frames()), frames)
    assert_same(list(open_video(tmp_path / name, limit=1).frames()), frames[:1])


def test_raw_files_that_do_not_tell(tmp_path: Path) -> None:
    form, path = VideoFormat(6, 4, fps=Fraction(10)), tmp_path / "clip.yuv"
    with path.open("wb") as file:
        write_raw(file, make_frames(form, 1)[0])
    with pytest.raises(InvalidInputError, match="--size"):
        open_video(path)
    with pytest.raises(InvalidInputError, match="--fps"):
        open_video(path, (6, 4))
    with pytest.raises(InvalidInputError, match="whole number of 8x4"):
        open_video(path, (8, 4), Fraction(10))
    assert open_video(path, (6, 4), Fraction(10)).form == form


def test_y4m_is_read(tmp_path: Path) -> None:
    form = VideoFormat(6, 4, fps=Fraction(25))
    frames = make_frames(form, 2)
    path = tmp_path / "a.y4m"
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W6 H4 F25:1 Ip A1:1 C420mpeg2\n")
        for frame in frames:
            file.write(b"FRAME\n")
            write_raw(file, frame)
    video = open_video(path)
    assert video.form == form
    assert_same(list(video.frames()), frames)


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("no video")
    with pytest.raises(BitstreamError, match=r"a\.mkv is not a video"):
        open_video(tmp_path / "a.mkv")
    with pytest.raises(InvalidInputError, match="no such file"):
        open_video(tmp_path / "b.mkv")


def write_libav(
    path: Path, frames: list[av.VideoFrame], *, turn: int | None = None, audio: bool = False
) -> None:
    """Frames of libav's in FFV1, to be turned to the left by so many degrees when shown."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = frames[0].format.name
        if turn is not None:
            stream.set_display_rotation(turn)
        sound = container.add_stream("aac", rate=48000) if audio else None
        for number, frame in enumerate(frames):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = np.zeros((1, 1024), np.float32)
            block = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            block.sample_rate, block.pts = 48000, 0
            container.mux(sound.encode(block))
            container.mux(sound.encode(None))


def gray_frame(samples: NDArray[np.uint8]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(samples, format="gray")


@pytest.mark.parametrize(
    ("turn", "expected", "words"),
    [
        (90, [[2, 5], [1, 4], [0, 3]], "90 degrees to the left"),
        (-90, [[3, 0], [4, 1], [5, 2]], "90 degrees to the right"),
        (180, [[5, 4, 3], [2, 1, 0]], "180 degrees"),
        (45, [[0, 1, 2], [3, 4, 5]], "no right angle"),
    ],
)
def test_frames_are_turned_as_the_container_says(
    turn: int,
    expected: list[list[int]],
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    samples = np.arange(6, dtype=np.uint8).reshape(2, 3)
    write_libav(tmp_path / "a.mkv", [gray_frame(samples)], turn=turn)
    video = open_video(tmp_path / "a.mkv")
    frame = next(video.frames())
    assert frame[0].tolist() == expected
    assert (video.form.height, video.form.width) == frame[0].shape
    assert words in caplog.text
    stored = open_video(tmp_path / "a.mkv", as_stored=True)
    assert next(stored.frames())[0].tolist() == samples.tolist()


def test_chroma_turns_along_and_422_cannot(tmp_path: Path) -> None:
    frame = av.VideoFrame(16, 8, "yuv420p")
    for number, plane in enumerate(frame.planes):
        plane.update(bytes([50 * number]) * (plane.line_size * plane.height))
    write_libav(tmp_path / "a.mkv", [frame], turn=90)
    video = open_video(tmp_path / "a.mkv")
    assert [plane.shape for plane in next(video.frames())] == video.form.plane_shapes
    assert video.form.plane_shapes == [(16, 8), (8, 4), (8, 4)]
    write_libav(tmp_path / "b.mkv", [av.VideoFrame(16, 8, "yuv422p")], turn=90)
    with pytest.raises(UnsupportedError, match="4:2:2 cannot be: convert"):
        open_video(tmp_path / "b.mkv")


def test_sound_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gray = gray_frame(np.zeros((16, 16), np.uint8))
    write_libav(tmp_path / "a.mkv", [gray], audio=True)
    assert len(list(open_video(tmp_path / "a.mkv", as_stored=True).frames())) == 1
    assert caplog.text == ""
    open_video(tmp_path / "a.mkv")
    assert "only its video is coded: 1 audio stream left out" in caplog.text


def test_samples_that_are_not_square_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (tmp_path / "a.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W4 H2 F25:1 A16:15 Cmono\nFRAME\n" + bytes(8))
    open_video(tmp_path / "a.y4m")
    assert "samples are 16/15 wide" in caplog.text


def test_rgb_is_planes_of_the_identity_matrix(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (27, 35, 3), dtype=np.uint8)
    padded = np.concatenate([pixels[:, :, ::-1], np.zeros((27, 35, 1), np.uint8)], axis=2)
    frame = av.VideoFrame(35, 27, "bgr0")
    lines = np.zeros((27, frame.planes[0].line_size), np.uint8)
    lines[:, : 4 * 35] = padded.reshape(27, -1)
    frame.planes[0].update(lines.tobytes())
    write_libav(tmp_path / "a.mkv", [frame])
    video = open_video(tmp_path / "a.mkv")
    assert (video.form.pixel_format, video.form.colour.matrix) == ("gbrp", 0)
    assert video.form.colour.full_range
    green, blue, red = next(video.frames())
    assert np.array_equal(np.stack([red, green, blue], axis=2), pixels)


def test_other_pixel_formats_are_refused(tmp_path: Path) -> None:
    write_libav(tmp_path / "a.mkv", [av.VideoFrame(16, 16, "yuva420p")])
    with pytest.raises(UnsupportedError, match="holds yuva420p.*convert it first"):
        open_video(tmp_path / "a.mkv")


def test_folders_of_pictures_are_read_in_natural_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in range(11)]
    for number, pixels in enumerate(pictures, start=1):
        Image.fromarray(pixels).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    video = open_video(tmp_path)
    assert "no frame rate: 25" in caplog.text
    assert video.form.pixel_format == "gbrp"
    for pixels, (green, blue, red) in zip(pictures, video.frames(), strict=True):
        assert np.array_equal(np.stack([red, green, blue], axis=2), pixels)
    few = open_video(tmp_path, fps=Fraction(10), start=9)
    assert [time for _, time in few.timed_frames()] == [0, Fraction(1, 10)]
    assert np.array_equal(next(few.frames())[0], pictures[9][:, :, 1])


def test_folders_that_are_no_sequence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no pictures"):
        open_video(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    Image.new("RGB", (5, 4)).save(tmp_path / "2.png")
    with pytest.raises(UnsupportedError, match=r"2\.png is 5x4 RGB, those before are 4x4 RGB"):
        list(open_video(tmp_path).frames())


class _Input:
    """A pipe in the place of `sys.stdin`, fed by a thread."""

    def __init__(self, data: bytes) -> None:
        ends = os.pipe()
        self.buffer = os.fdopen(ends[0], "rb")

        def feed() -> None:
            with os.fdopen(ends[1], "wb") as pipe, suppress(BrokenPipeError):
                pipe.write(data)

        self.thread = threading.Thread(target=feed)
        self.thread.start()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    made: list[_Input] = []

    def give(data: bytes) -> None:
        made.append(_Input(data))
        monkeypatch.setattr(sys, "stdin", made[-1])

    yield give
    for each in made:
        each.buffer.close()
        each.thread.join()


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".yuv"])
def test_pipes_are_read_once(suffix: str, pipe: Callable[[bytes], None], tmp_path: Path) -> None:
    form = VideoFormat(35, 27, "420", 10, Fraction(24))
    frames, path = make_frames(form, 5), tmp_path / f"a{suffix}"
    with VideoWriter(path, form) as writer:
        for frame in frames:
            writer.write(frame)
    pipe(path.read_bytes())
    if suffix == ".yuv":
        video = open_video("-", (35, 27), Fraction(24), 3, start=1, pixels="yuv420p10le")
    else:
        video = open_video("-", start=1, limit=3)
    assert video.form == form
    assert_same(list(video.frames()), frames[1:4])
    with pytest.raises(InvalidInputError, match="once"):
        next(video.frames())


@pytest.mark.parametrize(
    ("suffix", "words"),
    [(".y4m", "after 3 frames"), (".yuv", "within frame 4"), (".mkv", "damaged")],
)
def test_pipes_that_end_early(
    suffix: str, words: str, pipe: Callable[[bytes], None], tmp_path: Path
) -> None:
    form = VideoFormat(36, 28, fps=Fraction(24))
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, form) as writer:
        for frame in make_frames(form, 4):
            writer.write(frame)
    pipe(path.read_bytes()[:-500])
    video = open_video("-", *((36, 28), Fraction(24)) if suffix == ".yuv" else ())
    with pytest.raises(BitstreamError, match=words):
        list(video.frames())


def test_a_pipe_says_what_it_lacks(pipe: Callable[[bytes], None]) -> None:
    pipe(b"")
    with pytest.raises(BitstreamError, match="the input is empty"):
        open_video("-")
    with pytest.raises(InvalidInputError, match="--fps"):
        open_video("-", (4, 4))
    with pytest.raises(InvalidInputError, match="--size"):
        open_video("-", pixels="yuv420p")


def test_raw_pixels_that_are_given_win_over_the_name(tmp_path: Path) -> None:
    form = VideoFormat(4, 2, "422", 10, Fraction(5))
    frames, path = make_frames(form, 3), tmp_path / "a_8x8_30fps.bin"
    with path.open("wb") as file:
        for frame in frames:
            write_raw(file, frame)
    video = open_video(path, (4, 2), Fraction(5), pixels="yuv422p10le", start=1)
    assert video.form == form
    assert_same(list(video.frames()), frames[1:])
    with pytest.raises(UnsupportedError, match="'nv12' is not read"):
        open_video(path, (4, 2), Fraction(5), pixels="nv12")


def test_an_own_frame_rate_replaces_the_files_times(tmp_path: Path) -> None:
    form = VideoFormat(16, 16, fps=Fraction(25))
    with VideoWriter(tmp_path / "a.mkv", form) as writer:
        for frame, time in zip(make_frames(form, 3), (0, 0.5, 2), strict=True):
            writer.write(frame, Fraction(time))
    video = open_video(tmp_path / "a.mkv", fps=Fraction(2))
    assert [time for _, time in video.timed_frames()] == [0, Fraction(1, 2), 1]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", BitstreamError, "is empty"),
        (b"\x89PNG\r\n\x1a\n", InvalidInputError, "is a PNG picture, no video"),
        (b"#EXTM3U\n#EXTINF:1,\nb.ts\n", BitstreamError, "is not a video; it looks like a text"),
        (b"ffconcat version 1.0\nfile b.mkv\n", BitstreamError, "is not a video; it looks like"),
        (b"\0\1\2\3" * 100, BitstreamError, "is not a video or is damaged"),
        (b"YUV4MPEG2 W16 H16 F25:1 C420\n", BitstreamError, "no frame of it"),
        (b"YUV4MPEG2 W65536 H65536 F25:1 C420\n", KodecError, "video"),
    ],
)
def test_what_is_no_video_is_said_in_one_line(
    data: bytes, error: type[KodecError], words: str, tmp_path: Path
) -> None:
    (tmp_path / "a.mkv").write_bytes(data)
    with pytest.raises(error, match=words) as found:
        list(open_video(tmp_path / "a.mkv").frames())
    assert "\n" not in str(found.value)


def test_picture_given_as_video_and_pipes_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    with pytest.raises(InvalidInputError, match="code it as a picture"):
        open_video(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="read it as - <"):
        open_video(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="from number 0 on"):
        open_video(tmp_path / "a.png", limit=0)


@needs_data
def test_public_clip_has_its_published_samples() -> None:
    folder = Path(os.environ["KODEC_DATA"]) / "video_test"
    for entry in json.loads((folder / "manifest.json").read_text()):
        if entry["w"] > 500:
            continue
        digest = hashlib.md5()
        video = open_video(folder / entry["file"])
        for frame in video.frames():
            for plane in frame:
                digest.update(plane.tobytes())
        assert digest.hexdigest() == entry["md5_raw"], entry["file"]
        assert video.form.fps == Fraction(entry["fps"])
