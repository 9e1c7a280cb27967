from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kodec.codecs.video_files.frames import (
    fitted,
    frame_of_picture,
    picture_of_frame,
    read_raw,
    write_raw,
)
from kodec.eval import VideoFormat
from kodec.native import InvalidInputError


def test_formats_know_their_planes() -> None:
    form = VideoFormat(5, 3, "420", 10)
    assert form.pixel_format == "yuv420p10le"
    assert form.plane_shapes == [(3, 5), (2, 3), (2, 3)]
    assert form.frame_bytes == 2 * (15 + 6 + 6)
    assert VideoFormat(5, 3, "400").pixel_format == "gray"
    assert VideoFormat(4, 4, "422").plane_shapes == [(4, 4), (4, 2), (4, 2)]
    padded = form.padded(2, 16)
    assert (padded.width, padded.height) == (16, 16)
    assert (form.padded(2).width, form.padded(2).height) == (6, 4)


@pytest.mark.parametrize(
    "arguments", [(0, 4), (4, 4, "410"), (4, 4, "420", 7), (4, 4, "420", 8, Fraction(0))]
)
def test_formats_that_are_none(arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInputError):
        VideoFormat(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [8, 10])
def test_raw_files_hold_what_was_written(depth: int, tmp_path: Path) -> None:
    form = VideoFormat(5, 3, "420", depth)
    rng, kind = np.random.default_rng(0), np.uint8 if depth == 8 else np.uint16
    frames = [
        tuple(rng.integers(0, 2**depth, shape).astype(kind) for shape in form.plane_shapes)
        for _ in range(3)
    ]
    path = tmp_path / "a.yuv"
    with path.open("wb") as file:
        for frame in frames:
            write_raw(file, frame)
    assert path.stat().st_size == 3 * form.frame_bytes
    for frame, read in zip(frames, read_raw(path, form), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame, read, strict=True))
    with pytest.raises(InvalidInputError, match="whole number"):
        next(read_raw(path, VideoFormat(5, 4, "420", depth)))


def test_padding_repeats_the_last_samples_and_is_cropped_away() -> None:
    form = VideoFormat(5, 3, "420")
    frame = tuple(np.arange(h * w, dtype=np.uint8).reshape(h, w) for h, w in form.plane_shapes)
    padded = fitted(frame, form.padded(2, 8))
    assert [plane.shape for plane in padded] == [(8, 8), (4, 4), (4, 4)]
    assert (padded[0][3:, :5] == frame[0][2]).all() and (padded[0][:3, 5:] == frame[0][:, 4:]).all()
    back = fitted(padded, form)
    assert all(np.array_equal(a, b) for a, b in zip(frame, back, strict=True))


@pytest.mark.parametrize("depth", [8, 10])
def test_pictures_become_frames_and_come_back(depth: int) -> None:
    picture = np.full((5, 7, 3), (200, 90, 30), np.uint8)
    for chroma in ("444", "420"):
        frame = frame_of_picture(picture, chroma, depth)
        back = picture_of_frame(frame, 5, 7, depth)
        assert back.shape == picture.shape
        assert np.abs(back.astype(int) - picture).max() <= 2
    assert frame_of_picture(picture, "420")[1].shape == (3, 4)
    gray = np.arange(35, dtype=np.uint8).reshape(5, 7, 1)
    frame = frame_of_picture(gray, "444", depth)
    assert len(frame) == 1 and np.array_equal(picture_of_frame(frame, 5, 7, depth), gray)
