from pathlib import Path

import pytest

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.video_files.video_writing import VideoWriter
from kodec.eval import VideoFormat, VideoSource
from kodec.native import UnsupportedError
from video_frames import assert_same, make_frames


def test_rgb_is_not_measured(tmp_path: Path) -> None:
    form = VideoFormat(16, 16, "444", colour=Colour(1, 13, 0, True))
    with VideoWriter(tmp_path / "a.mkv", form) as writer:
        writer.write(make_frames(form, 1)[0])
    with pytest.raises(UnsupportedError, match="RGB.*nothing is converted"):
        VideoSource(tmp_path / "a.mkv").open()


def test_frames_are_measured_up_to_the_limit(tmp_path: Path) -> None:
    form = VideoFormat(16, 16)
    frames = make_frames(form, 3)
    with VideoWriter(tmp_path / "a.mkv", form) as writer:
        for frame in frames:
            writer.write(frame)
    assert_same(list(VideoSource(tmp_path / "a.mkv", limit=2).open().frames()), frames[:2])
