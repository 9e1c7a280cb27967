import os
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.codecs.video_files.frames import Frame
from kodec.eval import VideoFormat, psnr
from kodec.eval.baselines import Baseline, LibavCodec
from kodec.eval.baselines.libav_streams import STRUCTURES
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

NAMES = ("x264", "x265", "svt-av1")
FINE = {"x264": 16, "x265": 16, "svt-av1": 8}


def picture(height: int, width: int, components: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    waves = 120 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7)
    return np.repeat(waves.astype(np.uint8)[:, :, None], components, axis=2)


def clip(form: VideoFormat, count: int) -> list[Frame]:
    """A moving pattern."""
    frames = []
    for number in range(count):
        planes = []
        for height, width in form.plane_shapes:
            y, x = np.mgrid[0:height, 0:width]
            wave = 0.5 + 0.2 * np.sin((x + 2 * number) / 5) + 0.2 * np.cos(y / 6)
            kind = np.uint8 if form.bit_depth == 8 else np.uint16
            planes.append((wave * (2**form.bit_depth - 1)).astype(kind))
        frames.append(tuple(planes))
    return frames


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    try:
        LibavCodec(request.param)
    except UnsupportedError as error:
        pytest.skip(str(error))
    return str(request.param)


def test_more_quality_is_more_bytes_and_a_better_picture(name: str) -> None:
    codec, original, points = LibavCodec(name), picture(96, 128), []
    for quality in Baseline(name).qualities(video=False)[::2]:
        data = codec.encode(original, quality)
        points.append((len(data), psnr(original, codec.decode(data))))
    assert points == sorted(points) and points[-1][1] > 35


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (3, 5, 3), (17, 31, 1), (65, 67, 3)])
def test_any_size_and_gray_come_back_in_shape(name: str, shape: tuple[int, int, int]) -> None:
    codec, original = LibavCodec(name), picture(*shape)
    decoded = codec.decode(codec.encode(original, FINE[name]))
    assert decoded.shape == shape and decoded.dtype == np.uint8
    assert psnr(original, decoded) > 38


@pytest.mark.parametrize("structure", STRUCTURES)
def test_sequences_come_back_in_order(name: str, structure: str) -> None:
    form = VideoFormat(65, 49, fps=Fraction(30))
    codec, frames = LibavCodec(name, structure=structure), clip(form, 9)  # type: ignore[arg-type]
    data = codec.encode_sequence(iter(frames), form, FINE[name])
    decoded = list(codec.decode_sequence(data))
    assert len(decoded) == len(frames)
    for frame, other in zip(frames, decoded, strict=True):
        assert [plane.shape for plane in other] == form.plane_shapes
        assert psnr(frame[0], other[0]) > 35
    intra = LibavCodec(name, structure="intra").encode_sequence(iter(frames), form, FINE[name])
    assert (data == intra) == (structure == "intra")
    if name != "svt-av1" and structure != "intra":  # whose offsets spend bits elsewhere
        assert len(data) < len(intra)
    assert codec.sequence_settings["structure"] == structure


@pytest.mark.parametrize("structure", ["low-delay", "hierarchical"])
def test_frames_have_their_bits_and_an_intra_period_is_kept(name: str, structure: str) -> None:
    form = VideoFormat(64, 64, fps=Fraction(30))
    codec = LibavCodec(name, structure=structure, intra_period=4)  # type: ignore[arg-type]
    bits: dict[int, float] = {}
    data = codec.encode_sequence(iter(clip(form, 10)), form, FINE[name], bits.__setitem__)
    assert sorted(bits) == list(range(10)) and sum(bits.values()) == 8 * len(data)
    assert min(bits[0], bits[4], bits[8]) > max(bits[n] for n in (1, 2, 5, 6))
    assert codec.sequence_settings["intra period"] == "4"


def test_ten_bits_stay_ten_bits(name: str) -> None:
    form = VideoFormat(64, 64, "420", 10)
    frames = clip(form, 2)
    codec = LibavCodec(name)
    decoded = list(codec.decode_sequence(codec.encode_sequence(iter(frames), form, FINE[name])))
    assert decoded[0][0].dtype == np.uint16
    assert psnr(frames[1][0], decoded[1][0], 1023) > 35


def test_what_cannot_be_coded_is_not_converted(name: str) -> None:
    form = VideoFormat(64, 64, "420", 16)
    with pytest.raises(UnsupportedError, match="cannot code yuv420p16le as it stands"):
        LibavCodec(name).encode_sequence(iter(clip(form, 1)), form, 30)
    if name == "svt-av1":
        form = VideoFormat(64, 64, "444")
        with pytest.raises(UnsupportedError, match="cannot code yuv444p"):
            LibavCodec(name).encode_sequence(iter(clip(form, 1)), form, 30)


def test_encoders_do_not_sign_their_files(name: str) -> None:
    data = LibavCodec(name).encode(picture(64, 64), 30)
    assert b"x264" not in data and b"x265" not in data


def test_settings_and_versions_are_stated(name: str) -> None:
    codec = LibavCodec(name)
    assert codec.settings["matrix"] == "bt709" and codec.settings["range"] == "full"
    expected = "4:2:0 (the encoder has no 4:4:4)" if name == "svt-av1" else "4:4:4"
    assert str(codec.settings["chroma"]).startswith(expected)
    assert codec.versions["libavcodec"]
    if name != "svt-av1":
        assert codec.versions[name][0].isdigit()


def test_presets_are_checked(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} has no preset 'fastest': choose from"):
        LibavCodec(name, preset="fastest")
    quick = {"svt-av1": "10"}.get(name, "ultrafast")
    assert LibavCodec(name, preset=quick).settings["preset"] == quick


def test_damage_is_an_error(name: str) -> None:
    for data in (b"", b"\0" * 100, b"K"):
        with pytest.raises(BitstreamError):
            LibavCodec(name).decode(data)


def test_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    codec = LibavCodec(name)
    codec.decode(codec.encode(picture(20, 20), 30))
    form = VideoFormat(66, 66)
    list(codec.decode_sequence(codec.encode_sequence(iter(clip(form, 3)), form, 30)))
    assert capfd.readouterr() == ("", "")


def test_absent_encoder_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", refuse)
    with pytest.raises(UnsupportedError, match="built without libx265"):
        LibavCodec("x265")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs Linux")
def test_the_process_stays_scheduled_as_it_was(name: str) -> None:
    """As root SVT-AV1 makes real-time threads, and one of whoever calls it."""
    seen = []

    def watched(frame: Frame) -> Frame:
        seen.append({os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")})
        return frame

    before = os.sched_getscheduler(0)
    form = VideoFormat(64, 64, "420", fps=Fraction(25))
    LibavCodec(name).encode_sequence(map(watched, clip(form, 3)), form, FINE[name])
    assert os.sched_getscheduler(0) == before
    assert seen[-1] == {before}
