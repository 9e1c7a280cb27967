import numpy as np
import pytest

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.video_files.colour_conversion import yuv_to_rgb
from kodec.codecs.video_files.frames import Chroma, Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import frame_of_rgb, matrix_of, rgb_of_frame
from kodec.native import InvalidInputError, UnsupportedError
from video_frames import assert_same, make_frames


@pytest.mark.parametrize(
    ("matrix", "full_range", "chroma", "depth"),
    [
        *((matrix, full, "420", 8) for matrix in (1, 2, 4, 5, 6, 7, 9) for full in (False, True)),
        *((0, full, "444", 8) for full in (False, True)),
        *((2, full, "400", 8) for full in (False, True)),
        *((9, False, chroma, 10) for chroma in ("420", "422", "444")),
        *((1, full, "444", depth) for full in (False, True) for depth in (12, 16)),
    ],
)
def test_a_neutral_chart_passes_unchanged(
    matrix: int, full_range: bool, chroma: Chroma, depth: int
) -> None:
    levels = 2**depth
    low, high = (0, levels - 1) if full_range else (levels // 16, 235 * levels // 256)
    form = VideoFormat(257, 259, chroma, depth, colour=Colour(1, 1, matrix, full_range))
    kind = np.uint8 if depth == 8 else np.uint16
    y = np.resize(np.arange(low, high + 1), (259, 257)).astype(kind)
    frame: Frame = (y,) if chroma == "400" else (y, y, y)
    if chroma != "400" and matrix != 0:
        frame = (y, *(np.full(shape, levels // 2, kind) for shape in form.plane_shapes[1:]))
    rgb = rgb_of_frame(frame, form)
    assert rgb.dtype == np.float32 and rgb.shape == (3, 259, 257)
    assert rgb.min() == 0 and rgb.max() == 1
    assert np.array_equal(rgb[0], rgb[1]) and np.array_equal(rgb[0], rgb[2])
    assert_same([frame_of_rgb(rgb, form)], [frame])


@pytest.mark.parametrize(("name", "code"), [("bt709", 1), ("bt601", 6)])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_are_those_of_the_matrix(name: str, code: int, full_range: bool) -> None:
    form = VideoFormat(40, 30, "444", 8, colour=Colour(matrix=code, full_range=full_range))
    frame = make_frames(form, 1)[0]
    rgb = np.moveaxis(rgb_of_frame(frame, form), 0, 2)
    expected = yuv_to_rgb(np.stack(frame, axis=2), name, full_range)  # type: ignore[arg-type]
    assert np.abs(255 * rgb - expected).max() <= 0.5001


def test_bt2020_of_pure_red() -> None:
    form = VideoFormat(1, 1, "444", 10, colour=Colour(9, 16, 9))
    rgb = np.array([1.0, 0, 0]).reshape(3, 1, 1)
    # Y is 64 + 876 Kr, U 512 - 896 Kr / (2 - 2 Kb), V the largest there is.
    assert [int(plane[0, 0]) for plane in frame_of_rgb(rgb, form)] == [294, 387, 960]


@pytest.mark.parametrize(
    ("chroma", "depth"), [("420", 8), ("422", 8), ("444", 8), ("420", 10), ("444", 16)]
)
def test_colours_come_back(chroma: Chroma, depth: int) -> None:
    form = VideoFormat(35, 27, chroma, depth, colour=Colour(1, 1, 1, True))
    # Colours that RGB has, alike where they share a sample of chroma.
    rng = np.random.default_rng(0)
    small = rng.uniform(0.2, 0.8, (3, 14, 18))
    rgb = small.repeat(2, axis=1).repeat(2, axis=2)[:, :27, :35]
    frame = frame_of_rgb(rgb, form)
    assert np.abs(rgb_of_frame(frame, form) - rgb).max() < 2 / 2**depth
    assert_same([frame_of_rgb(rgb_of_frame(frame, form), form)], [frame])


def test_rgb_frames_are_rearranged_only() -> None:
    form = VideoFormat(35, 27, "444", 8, colour=Colour(1, 13, 0, True))
    frame = make_frames(form, 1)[0]
    rgb = rgb_of_frame(frame, form)
    assert np.array_equal(rgb[1], frame[0].astype(np.float32) / np.float32(255))
    assert_same([frame_of_rgb(rgb, form)], [frame])


def test_chroma_is_repeated_and_averaged_and_odd_sides_count_the_last_twice() -> None:
    form = VideoFormat(3, 3, "420", 8, colour=Colour(matrix=1, full_range=True))
    u = np.array([[128, 140], [150, 160]], np.uint8)
    frame = (np.full((3, 3), 128, np.uint8), u, np.full((2, 2), 128, np.uint8))
    blue = rgb_of_frame(frame, form)[2]
    assert blue[0, 0] == blue[1, 1] < blue[0, 2] == blue[1, 2] < blue[2, 0] < blue[2, 2]
    assert_same([frame_of_rgb(rgb_of_frame(frame, form), form)], [frame])


def test_halves_are_rounded_up_and_what_is_beyond_is_clipped() -> None:
    # 876 v + 64 is 392.5 at 0.375.
    form = VideoFormat(4, 1, "444", 10, colour=Colour(matrix=0))
    rgb = np.array([[[0.375, 0.5, -0.2, 1.3]]]).repeat(3, axis=0)
    assert frame_of_rgb(rgb, form)[0].tolist() == [[393, 502, 64, 940]]


def test_code_values_above_the_bit_depth_count_as_the_highest() -> None:
    form = VideoFormat(2, 2, "444", 10, colour=Colour(matrix=1, full_range=True))
    frame = tuple(np.full((2, 2), value, np.uint16) for value in (65535, 512, 512))
    assert (rgb_of_frame(frame, form) == 1).all()


def test_an_unspecified_matrix_goes_by_the_height() -> None:
    assert matrix_of(VideoFormat(1280, 720)) == 1
    assert matrix_of(VideoFormat(720, 576)) == 6
    assert matrix_of(VideoFormat(720, 576, colour=Colour(matrix=9))) == 9


def test_what_is_not_converted() -> None:
    form = VideoFormat(2, 2, "444", colour=Colour(matrix=8))
    with pytest.raises(UnsupportedError, match="matrix 8"):
        rgb_of_frame(make_frames(form, 1)[0], form)
    with pytest.raises(InvalidInputError, match="no frame of 2x2"):
        frame_of_rgb(np.zeros((3, 2, 4)), VideoFormat(2, 2))
