"""Random crops for training and fixed ones for validation."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kodec.codecs import read_pixels
from kodec.codecs.pictures.picture_check import Checked
from kodec.eval import find_dataset, find_labels, known_datasets
from kodec.native import InvalidInputError

from .checked_pictures import check_pictures
from .decoded_files import DecodedFiles
from .numbered_batches import BatchLoader, NumberedBatches, batches_done, samples_of
from .regions import LabelPictures, RandomRectangles, RegionSource
from .shards import ShardedPictures, find_shards
from .unreadable import without_unreadable

_log = logging.getLogger(__name__)

# Of a folder without a validation set, one picture in so many is held out.
HELD_OUT = 16
CACHE_BYTES = 2**30
_DRAWS = 100


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 (H, W, 3); gray is repeated into three components."""
    pixels = read_pixels(path)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


class LabelledCrops(NamedTuple):
    """A batch of crops whose regions are known.

    pixels: float32 (N, 3, crop, crop) in [0, 1]. regions: labels, int64 (N, crop, crop).
    """

    pixels: Tensor
    regions: Tensor


Crops = Tensor | LabelledCrops


def pixels_and_regions(crops: Crops) -> tuple[Tensor, Tensor | None]:
    """The pixels of a batch, and its regions where they are known."""
    return crops if isinstance(crops, LabelledCrops) else (crops, None)


class RandomCrops(NumberedBatches[Crops]):
    """Endless batches of random crops, each a function of (seed, number of the sample) alone.

    Yields float32 (N, 3, crop, crop) in [0, 1], or with a source of regions `LabelledCrops`; crops
    are flipped and transposed at random. Decoded pictures stay in memory, up to `cache_bytes`;
    those in shards don't.
    """

    def __init__(
        self,
        paths: list[Path] | ShardedPictures,
        crop: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        first: int = 0,
        cache_bytes: int = CACHE_BYTES,
        regions: RegionSource | None = None,
    ) -> None:
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.first = first
        self.regions = regions
        self.paths = paths
        self._pictures: ShardedPictures | DecodedFiles[NDArray[np.uint8]]
        if isinstance(paths, ShardedPictures):
            self._pictures = paths
        else:
            self._pictures = DecodedFiles(paths, load_rgb, cache_bytes)

    def batch(self, number: int) -> Crops:
        """The batch of that number, from 0."""
        crops, labels = [], []
        for sample in samples_of(number, self.batch_size, self.rank, self.processes):
            rng = np.random.default_rng((self.seed, sample))
            picture, pixels = self._drawn(rng)
            h, w, _ = pixels.shape
            top = int(rng.integers(h - self.crop + 1))
            left = int(rng.integers(w - self.crop + 1))
            turns = [bool(rng.integers(2)) for _ in range(3)]
            crops.append(turned(pixels[top : top + self.crop, left : left + self.crop], turns))
            if self.regions is not None:
                seen = self.regions.crop(picture, (h, w), (top, left), self.crop, rng)
                labels.append(turned(seen, turns))
        # Contiguous: in channels-last order oneDNN (torch 2.14, AVX2) damages the heap in the
        # backward pass of some convolutions, those of the residual transform among them.
        stacked = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
        x = torch.from_numpy(stacked).float() / 255
        return LabelledCrops(x, torch.from_numpy(np.stack(labels))) if labels else x

    def _drawn(self, rng: np.random.Generator) -> tuple[int, NDArray[np.uint8]]:
        """A picture at random, another one in place of those that are left out."""
        for _ in range(_DRAWS):
            picture = int(rng.integers(len(self.paths)))
            pixels = self._pictures[picture]
            if pixels is not None:
                return picture, pixels
        raise InvalidInputError(
            f"{_DRAWS} pictures were drawn, and all left out: lower data.crop, or mend the shards"
        )


def turned(crop: NDArray[Any], turns: Sequence[bool]) -> NDArray[Any]:
    """A crop (H, W, ...), mirrored, turned upside down and transposed where `turns` say so."""
    if turns[0]:
        crop = crop[:, ::-1]
    if turns[1]:
        crop = crop[::-1]
    return crop.swapaxes(0, 1) if turns[2] else crop


class Pictures(Dataset[Tensor]):
    """Pictures, or their middles where they are larger than `largest` pixels each way.

    Items: float32 (3, H, W) in [0, 1].
    """

    def __init__(self, paths: list[Path], largest: int) -> None:
        self.paths = paths
        self.largest = largest

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        pixels = load_rgb(self.paths[number])
        h, w, _ = pixels.shape
        top, left = max(h - self.largest, 0) // 2, max(w - self.largest, 0) // 2
        middle = np.ascontiguousarray(pixels[top : top + self.largest, left : left + self.largest])
        return torch.from_numpy(middle).permute(2, 0, 1).float() / 255


class CropData(lightning.LightningDataModule):
    """Training crops and validation pictures of a data set.

    Args:
        dataset: a name from datasets.yaml, or a folder of pictures.
        validation: data set of the validation pictures; by default the dataset's validation split,
            of a folder every 16th picture, which training then leaves alone.
        crop: side of the training crops, in pixels.
        batch_size: crops per step and process.
        validation_pictures: how many validation pictures to use, evenly spread over the split.
        validation_size: of larger validation pictures, the middle of so many pixels each way.
        workers: loader processes; 0 decodes in the training process.
        seed: of crops, flips and their order.
        regions: what codecs that adapt to regions take for them in training: "labels", the label
            pictures that datasets.yaml names for the dataset; a folder of such, NAME.png for each
            picture; "rectangles", random ones; None: their own grid, as in coding.
        leave_out_small: train without the pictures that are smaller than the crop.
        leave_out_unreadable: train without the pictures that can't be read, or whose label pictures
            can't.
        shards: train on tar files in WebDataset's layout in place of `dataset`: their folder, or a
            pattern such as "shards/*.tar". They are not read beforehand; a picture that is
            unreadable or too small is met when it is drawn. `validation` is to be named.
    """

    def __init__(
        self,
        dataset: str = "natural-crops",
        validation: str | None = None,
        crop: int = 192,
        batch_size: int = 4,
        validation_pictures: int = 16,
        validation_size: int = 768,
        workers: int = 0,
        seed: int = 0,
        regions: str | None = None,
        leave_out_small: bool = False,
        leave_out_unreadable: bool = False,
        shards: str | None = None,
    ) -> None:
        super().__init__()
        if min(crop, batch_size, validation_pictures, validation_size) < 1:
            raise InvalidInputError(
                "crop, batch_size, validation_pictures and validation_size are 1 or more"
            )
        if workers < 0 or seed < 0:
            raise InvalidInputError("workers and seed are 0 or more")
        self.dataset = dataset
        self.validation = validation
        self.crop = crop
        self.batch_size = batch_size
        self.validation_pictures = validation_pictures
        self.validation_size = validation_size
        self.workers = workers
        self.seed = seed
        self.regions = regions
        self.leave_out_small = leave_out_small
        self.leave_out_unreadable = leave_out_unreadable
        self.shards = shards
        if shards is not None and validation is None:
            raise InvalidInputError(
                "data.shards needs data.validation: name a data set or a folder"
            )
        if shards is not None and regions not in (None, "rectangles"):
            raise InvalidInputError(f"data.shards have no labels: leave data.regions {regions} out")

    def paths(self, split: str) -> list[Path]:
        """The pictures of `train` or `validation`."""
        if self.validation is not None:
            return find_dataset(self.dataset if split == "train" else self.validation)
        if self.dataset.partition(":")[0] in known_datasets():
            return find_dataset(self.dataset, split)
        every = find_dataset(self.dataset)
        held_out = every[HELD_OUT // 2 :: HELD_OUT] or every[-1:]
        if split == "validation":
            return held_out
        left_alone = set(held_out)
        # A single picture has to serve as both.
        return [path for path in every if path not in left_alone] or every

    def prepare_data(self) -> None:
        """Find and check the pictures, so that absent and unfit ones fail before a run has written
        anything.

        Raises `DatasetError` where data are absent, `InvalidInputError` for pictures that can't be
        read (naming all of them) or are smaller than the crop.
        """
        training = [] if self.shards is not None else self._training[2]
        if self.shards is not None:
            _log.debug("%d pictures in shards", len(self._sharded()))
        for notes in (training, self._validation[1]):
            for note in notes:
                _log.warning(note)

    @cached_property
    def _training(self) -> tuple[list[Path], RegionSource | None, list[str]]:
        """Training pictures that can be used, their regions, and notes on the others."""
        paths = self.paths("train")
        checked = check_pictures(paths)
        troubles = {path: checked[path].trouble for path in paths if checked[path].trouble}
        labels = self._label_paths(paths)
        if labels is not None:
            troubles = _troubles_of_labels(paths, labels, checked) | troubles
        usable, notes = without_unreadable(
            paths, troubles, "training pictures", self.leave_out_unreadable
        )
        small = [path for path in usable if min(checked[path][:2]) < self.crop]
        if small and (not self.leave_out_small or len(small) == len(usable)):
            width, height = checked[small[0]][:2]
            others = f" (and {len(small) - 1} others are too small)" if len(small) > 1 else ""
            raise InvalidInputError(
                f"{small[0]} has {width}x{height} pixels, less than a crop of {self.crop}{others}; "
                "lower data.crop or set data.leave_out_small"
            )
        too_small = set(small)
        usable = [path for path in usable if path not in too_small]
        remarks = [(path, checked[path].remark) for path in usable if checked[path].remark]
        if remarks:
            path, remark = remarks[0]
            notes.append(
                f"{len(remarks)} of {len(paths)} pictures say more of their colours than training "
                f"reads, which takes their samples as they are: {path} its {remark}"
            )
        source: RegionSource | None = None
        if labels is not None:
            label_of = dict(zip(paths, labels, strict=True))
            source = LabelPictures([label_of[path] for path in usable], CACHE_BYTES)
        elif self.regions is not None:
            source = RandomRectangles()
        return usable, source, notes

    @cached_property
    def _validation(self) -> tuple[list[Path], list[str]]:
        """Validation pictures that are used, and notes on those left out."""
        paths = self.paths("validation")
        places = np.linspace(0, len(paths) - 1, min(self.validation_pictures, len(paths)))
        chosen = [paths[int(place)] for place in places]
        found = check_pictures(chosen)
        troubles = {path: found[path].trouble for path in chosen if found[path].trouble}
        return without_unreadable(
            chosen, troubles, "validation pictures", self.leave_out_unreadable
        )

    def _label_paths(self, paths: list[Path]) -> list[Path] | None:
        """The label pictures of the training pictures `paths`, where regions come from such."""
        if self.regions in (None, "rectangles"):
            return None
        if self.regions != "labels":
            assert self.regions is not None
            return find_labels(self.regions, paths)
        if self.dataset.partition(":")[0] not in known_datasets():
            raise InvalidInputError(
                f"datasets.yaml names no label pictures for {self.dataset}: let data.regions name "
                "their folder"
            )
        return find_labels(self.dataset, paths)

    def train_dataloader(self) -> DataLoader[Crops]:
        """Batches from the trainer's present step on."""
        place = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        paths: list[Path] | ShardedPictures
        if self.shards is None:
            paths, source, _ = self._training
        else:
            paths, source = self._sharded(), RandomRectangles() if self.regions else None
        crops = RandomCrops(paths, self.crop, self.batch_size, self.seed, *place, regions=source)
        return BatchLoader(crops, lambda: batches_done(self.trainer), self.workers)

    def _sharded(self) -> ShardedPictures:
        assert self.shards is not None
        leave = self.leave_out_small, self.leave_out_unreadable
        return ShardedPictures(find_shards(self.shards), self.crop, *leave)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Validation pictures, one a batch."""
        pictures = Pictures(self._validation[0], self.validation_size)
        return DataLoader(pictures, batch_size=1)


def _troubles_of_labels(
    paths: list[Path], labels: list[Path], pictures: dict[Path, Checked]
) -> dict[Path, str]:
    """By picture, what is wrong with its label picture."""
    checked = check_pictures(labels, labels=True)
    troubles = {}
    for path, label in zip(paths, labels, strict=True):
        picture, found = pictures[path], checked[label]
        if found.trouble:
            troubles[path] = found.trouble
        elif not picture.trouble and picture[:2] != found[:2]:
            troubles[path] = (
                f"{label} has {found.width}x{found.height} labels, its picture "
                f"{picture.width}x{picture.height} pixels"
            )
    return troubles
