import hashlib
import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kodec.codecs.sequences.frames import Frame, write_raw
from kodec.eval import VideoFormat, open_video
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)


def make_frames(form: VideoFormat, count: int) -> list[Frame]:
    rng, kind = np.random.default_rng(0), np.uint8 if form.bit_depth == 8 else np.uint16
    return [
        tuple(rng.integers(0, 2**form.bit_depth, s).astype(kind) for s in form.plane_shapes)
        for _ in range(count)
    ]


def assert_same(read: list[Frame], frames: list[Frame]) -> None:
    assert len(read) == len(frames)
    for a, b in zip(read, frames, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def write_ffv1(path: Path, frames: list[Frame], form: VideoFormat) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=form.fps)
        stream.width, stream.height = form.width, form.height
        stream.pix_fmt = form.pixel_format
        for number, planes in enumerate(frames):
            frame = av.VideoFrame(form.width, form.height, form.pixel_format)
            for plane, samples in zip(frame.planes, planes, strict=True):
                lines = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
                lines[:, : samples.shape[1]] = samples
                plane.update(lines.tobytes())
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


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


@pytest.mark.parametrize(("chroma", "depth"), [("420", 8), ("420", 10), ("444", 8), ("400", 8)])
def test_lossless_files_keep_format_and_samples(chroma: str, depth: int, tmp_path: Path) -> None:
    form = VideoFormat(38, 22, chroma, depth, Fraction(24))  # type: ignore[arg-type]
    frames = make_frames(form, 3)
    write_ffv1(tmp_path / "a.mkv", frames, form)
    video = open_video(tmp_path / "a.mkv")
    assert video.form == form
    assert_same(list(video.frames()), frames)


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


def test_rgb_is_not_converted(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        container.mux(stream.encode(av.VideoFrame(16, 16, "bgr0")))
        container.mux(stream.encode(None))
    with pytest.raises(UnsupportedError, match="bgr0.*nothing is converted"):
        open_video(tmp_path / "a.mkv")


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
