"""Frames a second of sequence models, whole and by stage."""

from pathlib import Path

import pytest

import kodec.eval.bench.race as race
from closed_loops import small_model
from kodec.codecs import ModelInfo
from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.eval import VideoSource, bench_video
from kodec.eval.bench.video_stages import VIDEO_STAGES, time_video_stages
from kodec.eval.running.checked_video import CheckedVideoCodec
from kodec.native import KodecError
from video_clips import moving, write_raw


@pytest.fixture
def source(tmp_path: Path) -> VideoSource:
    return VideoSource(write_raw(tmp_path / "clip_64x48_25.yuv", moving(4)))


@pytest.fixture(scope="module")
def codec() -> VideoCodec:
    return VideoCodec(
        small_model("bidirectional", gain=(1.0, 4.0)), ModelInfo("small", {}, bytes(8))
    )


def test_every_stage_of_a_closed_loop_takes_its_time(
    codec: VideoCodec, source: VideoSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race, "LEAST_SECONDS", 1e-9)
    calls: list[int] = []
    report = bench_video(
        *(codec, source, [20], Structure("hierarchical")),
        repeats=1,
        progress=lambda done, *_: calls.append(done),
    )
    (row,) = report.rows
    assert (row.frames, row.quality, report.settings["structure"]) == (4, 20, "hierarchical")
    assert row.bytes == len(
        CheckedVideoCodec(codec, Structure("hierarchical")).encode_sequence(
            source.open().frames(), source.open().form, 20
        )
    )
    assert row.encode.least <= row.encode.median <= row.encode.most
    for verb in ("encode", "decode"):
        assert list(row.stages[verb]) == list(VIDEO_STAGES)
        idle = {stage for stage, seconds in row.stages[verb].items() if seconds <= 0}
        assert idle == (set() if verb == "encode" else {"analysis"})
    assert calls == [0, 1, 2]
    assert report.to_json()["benchmark"] == "video"


def test_parts_are_as_they_were_and_other_bytes_are_noticed(
    codec: VideoCodec, source: VideoSource, tmp_path: Path
) -> None:
    checked = CheckedVideoCodec(codec)
    data = checked.encode_sequence(source.open().frames(), source.open().form, 20)
    time_video_stages(codec, source, data, tmp_path, lambda: 0.0)
    assert "analyse" not in vars(codec.network.get_submodule("motion"))
    other = VideoSource(write_raw(tmp_path / "other_64x48_25.yuv", moving(4, seed=1)))
    with pytest.raises(KodecError, match="small coded .* to something else"):
        time_video_stages(codec, other, data, tmp_path, lambda: 0.0)
