"""Windows are a function of seed and number, and show what the file shows."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.train.clips.clip_data import FramesByBatch
from kodec.train.clips.clip_file import ClipFile
from kodec.train.clips.opening import ClipSource, open_clip
from kodec.train.clips.windows import RandomClips, Windows, rgb_of_frames
from kodec.train.phases import Phase, Phases
from video_clips import moving, write_raw, write_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[ClipFile]:
    folder = tmp_path_factory.mktemp("clips")
    paths = [
        write_video(folder / "a.mkv", moving(30)),
        write_raw(folder / "b_64x48_25fps_10bit_420.yuv", moving(9, seed=1), "yuv420p10le"),
    ]
    return [open_clip(ClipSource(path, path.name)) for path in paths]


def batches(clips: list[ClipFile], frames: Callable[[int], int], **options: Any) -> RandomClips:
    return RandomClips(clips, frames, **({"crop": 32, "batch_size": 2, "seed": 3} | options))


def test_batches_are_a_function_of_seed_and_sample(clips: list[ClipFile]) -> None:
    frames = FramesByBatch(Phases([Phase(2, 2), Phase(2, 4)]), 1)
    whole = list(islice(batches(clips, frames), 5))
    assert [tuple(x.shape) for x in whole] == [(2, t, 3, 32, 32) for t in (2, 2, 4, 4, 4)]
    assert all(0 <= float(x.min()) and float(x.max()) <= 1 for x in whole)
    later = batches(clips, frames, cache_bytes=0)
    later.first = 3
    for x, y in zip(whole[3:], later, strict=False):
        assert torch.equal(x, y)
    assert not torch.equal(whole[3], whole[4])
    for other in ({"seed": 4}, {"rank": 1, "processes": 2}):
        assert not torch.equal(batches(clips, frames, **other).batch(3), whole[3])


def test_with_accumulated_gradients_a_step_has_one_number_of_frames() -> None:
    frames = FramesByBatch(Phases([Phase(2, 2), Phase(1, 4)]), 3)
    assert [frames(number) for number in range(12)] == [2] * 6 + [4] * 6


def test_windows_are_steps_forth_and_back_through_the_clip(clips: list[ClipFile]) -> None:
    """Every drawn window is found in the clip; steps of 1 to 3 and both directions come up."""
    clip = clips[1]
    whole = rgb_of_frames(clip.every_frame(), clip.form, (0, 0, 48, 64))
    source = batches([clip], lambda _: 3, crop=48, batch_size=1)
    seen = set()
    for number in range(60):
        window = source.batch(number)[0].numpy()
        found = []
        for frame in window:
            distances = [
                min(
                    float(np.abs(turn - frame).mean())
                    for left in (0, 2, 4, 6, 8, 10, 12, 14, 16)
                    for turn in turns(full[:, :, left : left + 48])
                )
                for full in whole
            ]
            found.append(int(np.argmin(distances)))
            assert min(distances) == 0
        steps = set(np.diff(found).tolist())
        assert len(steps) == 1
        seen |= steps
    assert seen == {-3, -2, -1, 1, 2, 3}


def turns(x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    flips = [x, x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1]]
    return [*flips, *(y.swapaxes(1, 2) for y in flips)]


def test_validation_windows_are_the_first_frames_of_the_middle(clips: list[ClipFile]) -> None:
    windows = Windows(clips, 12, 32)
    assert [tuple(windows[n].shape) for n in range(2)] == [(12, 3, 32, 32), (9, 3, 32, 32)]
    clip = clips[0]
    whole = rgb_of_frames(clip.frames([0]), clip.form, (0, 0, 48, 64))[0]
    assert np.array_equal(windows[0][0].numpy(), whole[:, 8:40, 16:48])
