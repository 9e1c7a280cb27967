"""Models of sequences measured: rows of frames, structures, and decoders that differ."""

from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from closed_loops import small_model
from kodec.codecs import ModelInfo, Picture, write_picture
from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.video_files.frames import Frame, VideoFormat, write_raw
from kodec.eval import (
    PictureSource,
    Results,
    VideoSource,
    evaluate_sources,
    read_results,
    write_results,
)
from kodec.eval.running.checked_video import CheckedVideoCodec
from kodec.native import InvalidInputError, KodecError, MismatchError

FORM = VideoFormat(64, 48, fps=Fraction(25))
FRAMES = 5


@cache
def video_codec(kind: str = "bidirectional") -> VideoCodec:
    return VideoCodec(small_model(kind, gain=(1.0, 4.0)), ModelInfo("small", {}, bytes(8)))


def frames(seed: int = 0) -> list[Frame]:
    y, x = np.mgrid[0:48, 0:64]
    found = []
    for number in range(FRAMES):
        luma = 120 + 60 * np.sin((x + 3 * number) / 6 + seed) + 40 * np.cos(y / 5)
        planes = luma, luma[::2, ::2] / 2, luma[1::2, 1::2] / 3
        found.append(tuple(plane.astype(np.uint8) for plane in planes))
    return found


@pytest.fixture
def clip(tmp_path: Path) -> VideoSource:
    path = tmp_path / "clip_64x48_25.yuv"
    with path.open("wb") as file:
        for frame in frames():
            write_raw(file, frame)
    return VideoSource(path)


def measured(clip: VideoSource, structure: str, period: int = 0) -> Results:
    make = partial(CheckedVideoCodec, video_codec(), Structure(structure), period)
    return evaluate_sources(make, [clip], [20], ["psnr-y", "psnr-u", "psnr-yuv-611"])


def test_a_row_has_its_frames_bits_metrics_and_speed(clip: VideoSource, tmp_path: Path) -> None:
    results = measured(clip, "hierarchical")
    (row,) = results.per_image
    assert list(row.per_frame) == ["bits", "psnr-y", "psnr-u", "psnr-yuv-611"]
    assert {len(column) for column in row.per_frame.values()} == {row.frames} == {FRAMES}
    # The head and the index are of no frame.
    assert 0 < row.bytes - sum(row.per_frame["bits"]) / 8 < 200
    assert row.metrics["psnr-u"] == pytest.approx(np.mean(row.per_frame["psnr-u"]))
    assert row.encoding_fps == pytest.approx(FRAMES / (row.encoding_time or 0.0))
    assert row.decoding_time is not None
    assert results.results["decoding_fps"] == [pytest.approx(FRAMES / row.decoding_time)]
    assert results.settings["structure"] == "hierarchical"
    write_results(results, tmp_path / "r.json")
    assert read_results(tmp_path / "r.json").per_image == [row]


def test_an_intra_period_makes_refreshes(clip: VideoSource) -> None:
    (once,), (often,) = (measured(clip, "low-delay", n).per_image for n in (0, 2))
    assert once.per_frame["bits"][0] == often.per_frame["bits"][0]
    assert once.per_frame["bits"][2] != often.per_frame["bits"][2]
    assert measured(clip, "low-delay", 2).settings["intra period"] == "2"


def test_frames_that_differ_from_the_encoders_are_an_error() -> None:
    codec = CheckedVideoCodec(video_codec())
    other = codec.encode_sequence(frames(seed=1), FORM, 20)
    own = codec.encode_sequence(frames(), FORM, 20)
    assert len(list(codec.decode_sequence(own))) == FRAMES
    with pytest.raises(MismatchError, match=r"frame \d was decoded to other samples"):
        list(codec.decode_sequence(other))


def test_structures_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="takes 1: name another"):
        CheckedVideoCodec(video_codec("scale-space"), Structure("hierarchical"))


def test_a_model_of_sequences_refuses_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", Picture(np.zeros((16, 16, 3), np.uint8)))
    codec = CheckedVideoCodec(video_codec())
    with pytest.raises(KodecError, match="codes sequences, and this is a picture"):
        evaluate_sources(lambda: codec, [PictureSource(tmp_path / "a.png")], [20], ["psnr-rgb"])
