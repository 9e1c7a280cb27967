"""Training clips and validation clips as Lightning takes them."""

import logging
from dataclasses import dataclass
from functools import cached_property

import lightning
import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from kodec.native import InvalidInputError
from kodec.train.numbered_batches import BatchLoader, batches_done
from kodec.train.phases import Phases
from kodec.train.unreadable import without_unreadable

from .clip_file import ClipFile
from .clip_sets import find_clips, split_by_scene
from .opening import ClipSource, open_clips
from .windows import RandomClips, Windows

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FramesByBatch:
    """How many frames the clips of a batch have: those of the phase that its step is in."""

    phases: Phases
    batches_per_step: int

    def __call__(self, number: int) -> int:
        return self.phases.at(number // self.batches_per_step).frames


class ClipData(lightning.LightningDataModule):
    """Training clips and validation clips of a set of video.

    How many frames a clip has is said by the phases of the module that is trained.

    Args:
        dataset: a name from datasets.yaml, a folder of video files, or one in the layout of
            Vimeo-90k or BVI-DVC.
        validation: data set of the validation clips; by default one scene in eight of the dataset,
            of large ones fewer, which training then leaves alone.
        crop: side of the training clips, in pixels.
        batch_size: clips per step and process.
        frame_step: at most so many frames of the video from one of a clip to the next.
        validation_clips: how many validation clips to use, evenly spread over those there are.
        validation_frames: how many frames of each, from its first.
        validation_size: of larger ones, the middle of so many pixels each way.
        workers: loader processes; 0 decodes in the training process.
        seed: of clips, windows and their order.
        cache_bytes: of decoded video that each process keeps; what has no room is decoded anew from
            the key frame before each window.
        leave_out_small: train without the clips that are smaller than the crop or shorter than a
            window.
        leave_out_unreadable: train without the clips that can't be read.
    """

    def __init__(
        self,
        dataset: str = "video_train",
        validation: str | None = None,
        crop: int = 256,
        batch_size: int = 4,
        frame_step: int = 3,
        validation_clips: int = 4,
        validation_frames: int = 8,
        validation_size: int = 256,
        workers: int = 0,
        seed: int = 0,
        cache_bytes: int = 2**30,
        leave_out_small: bool = False,
        leave_out_unreadable: bool = False,
    ) -> None:
        super().__init__()
        sizes = (crop, batch_size, frame_step, validation_clips, validation_frames, validation_size)
        if min(sizes) < 1:
            raise InvalidInputError(
                "crop, batch_size, frame_step, validation_clips, validation_frames and "
                "validation_size are 1 or more"
            )
        if min(workers, seed, cache_bytes) < 0:
            raise InvalidInputError("workers, seed and cache_bytes are 0 or more")
        self.dataset = dataset
        self.validation = validation
        self.crop = crop
        self.batch_size = batch_size
        self.frame_step = frame_step
        self.validation_clips = validation_clips
        self.validation_frames = validation_frames
        self.validation_size = validation_size
        self.workers = workers
        self.seed = seed
        self.cache_bytes = cache_bytes
        self.leave_out_small = leave_out_small
        self.leave_out_unreadable = leave_out_unreadable

    def prepare_data(self) -> None:
        """Find and check the clips, so that absent and unfit ones fail before a run has written
        anything.

        Raises `DatasetError` where data are absent, `InvalidInputError` for clips that can't be
        read (naming all of them), are smaller than the crop or shorter than the longest phase's.
        """
        for notes in (self._training[1], self._validation[1]):
            for note in notes:
                _log.warning(note)

    @cached_property
    def _sources(self) -> tuple[list[ClipSource], list[ClipSource]]:
        """What to train on, and what to validate on."""
        clips = find_clips(self.dataset)
        if self.validation is not None:
            return clips, find_clips(self.validation)
        return split_by_scene(clips)

    @property
    def _phases(self) -> Phases:
        phases = getattr(self.trainer and self.trainer.lightning_module, "phases", None)
        if not isinstance(phases, Phases):
            raise InvalidInputError(
                "clips are for training by phases: let the config's model be "
                "kodec.train.SequenceRateDistortion, or its data kodec.train.CropData"
            )
        return phases

    @cached_property
    def _training(self) -> tuple[list[ClipFile], list[str]]:
        """Training clips that can be used, and notes on the others."""
        usable, notes = self._readable(self._sources[0], "training clips")
        frames = self._phases.most_frames
        small = [
            clip
            for clip in usable
            if min(clip.form.width, clip.form.height) < self.crop or clip.count < frames
        ]
        if small and (not self.leave_out_small or len(small) == len(usable)):
            form = small[0].form
            others = f" (and {len(small) - 1} others are too small)" if len(small) > 1 else ""
            raise InvalidInputError(
                f"{small[0].path} has {small[0].count} frames of {form.width}x{form.height} "
                f"pixels, less than {frames} of a crop of {self.crop}{others}; lower data.crop or "
                "the frames in model.phases, or set data.leave_out_small"
            )
        too_small = {clip.path for clip in small}
        return [clip for clip in usable if clip.path not in too_small], notes

    @cached_property
    def _validation(self) -> tuple[list[ClipFile], list[str]]:
        """Validation clips that are used, and notes on those left out."""
        sources = self._sources[1]
        places = np.linspace(0, len(sources) - 1, min(self.validation_clips, len(sources)))
        return self._readable([sources[int(place)] for place in places], "validation clips")

    def _readable(self, sources: list[ClipSource], what: str) -> tuple[list[ClipFile], list[str]]:
        clips, troubles = open_clips(sources)
        paths, notes = without_unreadable(
            [source.path for source in sources], troubles, what, self.leave_out_unreadable
        )
        return [clips[path] for path in paths], notes

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Batches from the trainer's present step on."""
        trainer = self.trainer
        phases = self._phases
        assert trainer is not None
        clips = RandomClips(
            self._training[0],
            FramesByBatch(phases, trainer.accumulate_grad_batches),
            self.crop,
            self.batch_size,
            self.seed,
            trainer.global_rank,
            trainer.world_size,
            self.frame_step,
            self.cache_bytes,
        )
        return BatchLoader(clips, lambda: batches_done(self.trainer), self.workers)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Validation clips, one a batch."""
        windows = Windows(self._validation[0], self.validation_frames, self.validation_size)
        return DataLoader(windows, batch_size=1)
