import io
import logging
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.video_files import frame_sinks
from kodec.codecs.video_files.frames import Chroma, Frame, VideoFormat
from kodec.codecs.video_files.video_reading import open_video
from kodec.codecs.video_files.video_writing import VideoWriter, check_video_output
from kodec.native import InvalidInputError, KodecError, UnsupportedError
from video_frames import assert_same, make_frames

BT601 = Colour(6, 6, 6, False)
BT709 = Colour(1, 1, 1, True)
BT2020 = Colour(9, 16, 9, False)
SRGB = Colour(1, 13, 0, True)


def write(path: Path, form: VideoFormat, count: int = 3, **more: object) -> list[Frame]:
    frames = make_frames(form, count)
    with VideoWriter(path, form, **more) as writer:  # type: ignore[arg-type]
        for frame in frames:
            writer.write(frame)
    return frames


@pytest.mark.parametrize(
    ("chroma", "depth", "colour"),
    [
        ("420", 8, BT601),
        ("420", 8, BT709),
        ("420", 10, BT2020),
        ("422", 8, BT709),
        ("422", 10, BT601),
        ("444", 8, BT2020),
        ("444", 10, BT709),
        ("444", 16, BT601),
        ("400", 8, Colour(full_range=True)),
        ("400", 12, Colour()),
        ("444", 8, SRGB),
        ("444", 10, SRGB),
    ],
)
def test_matroska_keeps_samples_and_tags(
    chroma: Chroma, depth: int, colour: Colour, tmp_path: Path
) -> None:
    form = VideoFormat(36, 28, chroma, depth, Fraction(30000, 1001), colour)
    frames = write(tmp_path / "a.mkv", form)
    video = open_video(tmp_path / "a.mkv")
    assert video.form == form
    assert_same(list(video.frames()), frames)


@pytest.mark.parametrize(
    ("chroma", "depth", "full_range"),
    [
        ("420", 8, False),
        ("420", 8, True),
        ("420", 10, True),
        ("422", 8, True),
        ("422", 10, False),
        ("444", 8, False),
        ("444", 10, True),
        ("400", 8, True),
        ("400", 10, False),
    ],
)
def test_y4m_keeps_samples_and_range(
    chroma: Chroma, depth: int, full_range: bool, tmp_path: Path
) -> None:
    form = VideoFormat(36, 28, chroma, depth, Fraction(24000, 1001), Colour(full_range=full_range))
    frames = write(tmp_path / "a.y4m", form)
    video = open_video(tmp_path / "a.y4m")
    assert video.form == form
    assert_same(list(video.frames()), frames)


@pytest.mark.parametrize("suffix", [".mkv", ".y4m", ".yuv"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (35, 27)])
def test_odd_sizes_and_single_frames(suffix: str, width: int, height: int, tmp_path: Path) -> None:
    form = VideoFormat(width, height, "420", 8, Fraction(25))
    frames = write(tmp_path / f"a{suffix}", form, 1)
    video = open_video(tmp_path / f"a{suffix}", (width, height), pixels=None, fps=Fraction(25))
    assert video.form == form
    assert_same(list(video.frames()), frames)


def test_formats_say_what_they_lose(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    form = VideoFormat(16, 16, fps=Fraction(25), colour=BT709)
    with VideoWriter(tmp_path / "a.y4m", form) as writer:
        for frame, time in zip(make_frames(form, 3), (0, 1, 2), strict=True):
            writer.write(frame, Fraction(time))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "does not say primaries, transfer and matrix; an .mkv does" in caplog.text
    assert "their times are lost" in caplog.text


@pytest.mark.parametrize(
    ("name", "options", "time_base"),
    [
        ("a.mkv", {}, Fraction(1, 1000)),
        ("a.mp4", {"codec": "libx264", "options": {"qp": "0"}}, Fraction(1, 90000)),
        ("a.mov", {"codec": "libx264", "options": {"qp": "0"}}, Fraction(1, 90000)),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"lossless": "1"}}, Fraction(1, 1000)),
    ],
)
def test_variable_times_are_kept(
    name: str, options: dict[str, object], time_base: Fraction, tmp_path: Path
) -> None:
    form = VideoFormat(64, 48, fps=Fraction(25))
    times = [tick * time_base for tick in (0, 11, 500, 1003, 1004, 90001)]
    frames = make_frames(form, len(times))
    with VideoWriter(tmp_path / name, form, time_base=time_base, **options) as writer:  # type: ignore[arg-type]
        for frame, time in zip(frames, times, strict=True):
            writer.write(frame, time)
    read = list(open_video(tmp_path / name).timed_frames())
    assert [time for _, time in read] == times
    assert_same([frame for frame, _ in read], frames)


def test_times_finer_than_matroskas_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form, base = VideoFormat(16, 16, fps=Fraction(25)), Fraction(1, 90000)
    with VideoWriter(tmp_path / "a.mkv", form, time_base=base) as writer:
        for frame, tick in zip(make_frames(form, 3), (0, 3601, 7001), strict=True):
            writer.write(frame, tick * base)
    assert caplog.text.count("rounded to milliseconds") == 1
    _, second, third = (time for _, time in open_video(tmp_path / "a.mkv").timed_frames())
    assert (second, third) == (Fraction(40, 1000), Fraction(78, 1000))


@pytest.mark.parametrize("gray", [False, True])
def test_folders_of_pictures_come_back(gray: bool, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shape = (27, 35) if gray else (27, 35, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(source / f"{number}.png")
    video = open_video(source, fps=Fraction(5))
    with VideoWriter(f"{out}/", video.form) as writer:
        for frame, time in video.timed_frames():
            writer.write(frame, time)
    assert sorted(os.listdir(out)) == ["000001.png", "000002.png", "000003.png"]
    for number, pixels in enumerate(pictures, start=1):
        assert np.array_equal(np.asarray(Image.open(out / f"{number:06d}.png")), pixels)
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_folders_of_video_have_its_colours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = VideoFormat(4, 2, "420", 10, Fraction(25), BT601)
    out = tmp_path / "out"
    out.mkdir()
    # Red in BT.601, limited range, at 10 bits.
    red = (np.full((2, 4), 326, np.uint16), np.full((1, 2), 361, np.uint16))
    with VideoWriter(out, form) as writer:
        writer.write((*red, np.full((1, 2), 960, np.uint16)))
    pixels = np.asarray(Image.open(out / "000001.png")).astype(int)
    assert np.abs(pixels - [255, 0, 0]).max() <= 1
    assert "8 bits a sample: rounded" in caplog.text


def test_a_pipe_gets_y4m(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Output:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Output)
    form = VideoFormat(35, 27, "422", 8, Fraction(25))
    frames = write(Path("-"), form)
    (tmp_path / "a.y4m").write_bytes(Output.buffer.getvalue())
    assert_same(list(open_video(tmp_path / "a.y4m").frames()), frames)


@pytest.mark.parametrize("name", ["a.mkv", "a.y4m", "folder/"])
def test_what_fails_leaves_nothing(name: str, tmp_path: Path) -> None:
    form = VideoFormat(16, 16)
    with pytest.raises(KeyboardInterrupt):
        with VideoWriter(f"{tmp_path}/{name}", form) as writer:
            writer.write(make_frames(form, 1)[0])
            assert os.listdir(tmp_path) == [f"{name.rstrip('/')}.part"]
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    with pytest.raises(InvalidInputError, match="no frame was written"):
        VideoWriter(f"{tmp_path}/{name}", form).finish()
    assert os.listdir(tmp_path) == []


def test_what_was_written_can_be_kept(tmp_path: Path) -> None:
    form = VideoFormat(16, 16)
    frames = make_frames(form, 3)
    with pytest.raises(KeyboardInterrupt):
        with VideoWriter(tmp_path / "a.mkv", form) as writer:
            for frame in frames[:2]:
                writer.write(frame)
            writer.finish()
            raise KeyboardInterrupt
    assert_same(list(open_video(tmp_path / "a.mkv").frames()), frames[:2])


def test_another_codec_is_used_by_its_name(tmp_path: Path) -> None:
    form = VideoFormat(64, 48, "420", 8, Fraction(25), BT709)
    rng = np.linspace(0, 200, 64 * 48).reshape(48, 64).astype(np.uint8)
    neutral = np.full((24, 32), 128, np.uint8)
    with VideoWriter(tmp_path / "a.mp4", form, codec="libx264") as writer:
        for _ in range(3):
            writer.write((rng, neutral, neutral))
    video = open_video(tmp_path / "a.mp4")
    assert video.form == form
    assert all(np.abs(frame[0].astype(int) - rng).mean() < 4 for frame in video.frames())


@pytest.mark.parametrize(
    ("name", "codec", "error", "words"),
    [
        ("a.mp4", None, UnsupportedError, "--codec libx264"),
        ("a.webm", None, UnsupportedError, "--codec libvpx-vp9"),
        ("a.wmv", None, UnsupportedError, "not as .wmv"),
        ("a", None, UnsupportedError, "a name without extension"),
        ("a.y4m", "libx264", UnsupportedError, "leave --codec libx264 away"),
        ("missing/a.mkv", None, InvalidInputError, "does not exist"),
        ("missing/a/", None, InvalidInputError, "does not exist"),
        ("full", None, InvalidInputError, "not empty"),
        ("full/file/", None, InvalidInputError, "no folder"),
    ],
)
def test_outputs_are_refused_before_any_work(
    name: str, codec: str | None, error: type[KodecError], words: str, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("here")
    with pytest.raises(error, match=words):
        check_video_output(f"{tmp_path}/{name}", codec)
    with pytest.raises(error, match=words):
        VideoWriter(f"{tmp_path}/{name}", VideoFormat(16, 16), codec=codec)


@pytest.mark.parametrize(
    ("name", "form", "codec", "words"),
    [
        ("a.mkv", VideoFormat(16, 16), "libx999", "no encoder 'libx999'"),
        ("a.mkv", VideoFormat(16, 16, "422", 12), "libx264", "cannot hold yuv422p12le"),
        ("a.mkv", VideoFormat(16, 16, "420", 11), None, "cannot hold yuv420p11le; write a .yuv"),
        ("a.mp4", VideoFormat(35, 27), "libx264", "libx264 cannot write 35x27"),
        ("a.webm", VideoFormat(16, 16), "libx264", "cannot write"),
        ("a.y4m", VideoFormat(16, 16, "444", colour=SRGB), None, "Y4M cannot hold gbrp"),
        ("a/", VideoFormat(16, 16, colour=Colour(matrix=14)), None, "matrix 14"),
    ],
)
def test_formats_that_do_not_fit_are_refused_before_any_frame(
    name: str, form: VideoFormat, codec: str | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=words):
        VideoWriter(f"{tmp_path}/{name}", form, codec=codec)
    assert os.listdir(tmp_path) == []


def test_frames_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    form = VideoFormat(16, 16)
    with VideoWriter(tmp_path / "a.mkv", form) as writer:
        writer.write(make_frames(form, 1)[0])
        with pytest.raises(InvalidInputError, match="has uint8 planes"):
            writer.write(make_frames(VideoFormat(16, 16, "420", 10), 1)[0])
        with pytest.raises(InvalidInputError, match="has uint8 planes"):
            writer.write(make_frames(VideoFormat(16, 14), 1)[0])
        with pytest.raises(InvalidInputError, match="not shown after"):
            writer.write(make_frames(form, 1)[0], Fraction(0))
    assert len(list(open_video(tmp_path / "a.mkv").frames())) == 1


def test_a_system_error_names_the_output_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    form = VideoFormat(16, 16)
    monkeypatch.setattr(frame_sinks, "write_raw", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.yuv'"):
        with VideoWriter(tmp_path / "a.yuv", form) as writer:
            writer.write(make_frames(form, 1)[0])
    assert os.listdir(tmp_path) == []


def test_clocks_and_times_that_no_file_holds(tmp_path: Path) -> None:
    form = VideoFormat(16, 16, fps=Fraction(1, 1000))
    fine = Fraction(1, 2**31 * 2**24)
    with VideoWriter(tmp_path / "a.mkv", form, time_base=fine) as writer:
        for frame, time in zip(make_frames(form, 2), (Fraction(0), 2 + fine), strict=True):
            writer.write(frame, time)
        with pytest.raises(InvalidInputError, match="later than a file can say"):
            writer.write(make_frames(form, 1)[0], Fraction(2**62))
    times = [time for _, time in open_video(tmp_path / "a.mkv").timed_frames()]
    assert times == [0, 2]
