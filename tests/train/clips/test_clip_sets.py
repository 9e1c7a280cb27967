"""Clips of folders in published layouts; scenes, not files, are held out."""

from pathlib import Path

import pytest

from kodec.eval import DatasetError
from kodec.native import InvalidInputError
from kodec.train.clips.clip_sets import find_clips, split_by_scene
from kodec.train.clips.opening import ClipSource, open_clips
from video_clips import write_septuplets


def test_a_folder_of_files(tmp_path: Path) -> None:
    for name in ("b10.mkv", "b2.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert [clip.path.name for clip in find_clips(str(tmp_path))] == ["b2.mp4", "b10.mkv"]


def test_bvi_dvc_holds_out_a_scene_in_all_its_sizes(tmp_path: Path) -> None:
    for letter, size in (("A", "3840x2176"), ("B", "1920x1088"), ("C", "960x544")):
        (tmp_path / letter).mkdir()
        for scene in ("Animal", "Bobblehead", "City"):
            (tmp_path / letter / f"{letter}{scene}_{size}_25fps_10bit_420.mp4").touch()
    clips = find_clips(str(tmp_path))
    assert len(clips) == 9
    training, held_out = split_by_scene(clips)
    assert [clip.path.name[:5] for clip in held_out] == ["ACity", "BCity", "CCity"]
    assert len(training) == 6


def test_vimeo_90k_trains_on_its_list_and_holds_out_whole_videos(tmp_path: Path) -> None:
    names = [f"{video:05}/{clip:04}" for video in range(1, 13) for clip in (1, 2)]
    write_septuplets(tmp_path, names, 4, 6)
    clips = find_clips(str(tmp_path))
    assert len(clips) == 24 and len(clips[0].pictures) == 7
    training, held_out = split_by_scene(clips)
    assert [clip.origin for clip in held_out] == ["00005", "00005"]
    assert not {clip.origin for clip in training} & {"00005"}
    opened, troubles = open_clips(clips[:1])
    assert opened[clips[0].path].count == 7 and not troubles
    (tmp_path / "sep_trainlist.txt").write_text("00001/0001\n../../etc\n")
    with pytest.raises(InvalidInputError, match=r"entry 2 is '\.\./\.\./etc', not NNNNN/NNNN"):
        find_clips(str(tmp_path))


def test_of_large_sets_fewer_scenes_are_held_out(tmp_path: Path) -> None:
    clips = [ClipSource(tmp_path / f"{n}.mkv", str(n // 4)) for n in range(1600)]
    training, held_out = split_by_scene(clips)
    assert len(held_out) == 4 * 8 and len(training) == 1600 - 32
    one = [ClipSource(tmp_path / f"{n}.mkv", str(n // 100)) for n in range(1600)]
    assert len(split_by_scene(one)[1]) == 100


def test_a_single_scene_is_trained_on_and_validated(tmp_path: Path) -> None:
    clips = [ClipSource(tmp_path / "a.mkv", "a")]
    assert split_by_scene(clips) == (clips, clips)


def test_no_test_set_is_trained_on(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="never train"):
        find_clips("uvg")
    with pytest.raises(DatasetError, match="no video"):
        find_clips(str(tmp_path))
