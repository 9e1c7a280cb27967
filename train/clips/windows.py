"""Windows of clips: random ones for training, fixed ones for validation."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import matrix_of, rgb_of_frame
from kodec.train.data import CACHE_BYTES, turned
from kodec.train.numbered_batches import NumberedBatches, samples_of

from .clip_file import ClipFile


def rgb_of_frames(
    frames: Sequence[Frame], form: VideoFormat, box: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """A part of frames as RGB (T, 3, H, W) in [0, 1].

    box: top, left, height and width, the first two multiples of what chroma is subsampled by.
    """
    top, left, height, width = box
    # The matrix of the whole frame: what an unspecified one is taken for depends on the height.
    colour = replace(form.colour, matrix=matrix_of(form))
    part = replace(form, height=height, width=width, colour=colour)
    found = []
    for frame in frames:
        planes = []
        for number, (rows, columns) in enumerate(part.plane_shapes):
            down, across = form.steps if number else (1, 1)
            y, x = top // down, left // across
            planes.append(frame[number][y : y + rows, x : x + columns])
        found.append(rgb_of_frame(tuple(planes), part))
    return np.stack(found)


class DecodedClips:
    """Clips of which as many as there is room for stay decoded, in their own samples.

    A clip is decoded as a whole when something of it is first asked for and `room` bytes suffice;
    of others only what is asked for is.
    """

    def __init__(self, clips: Sequence[ClipFile], room: int) -> None:
        self.clips = clips
        self._room = room
        self._kept: dict[int, list[Frame]] = {}

    def frames(self, clip: int, numbers: Sequence[int]) -> list[Frame]:
        """Frames of one clip; raises `InvalidInputError` where they can't be read."""
        file = self.clips[clip]
        if clip not in self._kept:
            if file.decoded_bytes > self._room:
                return file.frames(numbers)
            self._room -= file.decoded_bytes
            self._kept[clip] = file.every_frame()
        kept = self._kept[clip]
        return [kept[number] for number in numbers]


class RandomClips(NumberedBatches[Tensor]):
    """Endless batches of random windows, each a function of (seed, number of the sample) alone.

    Yields float32 (N, T, 3, crop, crop) in [0, 1]. frames: T by the batch's number. Clips are drawn
    alike whatever their lengths, as are frame steps from 1 to `frame_step` as far as a clip has
    room; windows are flipped, transposed and run backwards at random.
    """

    def __init__(
        self,
        clips: Sequence[ClipFile],
        frames: Callable[[int], int],
        crop: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        frame_step: int = 3,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.clips = clips
        self.frames = frames
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.frame_step = frame_step
        self._decoded = DecodedClips(clips, cache_bytes)

    def batch(self, number: int) -> Tensor:
        """The batch of that number, from 0."""
        count = self.frames(number)
        samples = samples_of(number, self.batch_size, self.rank, self.processes)
        windows = [
            self._window(np.random.default_rng((self.seed, sample)), count) for sample in samples
        ]
        # Contiguous for oneDNN, as crops of pictures are.
        return torch.from_numpy(np.ascontiguousarray(np.stack(windows)))

    def _window(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """One window (T, 3, crop, crop)."""
        chosen = int(rng.integers(len(self.clips)))
        clip = self.clips[chosen]
        most = min(self.frame_step, (clip.count - 1) // max(count - 1, 1))
        step = int(rng.integers(most)) + 1 if most else 1
        start = int(rng.integers(clip.count - (count - 1) * step))
        numbers = range(start, start + count * step, step)
        down, across = clip.alignment
        top = down * int(rng.integers((clip.form.height - self.crop) // down + 1))
        left = across * int(rng.integers((clip.form.width - self.crop) // across + 1))
        *turns, backwards = (bool(rng.integers(2)) for _ in range(4))
        frames = self._decoded.frames(chosen, numbers[::-1] if backwards else numbers)
        box = (top, left, self.crop, self.crop)
        rgb = rgb_of_frames(frames, clip.form, box)
        return np.moveaxis(turned(np.moveaxis(rgb, (2, 3), (0, 1)), turns), (0, 1), (2, 3))


class Windows(Dataset[Tensor]):
    """Of each clip the first frames, or their middles where they are larger than `largest` pixels.

    Items: float32 (T, 3, H, W) in [0, 1]; T is `frames`, or as many as the clip has.
    """

    def __init__(self, clips: Sequence[ClipFile], frames: int, largest: int) -> None:
        self.clips = clips
        self.frames = frames
        self.largest = largest

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> Tensor:
        clip = self.clips[number]
        (h, w), (down, across) = (clip.form.height, clip.form.width), clip.alignment
        top = max(h - self.largest, 0) // 2 // down * down
        left = max(w - self.largest, 0) // 2 // across * across
        box = (top, left, min(h, self.largest), min(w, self.largest))
        frames = clip.frames(range(min(self.frames, clip.count)))
        return torch.from_numpy(rgb_of_frames(frames, clip.form, box))
