"""Frames by number are those that decoding from the start gives, whatever the container."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kodec.codecs.video_files.video_reading import open_video
from kodec.native import InvalidInputError
from kodec.train.clips.clip_file import ClipFile
from kodec.train.clips.opening import ClipSource, open_clip, open_clips
from kodec.train.clips.windows import DecodedClips
from video_clips import CHECKED, damage_frame, moving, write_raw, write_septuplets, write_video


def opened(path: Path) -> ClipFile:
    return open_clip(ClipSource(path, path.name))


def assert_same_frames(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b)
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("clip.mkv", "libx264", "yuv420p"),
        ("clip.mp4", "libx264", "yuv444p"),
        ("clip.mov", "libx265", "yuv420p10le"),
        ("clip.webm", "libvpx-vp9", "yuv420p"),
        ("clip.avi", "mpeg4", "yuv420p"),
        ("clip.y4m", "wrapped_avframe", "yuv422p"),
    ],
)
def test_frames_by_number_are_the_decoded_ones(
    name: str, codec: str, pixel_format: str, tmp_path: Path
) -> None:
    options = {} if codec == "libx264" else {"g": "10"}
    if codec == "libx265":
        options = {"x265-params": "keyint=10:open-gop=1:log-level=none"}
    path = write_video(tmp_path / name, moving(33), codec, pixel_format, **options)
    whole = list(open_video(path).frames())
    clip = opened(path)
    assert clip.count == len(whole) == 33
    for numbers in ([0, 1], [9, 10, 11], [13, 16, 19], [32, 30, 28], [21]):
        assert_same_frames(clip.frames(numbers), [whole[number] for number in numbers])
    assert_same_frames(clip.every_frame(), whole)


def test_a_window_does_not_decode_what_is_before_its_key_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kodec.train.clips.video_clip as module

    path = write_video(tmp_path / "clip.mkv", moving(60))
    clip, decoded = opened(path), []
    frames = module._heard_frames

    def counted(container: Any) -> Any:
        for frame in frames(container):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(module, "_heard_frames", counted)
    clip.frames([54, 55])
    assert 2 <= len(decoded) <= 8


def test_raw_frames_are_read_where_they_lie(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "ACity_64x48_25fps_10bit_420.yuv", moving(9), "yuv420p10le")
    whole = list(open_video(path).frames())
    clip = opened(path)
    assert clip.count == 9 and clip.form.bit_depth == 10
    assert_same_frames(clip.frames([7, 3]), [whole[7], whole[3]])


def test_pictures_are_planes_of_green_blue_and_red(tmp_path: Path) -> None:
    write_septuplets(tmp_path, ["00001/0001"])
    folder = tmp_path / "sequences" / "00001" / "0001"
    pictures = tuple(folder / f"im{n}.png" for n in range(1, 8))
    clip = open_clip(ClipSource(folder, "00001", pictures))
    expected = moving(7)[[4, 2]][..., [1, 2, 0]]
    assert np.array_equal(np.moveaxis(np.array(clip.frames([4, 2])), 1, 3), expected)
    pictures[6].unlink()
    with pytest.raises(InvalidInputError, match=r"0001 lacks im7\.png"):
        open_clip(ClipSource(folder, "00001", pictures))


def test_what_has_no_room_is_the_same(tmp_path: Path) -> None:
    clips = [opened(write_video(tmp_path / f"{s}.mkv", moving(20, seed=s))) for s in range(3)]
    room = clips[0].decoded_bytes + clips[1].decoded_bytes
    kept, sought = DecodedClips(clips, room), DecodedClips(clips, 0)
    for clip in (2, 0, 1, 0):
        assert_same_frames(kept.frames(clip, [15, 12]), sought.frames(clip, [15, 12]))
    assert len(kept._kept) == 2 and not sought._kept


def test_what_is_no_clip_is_named_in_one_line(tmp_path: Path) -> None:
    sound = write_video(tmp_path / "sound.mkv", moving(5))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(write_video(tmp_path / "whole.mp4", moving(20)).read_bytes()[:3000])
    text = tmp_path / "text.mkv"
    text.write_text("no video")
    raw = tmp_path / "raw_64x48_25.yuv"
    raw.write_bytes(bytes(100))
    odd = write_video(tmp_path / "odd.mkv", moving(5), "ffv1", "yuv411p")
    paths = [sound, cut, text, raw, odd]
    clips, troubles = open_clips([ClipSource(path, path.name) for path in paths])
    assert list(clips) == [sound] and list(troubles) == paths[1:]
    for path, trouble in troubles.items():
        assert str(path) in trouble and "\n" not in trouble


def test_damage_that_is_met_later_names_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", moving(60), "ffv1", **CHECKED)
    clip = opened(path)
    damage_frame(path)
    with pytest.raises(InvalidInputError, match=r"clip\.mkv can't be read: ") as caught:
        clip.every_frame()
    assert "\n" not in str(caught.value)
